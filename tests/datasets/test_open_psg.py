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
    pytest.importorskip("PIL.Image").new("RGB", (100, 40)).save(tmp_path / place)
    (tmp_path / "c.csv").write_text("image,caption\n0002.jpg,A person on grass .\n")
    spec = f"openpsg:{path},images={tmp_path},captions={tmp_path / 'c.csv'}"
    data = open_dataset(spec, "test")
    assert data.images[0].file == tmp_path / place
    assert data.captions == ["A person on grass ."]
    with pytest.raises(ValueError, match=r"data\[0\].* there is no image"):
        open_dataset(spec, "train", strict=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("stuff_classes"), "stuff_classes is missing"),
        (lambda c: c.update(thing_classes=[1, 2]), "thing_classes: expected a string"),
        (lambda c: c.pop("data"), "data is missing"),
        (lambda c: c.update(test_image_ids=[]), "empty"),
        (lambda c: c["data"].append(datum(2, "x")), r"data\[3\]: 0002.jpg occurs twice"),
    ],
)
def test_bad_files(tmp_path: Path, change: Callable, message: str) -> None:
    content = copy.deepcopy(CONTENT)
    change(content)
    with pytest.raises(ValueError, match=message) as error:
        open_dataset(f"openpsg:{write(tmp_path, content)}", "test")
    assert "psg.json" in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("image_id"), "image_id is missing"),
        (lambda d: d.update(image_id=[2]), "image_id: expected a string"),
        (lambda d: d.update(file_name=""), "file_name: empty"),
        (lambda d: d.update(file_name="../0002.jpg"), "leads out of the folder"),
        (lambda d: d.pop("width"), "width is missing"),
        (lambda d: d.update(height="40"), "height: expected a number"),
        (lambda d: d.update(height=0), "size: expected a positive"),
        (lambda d: d["annotations"].append(3), r"annotations\[2\]: expected an object"),
        (
            lambda d: d["annotations"][1].update(category_id=3),
            r"annotations\[1\]: category_id: no label 3 of 3",
        ),
        (lambda d: d["annotations"][1].update(bbox=[0, 0, 200, 10]), "box 1 is outside the image"),
        (
            lambda d: d["annotations"][1].update(bbox=[0, 0, 9]),
            r"\[1\]: bbox: expected 4",
        ),
        (lambda d: d["annotations"][1].update(bbox=["0"] * 4), "bbox: expected numbers"),
        (lambda d: d["annotations"][1].update(bbox_mode=4), "bbox_mode: 4 is not read"),
        (lambda d: d["relations"].append([0, 1]), r"relations\[1\]: expected subject"),
        (lambda d: d["relations"].append([0, True, 1]), r"relations\[1\]: expected subject"),
        (lambda d: d["relations"].append([0, 1, 9]), r"relations\[1\]: no label 9"),
        (lambda d: d["relations"].append([0, 5, 1]), "object 5 is not"),
    ],
)
def test_an_image_that_cannot_be_used(tmp_path: Path, change: Callable, message: str) -> None:
    content = copy.deepcopy(CONTENT)
    content["data"].append(datum(4, "val2017"))  # type: ignore[attr-defined]
    content["test_image_ids"] = ["2", "4"]
    change(content["data"][1])
    Image = pytest.importorskip("PIL.Image")
    for name in ("0002.jpg", "0004.jpg"):
        Image.new("RGB", (100, 40)).save(tmp_path / name)
    spec = f"openpsg:{write(tmp_path, content)},images={tmp_path}"
    with pytest.raises(ValueError, match=rf"psg.json: data\[1\]: .*{message}"):
        open_dataset(spec, "test", strict=True)
    with pytest.warns(UserWarning, match=rf"1 record .*data\[1\]: .*{message}"):
        assert open_dataset(spec, "test").image_ids == ["0004.jpg"]


def test_boxes_as_x_y_width_and_height(tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content["data"][1]["annotations"][1].update(bbox=[20, 10, 30, 20], bbox_mode=1)
    (image,) = open_dataset(f"openpsg:{write(tmp_path, content)}", "test").images
    assert image.boxes is not None
    assert image.boxes.tolist() == [[0, 0, 0.5, 0.5], [0.2, 0.25, 0.5, 0.75]]


@pytest.mark.parametrize("size", [(100, 40), (40, 100)])
def test_boxes_are_turned_as_the_photo_is(tmp_path: Path, size: tuple[int, int]) -> None:
    """Boxes of the stored image are turned, those of the image as it is shown are not."""
    content = copy.deepcopy(CONTENT)
    content["data"][1].update(width=size[0], height=size[1], relations=[])
    content["data"][1]["annotations"] = [{"bbox": [0, 0, 20, 10], "category_id": 0}]
    Image = pytest.importorskip("PIL.Image")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise: 40 x 100
    Image.new("RGB", (100, 40)).save(tmp_path / "0002.jpg", exif=exif)
    (image,) = open_dataset(f"openpsg:{write(tmp_path, content)},images={tmp_path}", "test").images
    assert image.size == (40, 100)
    assert image.boxes is not None
    expected = [[0.75, 0, 1, 0.2]] if size == (100, 40) else [[0, 0, 0.5, 0.1]]
    assert image.boxes.round(6).tolist() == expected
