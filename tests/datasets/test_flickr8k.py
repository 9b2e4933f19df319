import os
from pathlib import Path

import pytest

from pyg_sgm.datasets import Flickr8k, open_dataset

REAL = os.environ.get("FLICKR8K", "")
CAPTIONS = """image,caption
a.jpg,A dog runs .
a.jpg,"A dog , running , in ""the"" snow ."
b.jpg,Two cats .

c.jpg,A café .
"""


def make(root: Path) -> Path:
    (root / "images").mkdir()
    for name in "abc":
        (root / "images" / f"{name}.jpg").write_bytes(b"not opened here")
    (root / "captions.csv").write_text(CAPTIONS, encoding="utf-8")
    (root / "train.txt").write_text("c.jpg\r\na.jpg\r\n")
    (root / "dev.txt").write_text("b.jpg")
    return root


def test_lists_and_captions(tmp_path: Path) -> None:
    data = open_dataset(f"flickr8k:{make(tmp_path)}", "train")
    assert data.image_ids == ["c.jpg", "a.jpg"]
    assert [image.file for image in data.images] == [
        tmp_path / "images" / name for name in ("c.jpg", "a.jpg")
    ]
    assert data.captions == ["A café .", "A dog runs .", 'A dog , running , in "the" snow .']
    assert data.text_ids == ["c.jpg#0", "a.jpg#0", "a.jpg#1"]
    assert data.image_of_text.tolist() == [0, 1, 1]


def test_val_is_dev(tmp_path: Path) -> None:
    make(tmp_path)
    assert Flickr8k(tmp_path, "val").image_ids == Flickr8k(tmp_path, "dev").image_ids == ["b.jpg"]


def test_byte_order_mark(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "captions.csv").write_text(CAPTIONS, encoding="utf-8-sig")
    assert Flickr8k(tmp_path, "train").num_texts == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the columns image,caption"),
        ("a.jpg,A dog\n", "line 1: expected the columns image,caption"),
        (CAPTIONS + 'a.jpg,"A dog\nb.jpg,Two cats\n', "line 7: a quotation mark is not closed"),
        (CAPTIONS.encode() + b"a.jpg,A caf\xe9\n", "line 7: not UTF-8"),
    ],
)
def test_broken_captions(tmp_path: Path, text: str | bytes, message: str) -> None:
    make(tmp_path)
    (tmp_path / "captions.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ValueError, match=message) as error:
        Flickr8k(tmp_path, "dev")
    assert "captions.csv" in str(error.value)


@pytest.mark.parametrize(
    ("row", "name", "message"),
    [
        ("a.jpg,A dog, running", "line 7", r"expected 2 fields .* got 3"),
        ("a.jpg", "line 7", "expected 2 fields"),
        (",A dog", "#0", "image: empty"),
        ("a.jpg,  ", "a.jpg#2", "caption: empty"),
        ('a.jpg,"A dog\nb.jpg"', "line 7", "caption: a quotation mark is not closed"),
        ('a.jpg,"A dog" runs', "line 7", "not CSV"),
    ],
)
def test_a_row_that_cannot_be_used(tmp_path: Path, row: str, name: str, message: str) -> None:
    make(tmp_path)
    (tmp_path / "captions.csv").write_text(f"{CAPTIONS}{row}\na.jpg,The last .\n")
    with pytest.raises(ValueError, match=f"captions.csv: line 7: {message}"):
        Flickr8k(tmp_path, "train", strict=True)
    with pytest.warns(UserWarning, match=f"1 record .*left out: '{name}'; .*line 7: {message}"):
        data = Flickr8k(tmp_path, "train")
    assert data.num_texts == 4
    assert data.captions[-1] == "The last ."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.jpg", "there is no image .*x.jpg"),
        ("d.jpg", "'d.jpg' has no caption in captions.csv"),
        ("../a.jpg", "'../a.jpg' leads out of the folder of images"),
        ("/etc/passwd", "'/etc/passwd' leads out of the folder of images"),
    ],
)
def test_a_photo_that_cannot_be_used(tmp_path: Path, name: str, message: str) -> None:
    make(tmp_path)
    (tmp_path / "a.jpg").touch()
    (tmp_path / "images" / "d.jpg").touch()
    (tmp_path / "dev.txt").write_text(f"a.jpg\n{name}\nb.jpg\n")
    with pytest.raises(ValueError, match=f"dev.txt: line 2: {message}"):
        Flickr8k(tmp_path, "dev", strict=True)
    with pytest.warns(UserWarning, match=f"left out: '{name}'; .*line 2: {message}"):
        assert Flickr8k(tmp_path, "dev").image_ids == ["a.jpg", "b.jpg"]


def test_names_of_the_original_release(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "images").rename(tmp_path / "Flicker8k_Dataset")
    (tmp_path / "train.txt").rename(tmp_path / "Flickr_8k.trainImages.txt")
    (tmp_path / "captions.csv").unlink()
    (tmp_path / "Flickr8k.token.txt").write_text("a.jpg#0\tA dog .\nc.jpg#0\tSnow .\n")
    data = Flickr8k(tmp_path, "train")
    assert data.image_ids == ["c.jpg", "a.jpg"]
    assert data.captions == ["Snow .", "A dog ."]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"a.jpg\nb.jpg\na.jpg\n", "line 3: 'a.jpg' occurs twice"),
        (b"\n", "dev.txt: empty"),
        (b"a.jpg\n\xff.jpg\n", "line 2: not UTF-8"),
    ],
)
def test_broken_lists(tmp_path: Path, lines: bytes, message: str) -> None:
    make(tmp_path)
    (tmp_path / "images" / "d.jpg").touch()
    (tmp_path / "dev.txt").write_bytes(lines)
    with pytest.raises(ValueError, match=message) as error:
        Flickr8k(tmp_path, "dev")
    assert "dev.txt" in str(error.value)


def test_absent_files(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"test.txt.*dev, train"):
        Flickr8k(tmp_path, "test")
    (tmp_path / "captions.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"captions.csv"):
        Flickr8k(tmp_path, "dev")


@pytest.mark.skipif(not REAL, reason="set FLICKR8K to the folder of the real photos and captions")
def test_real_data() -> None:
    for split, images in (("train", 5827), ("dev", 964)):
        data = Flickr8k(REAL, split)
        assert len(data.images) == images
        assert data.image_of_text.bincount().tolist() == [5] * images
