"""``pyg-sgm clip``"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cyclopts")
Image = pytest.importorskip("PIL.Image")

from pyg_sgm.cli import main  # noqa: E402
from pyg_sgm.cli._candidates import read_candidates  # noqa: E402
from pyg_sgm.vision import open_towers  # noqa: E402
from tests.helpers.towers import save_towers  # noqa: E402

CAPTIONS = [
    ("a.png", "a dog"),
    ("a.png", "a red dog"),
    ("b.png", "a blue cat"),
    ("c.png", "cat and dog"),
    ("c.png", "a dog"),  # of two photos
    ("broken.png", "red"),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    save_towers(tmp_path / "net", "CLIP")
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        pixels = random.integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{name}.png")
    (photos / "broken.png").write_text("no image")
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), *CAPTIONS])
    return tmp_path


def run(data: Path, *tokens: object) -> None:
    flags = ["--data", f"images:{data / 'photos'}", "--captions", data / "captions.csv"]
    main([str(token) for token in ["clip", f"hf:{data / 'net'}", *flags, *tokens]])


def test_candidates_and_recalls(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data / "candidates.csv"
    run(data, "--split", "all", "--top", 2, "--out", out)
    shown = capsys.readouterr()
    assert "3 images, 5 texts" in shown.out
    assert "broken.png" in shown.err
    found = read_candidates(out)
    assert list(found) == ["a dog", "a red dog", "a blue cat", "cat and dog"]
    names = ["a.png", "b.png", "c.png"]
    towers = open_towers(f"hf:{data / 'net'}")
    scores = towers([data / "photos" / name for name in names], list(found))
    for column, (query, group) in enumerate(found.items()):
        best = scores[:, column].argsort(descending=True)[:2].tolist()
        assert group.ids == [names[i] for i in best]
        assert group.prior == pytest.approx(scores[best, column].tolist(), abs=1e-5)
        assert group.relevant == [(id, query) in CAPTIONS for id in group.ids]


def test_metrics(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(data, "--split", "all", "--json", "-")
    found = json.loads(capsys.readouterr().out)
    assert found["unit"] == "fraction"
    assert found["t2i"]["r5"] == 1.0  # of three


def failed(capsys: pytest.CaptureFixture[str], *tokens: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(token) for token in tokens])
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_mistakes(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = f"images:{data / 'photos'}"
    net = f"hf:{data / 'net'}"
    assert "give --captions" in failed(capsys, "clip", net, "--data", photos)
    world = "scene-world:num_images=4"
    assert "has no file of its pixels" in failed(capsys, "clip", net, "--data", world)
    assert "--top must be at least 1" in failed(capsys, "clip", net, "--data", photos, "--top", 0)
    for name in "abc":
        (data / "photos" / f"{name}.png").write_text("no image")
    captions = "--captions", data / "captions.csv"
    assert "none of the images" in failed(capsys, "clip", net, "--data", photos, *captions)
