"""``pyg-sgm finetune``"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("cyclopts")
Image = pytest.importorskip("PIL.Image")

from pyg_sgm import text  # noqa: E402
from pyg_sgm.cli import main  # noqa: E402
from pyg_sgm.vision import EfficientNetLite0, open_backbone, open_graphs  # noqa: E402
from pyg_sgm.vision.backbones import registry  # noqa: E402
from tests.helpers.language_model import tiny_encoder  # noqa: E402


def new_backbone() -> EfficientNetLite0:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return EfficientNetLite0().eval()


def test_photos_to_graphs_of_the_new_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(registry._SHIPPED, "efficientnet_lite0", new_backbone)
    monkeypatch.setattr(text, "open_text_encoder", lambda name: tiny_encoder())
    photos, graphs = tmp_path / "photos", tmp_path / "photos.sg"
    photos.mkdir()
    random = np.random.default_rng(0)
    rows = [("image", "caption")]
    for i in range(4):
        name = f"{i}.png"
        Image.fromarray(random.integers(0, 256, (20, 24, 3), np.uint8)).save(photos / name)
        rows += [(name, "a dog"), (name, "a man")]
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    main(["graphs", str(photos), "--out", str(graphs), "--size", "32"])
    data = ["--data", f"images:{photos}", "--captions", str(tmp_path / "captions.csv")]
    out = tmp_path / "tuned.safetensors"
    flags = [*data, "--split", "all", "--graphs", str(graphs), "--out", str(out)]
    flags += ["--blocks", "2", "--epochs", "1", "--size", "32", "--device", "cpu"]
    main(["finetune", *flags])
    assert "The weights are in" in capsys.readouterr().out
    before, after = new_backbone().state_dict(), open_backbone(f"finetuned:{out}").state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith(("blocks.14", "blocks.15", "head")) for name in changed)
    again = tmp_path / "again.sg"
    main(["graphs", str(photos), "--out", str(again), "--size", "32",
          "--backbone", f"finetuned:{out}"])  # fmt: skip
    old, new = (open_graphs(folder)[1]["object"].rows for folder in (graphs, again))
    index = torch.arange(old.shape[0])
    assert old.shape == new.shape
    assert not torch.allclose(old[index], new[index])
    with pytest.raises(SystemExit):
        main(["finetune", *flags, "--backbone", "efficientnet_lite0+efficientnet_lite2"])
    assert "one network at a time" in capsys.readouterr().err
    # A run on such graphs sees other photos when the file is given again.
    run, other = str(tmp_path / "run"), str(photos / "1.png")
    main(["train", "sgm", *data, "--graphs", str(again), "--out", run, "--epochs", "1",
          "--dev-every", "0", "--set", "dim=8", "--set", "hidden=8"])  # fmt: skip
    explain = ["explain", run, "--image", other, "--text", "a dog", "--json", "-"]
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(explain)
    assert "give it again (--backbone on the command line)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*explain, "--backbone", "efficientnet_lite0"])
    assert "the graphs were made with features" in capsys.readouterr().err
    out.rename(tmp_path / "moved.safetensors")
    main([*explain, "--backbone", f"finetuned:{tmp_path / 'moved.safetensors'}"])
    assert json.loads(capsys.readouterr().out)[0]["score"]
