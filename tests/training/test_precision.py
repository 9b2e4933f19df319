from pathlib import Path

import pytest
import torch

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.io import read_json
from pyg_sgm.training.precision import chosen_precision


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": False, "avx512_bf16": True}, "bf16-mixed"),
        ({"avx2": True}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_of_a_processor(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert chosen_precision("auto", "cpu") == expected
    assert chosen_precision("16-mixed", "cpu") == "16-mixed"


def test_a_torch_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert chosen_precision("auto", "cpu") == "32-true"


@pytest.mark.parametrize("fast", [True, False])
def test_of_a_card(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: fast)
    assert chosen_precision("auto") == ("bf16-mixed" if fast else "32-true")


def test_a_run_says_what_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    world = SceneWorld("train", num_images=8, captions_per_image=2)
    matcher = SceneGraphMatcher("vse", dim=8, embed=8)
    matcher.fit(
        world, epochs=1, precision="auto", accelerator="cpu", out=tmp_path / "run", progress=False
    )
    assert read_json(tmp_path / "run" / "run.json")["recipe"]["precision"] == "bf16-mixed"
    # Resumed on another machine, it goes on in what it was begun in.
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    again = SceneGraphMatcher("vse", dim=8, embed=8)
    again.fit(
        world,
        epochs=2,
        precision="auto",
        accelerator="cpu",
        out=tmp_path / "run",
        resume=True,
        progress=False,
    )
    assert read_json(tmp_path / "run" / "run.json")["recipe"]["precision"] == "bf16-mixed"
    assert len(again.history) == 2
