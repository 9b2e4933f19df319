import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pyg_sgm.datasets import KarpathyCaptions, open_dataset


def entry(name: str, split: str, first: int) -> dict:
    sentences = [{"raw": f"Caption {first + i}.", "sentid": first + i} for i in range(2)]
    return {"filename": name, "split": split, "sentences": sentences}


CONTENT = {
    "images": [
        entry("a.jpg", "train", 0),
        entry("b.jpg", "val", 2),
        entry("c.jpg", "restval", 4),
        entry("d.jpg", "test", 6),
    ]
}


def write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(content))
    return path


def test_restval_joins_train(tmp_path: Path) -> None:
    path = write(tmp_path, CONTENT)
    data = KarpathyCaptions(path, "train")
    assert data.image_ids == ["a.jpg", "c.jpg"]
    assert data.text_ids == ["0", "1", "4", "5"]
    assert data.image_of_text.tolist() == [0, 0, 1, 1]
    assert open_dataset(f"karpathy:{path}", "val").captions == ["Caption 2.", "Caption 3."]
    pairs = data.encode(data.vocabularies())
    assert pairs.batch([0, 3]).image["object"].num_nodes == 0


def test_features(tmp_path: Path) -> None:
    path = write(tmp_path, CONTENT)
    np.save(tmp_path / "b.npy", np.ones((3, 2), np.float16))
    data = open_dataset(f"karpathy:{path},features={tmp_path}", "val")
    image = data.encode(data.vocabularies()).images[0]
    assert image["object"].x.shape == (3, 2)
    assert image["object"].label.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("images"), "images is missing"),
        (lambda c: c["images"].pop(1), "no image of the split 'val'|empty"),
        (lambda c: c["images"].append(c["images"][1]), r"images\[4\]: .*'b.jpg' occurs twice"),
        (lambda c: c.update(annotations=[]), "COCO's own captions, which coco:FILE reads"),
    ],
)
def test_bad_files(tmp_path: Path, change: Callable, message: str) -> None:
    content = copy.deepcopy(CONTENT)
    change(content)
    with pytest.raises(ValueError, match=message) as error:
        KarpathyCaptions(write(tmp_path, content), "val")
    assert "dataset.json" in str(error.value)


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (lambda e: e.pop("split"), "b.jpg", "split is missing"),
        (lambda e: e.pop("filename"), r"images\[1\]", "filename is missing"),
        (lambda e: e.update(filename=" "), " ", "filename: empty"),
        (lambda e: e.update(filename=3), r"images\[1\]", "filename: expected a string"),
        (lambda e: e.update(filename="../b.jpg"), "../b.jpg", "filename: .* leads out"),
        (lambda e: e.update(filepath="/tmp"), "b.jpg", "filename: .* leads out"),
        (lambda e: e.update(filepath=0), "b.jpg", "filepath: expected a string"),
        (lambda e: e.update(sentences=0), "b.jpg", "sentences: expected a list"),
        (lambda e: e.clear(), r"images\[1\]", "split is missing"),
    ],
)
def test_an_image_that_cannot_be_used(
    tmp_path: Path, change: Callable, name: str, message: str
) -> None:
    content = copy.deepcopy(CONTENT)
    content["images"].append(entry("e.jpg", "val", 8))
    change(content["images"][1])
    path = write(tmp_path, content)
    for image in ("b.jpg", "e.jpg"):
        (tmp_path / image).touch()
    with pytest.raises(ValueError, match=rf"dataset.json: images\[1\]: {message}"):
        KarpathyCaptions(path, "val", images=tmp_path, strict=True)
    with pytest.warns(UserWarning, match=rf"1 record .*: '{name}'; .*images\[1\]: {message}"):
        data = KarpathyCaptions(path, "val", images=tmp_path)
    assert (data.image_ids, data.text_ids) == (["e.jpg"], ["8", "9"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("raw"), "raw is missing"),
        (lambda s: s.update(raw=["a"]), "raw: expected a string"),
        (lambda s: s.update(raw="\ud800"), "caption: .* is not Unicode"),
        (lambda s: s.update(sentid="7"), "sentid: expected a whole number"),
    ],
)
def test_a_sentence_that_cannot_be_used(tmp_path: Path, change: Callable, message: str) -> None:
    content = copy.deepcopy(CONTENT)
    change(content["images"][1]["sentences"][0])
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=rf"images\[1\]: sentences\[0\]: .*{message}"):
        KarpathyCaptions(path, "val", strict=True)
    with pytest.warns(UserWarning, match=rf"left out: 'b.jpg sentences\[0\]'; .*{message}"):
        data = KarpathyCaptions(path, "val")
    assert (data.image_ids, data.text_ids) == (["b.jpg"], ["3"])


def test_an_image_without_sentences(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content["images"][0]["sentences"] = []
    path = write(tmp_path, content)
    for name, rows in (("a", 3), ("c", 2)):
        np.save(tmp_path / f"{name}.npy", np.full((rows, 2), rows, np.float32))
    with pytest.raises(ValueError, match=r"images\[0\]: sentences: 'a.jpg' has none"):
        KarpathyCaptions(path, "train", strict=True)
    with pytest.warns(UserWarning, match=r"1 record .*left out: 'a.jpg'; .*has none"):
        data = KarpathyCaptions(path, "train", features=tmp_path)
    assert (data.image_ids, data.text_ids) == (["c.jpg"], ["4", "5"])
    assert data.image_of_text.tolist() == [0, 0]
    assert data.encode(data.vocabularies()).images[0]["object"].x.tolist() == [[2, 2], [2, 2]]


def test_features_that_cannot_be_used(tmp_path: Path) -> None:
    path = write(tmp_path, CONTENT)
    (tmp_path / "x").mkdir()
    np.save(tmp_path / "x" / "a.npy", np.ones((3, 2)))
    with pytest.warns(UserWarning, match=r"left out: 'c.jpg'; .*c.npy: no features"):
        data = KarpathyCaptions(path, "train", features=tmp_path / "x")
    assert data.encode(data.vocabularies()).images[0]["object"].x.shape == (3, 2)
    np.save(tmp_path / "x" / "c.npy", np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"c.npy: expected \[rows, 2\], got \[3, 4\]"):
        KarpathyCaptions(path, "train", features=tmp_path / "x", strict=True)
    with pytest.raises(FileNotFoundError, match="no such folder of features"):
        KarpathyCaptions(path, "train", features=tmp_path / "y")


def test_images(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content["images"][1]["filepath"] = "val2014"
    path = write(tmp_path, content)
    (tmp_path / "val2014").mkdir()
    for name in ("val2014/b.jpg", "a.jpg"):
        (tmp_path / name).touch()
    data = open_dataset(f"karpathy:{path},images={tmp_path}", "dev")
    assert data.images[0].file == tmp_path / "val2014" / "b.jpg"
    assert data.image_ids == ["b.jpg"]
    (tmp_path / "val2014" / "b.jpg").rename(tmp_path / "b.jpg")
    assert open_dataset(f"karpathy:{path},images={tmp_path}", "val").images[0].file is not None
    with pytest.raises(ValueError, match=r"images\[2\]: filename: there is no image .*c.jpg"):
        open_dataset(f"karpathy:{path},images={tmp_path}", "train", strict=True)
