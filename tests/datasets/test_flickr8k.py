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
    assert len(Flickr8k(tmp_path, "train")) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the columns image,caption"),
        ("a.jpg,A dog\n", "line 1: expected the columns image,caption"),
        (CAPTIONS + "a.jpg,A dog, running\n", r"line 7: expected 2 fields .* got 3"),
        (CAPTIONS + "a.jpg\n", "line 7: expected 2 fields"),
        (CAPTIONS + ",A dog\n", "line 7: image: empty"),
        (CAPTIONS + "a.jpg,  \n", "line 7: caption: empty"),
        (CAPTIONS + 'a.jpg,"A dog\nb.jpg,Two cats\n', "line 7: not CSV"),
        (CAPTIONS + 'a.jpg,"A dog\nb.jpg"\n', "line 7: caption: a quotation mark is not closed"),
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
    ("lines", "message"),
    [
        (b"a.jpg\nb.jpg\na.jpg\n", "line 3: 'a.jpg' stands there twice"),
        (b"a.jpg\nx.jpg\n", "line 2: there is no image .*x.jpg"),
        (b"a.jpg\nd.jpg\n", "line 2: 'd.jpg' has no caption in captions.csv"),
        (b"\n", "there is no image"),
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
