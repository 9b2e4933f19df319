"""What the documentation says is what the library does."""

import csv
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
BLOCK = re.compile(r"(<!-- not run: .+ -->\n)?```(python|sh)\n(.*?)```\n", re.S)
COLORS = ["red", "blue", "green", "white", "black", "brown"]


@dataclass(frozen=True)
class Block:
    """Code of a document. What says that it is not run, because its data are not there, is still
    compiled, and its commands are still parsed."""

    place: str
    language: str
    code: str
    is_run: bool

    def commands(self) -> list[list[str]]:
        lines = self.code.replace("\\\n", " ").splitlines()
        words = [shlex.split(line, comments=True) for line in lines]
        return [tokens[1:] for tokens in words if tokens[:1] == ["pyg-sgm"]]


def blocks(document: Path) -> list[Block]:
    text = document.read_text()
    return [
        Block(f"{document.name}:{text[: m.start()].count(chr(10)) + 1}", m[2], m[3], m[1] is None)
        for m in BLOCK.finditer(text)
    ]


def write_photos() -> None:
    """Twelve photos of a ball on a box, with captions, in the current folder."""
    from PIL import Image, ImageDraw

    Path("photos").mkdir()
    captions = []
    for number in range(1, 13):
        ball, box = COLORS[number % 6], COLORS[(number + number // 6 + 1) % 6]
        photo = Image.new("RGB", (160, 120), "gray")
        draw = ImageDraw.Draw(photo)
        draw.rectangle((40, 60, 120, 110), fill=box)
        draw.ellipse((60, 20, 100, 60), fill=ball)
        photo.save(f"photos/{number}.jpg")
        captions += [(f"{number}.jpg", f"a {ball} ball on a {box} box")] * 2
    with open("captions.csv", "w", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), *captions])
    Path("captions.txt").write_text("".join(f"{caption}\n" for _, caption in captions))


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_code_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From top to bottom, as a reader would, with his photos beside it."""
    from pyg_sgm.cli import main
    from pyg_sgm.cli._app import app
    from pyg_sgm.models import registry

    monkeypatch.chdir(tmp_path)
    for table in ("MODELS", "RECIPES"):  # what a guide registers is gone afterwards
        monkeypatch.setattr(registry, table, {**getattr(registry, table)})
    write_photos()
    names: dict[str, Any] = {"__name__": "guide"}
    found = blocks(document)
    assert found, "no code"
    for block in found:
        if block.language == "python":
            code = compile(block.code, block.place, "exec")
            if block.is_run:
                exec(code, names)
        for tokens in block.commands():
            if block.is_run:
                main(tokens)
            else:
                app.parse_args(tokens, exit_on_error=False, print_error=False)
    if document.name == "README.md":  # its first example finds what it asks for
        found = names["dev"].images[names["best"][0].index]
        triplets = [(found.objects[s], p, found.objects[o]) for s, p, o in found.relations]
        assert ("man", "chasing", "bear") in triplets


def test_figures_are_those_of_the_benchmarks() -> None:
    script = ROOT / "docs" / "write_results.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_front_page_is_two_screens() -> None:
    assert len((ROOT / "README.md").read_text().split()) < 1300
