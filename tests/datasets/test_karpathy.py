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
        (lambda c: c.pop("images"), "images: expected a list"),
        (lambda c: c["images"][1].pop("split"), r"images\[1\]: split: expected str"),
        (lambda c: c["images"][1].pop("filename"), r"images\[1\]: filename"),
        (lambda c: c["images"][1].update(sentences=0), r"images\[1\]: sentences: expected list"),
        (lambda c: c["images"][1]["sentences"][1].pop("raw"), r"sentences\[1\]: raw"),
        (lambda c: c["images"].__setitem__(1, 3), r"images\[1\]: split"),
        (lambda c: c["images"].pop(1), "no image of the split 'val'"),
        (lambda c: c["images"].append(c["images"][1]), "filename occurs twice"),
    ],
)
def test_bad_files(tmp_path: Path, change: Callable, message: str) -> None:
    content = copy.deepcopy(CONTENT)
    change(content)
    with pytest.raises(ValueError, match=message) as error:
        KarpathyCaptions(write(tmp_path, content), "val")
    assert "dataset.json" in str(error.value)


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
        open_dataset(f"karpathy:{path},images={tmp_path}", "train")
