import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pyg_sgm.datasets import open_dataset


def datum(number: int, folder: str) -> dict:
    return {
        "image_id": str(number),
        "file_name": f"{folder}/{number:04d}.jpg",
        "height": 40,
        "width": 100,
        "pan_seg_file_name": f"{number}.png",
        "annotations": [
            {"bbox": [0, 0, 50, 20], "bbox_mode": 0, "category_id": 0, "iscrowd": 0},
            {"bbox": [10.5, 10, 100, 40], "bbox_mode": 0, "category_id": 2, "iscrowd": 0},
        ],
        "segments_info": [{"id": 1, "category_id": 0, "area": 7}],
        "relations": [[0, 1, 1]],
    }


CONTENT = {
    "data": [datum(1, "train2017"), datum(2, "val2017"), datum(3, "train2017")],
    "thing_classes": ["person", "horse"],
    "stuff_classes": ["grass"],
    "predicate_classes": ["over", "standing on"],
    "test_image_ids": ["2"],
}


def write(root: Path, content: dict) -> Path:
    path = root / "psg.json"
    path.write_text(json.dumps(content))
    return path


def test_splits(tmp_path: Path) -> None:
    path = write(tmp_path, CONTENT)
    train = open_dataset(f"openpsg:{path}", "train")
    assert train.image_ids == ["0001.jpg", "0003.jpg"]
    (image,) = open_dataset(f"openpsg:{path}", "test").images
    assert image.id == "0002.jpg"
    assert image.objects == ["person", "grass"]
    assert image.relations == [(0, "standing on", 1)]
    assert image.boxes is not None
    assert image.boxes.tolist() == [[0, 0, 0.5, 0.5], [0.105, 0.25, 1, 1]]
    assert len(train.vocabularies().objects) == 4
    with pytest.raises(ValueError, match="known: train, test"):
        open_dataset(f"openpsg:{path}", "dev")


@pytest.mark.parametrize("place", ["val2017/0002.jpg", "0002.jpg"])
def test_images_and_captions(tmp_path: Path, place: str) -> None:
    path = write(tmp_path, CONTENT)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    (tmp_path / "c.csv").write_text("image,caption\n0002.jpg,A person on grass .\n")
    spec = f"openpsg:{path},images={tmp_path},captions={tmp_path / 'c.csv'}"
    data = open_dataset(spec, "test")
    assert data.images[0].file == tmp_path / place
    assert data.captions == ["A person on grass ."]
    with pytest.raises(ValueError, match=r"data\[0\].* there is no image"):
        open_dataset(spec, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("stuff_classes"), "stuff_classes: expected list"),
        (lambda c: c.pop("data"), "data: expected list"),
        (lambda c: c["data"][1].pop("image_id"), r"data\[1\]: image_id is missing"),
        (lambda c: c["data"][1].pop("width"), r"data\[1\]: width: expected float"),
        (
            lambda c: c["data"][1]["annotations"][1].update(category_id=3),
            r"data\[1\]: annotations\[1\]: category_id: no label 3 of 3",
        ),
        (
            lambda c: c["data"][1]["annotations"][1].update(bbox=[0, 0, 200, 10]),
            r"data\[1\]: .*box 1 is outside the image",
        ),
        (lambda c: c["data"][1]["relations"].append([0, 1]), r"relations\[1\]: expected \["),
        (lambda c: c["data"][1]["relations"].append([0, 1, 9]), r"relations\[1\]: no label 9"),
        (lambda c: c["data"][1]["relations"].append([0, 5, 1]), r"data\[1\].*object 5 is not"),
        (lambda c: c.update(test_image_ids=[]), "no image of the split 'test'"),
    ],
)
def test_bad_files(tmp_path: Path, change: Callable, message: str) -> None:
    content = copy.deepcopy(CONTENT)
    change(content)
    with pytest.raises(ValueError, match=message) as error:
        open_dataset(f"openpsg:{write(tmp_path, content)}", "test")
    assert "psg.json" in str(error.value)
