"""Detections of grids, files and torchvision, joined, suppressed and merged."""

import gzip
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pyg_sgm.vision import (
    Detections,
    DetectionsFile,
    Grid,
    Photo,
    TorchvisionDetector,
    join,
    nms,
    open_detector,
)
from pyg_sgm.vision.detectors import merge_overlapping

PHOTO = Photo(np.zeros((50, 100, 3), np.uint8), (200, 100), "a.jpg")


def test_grid_covers_the_image() -> None:
    found = Grid()([PHOTO])[0]
    assert found.boxes.shape == (10, 4)
    assert found.boxes[0].tolist() == [0, 0, 1, 1]
    area = (found.boxes[1:, 2:] - found.boxes[1:, :2]).prod(1)
    assert area.sum() == pytest.approx(1)
    assert set(found.labels) == {"<unk>"}


def suppressed(boxes: np.ndarray, scores: np.ndarray, kinds: np.ndarray) -> list[int]:
    """Greedy suppression, a box at a time."""

    def overlap(a: np.ndarray, b: np.ndarray) -> float:
        sides = [max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), 0) for i in (0, 1)]
        areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
        both = sides[0] * sides[1]
        return both / (sum(areas) - both)

    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(kinds[i] != kinds[j] or overlap(boxes[i], boxes[j]) <= 0.45 for j in kept):
            kept.append(i)
    return kept


def test_suppression_is_the_plain_one() -> None:
    rng = np.random.default_rng(0)
    for count in (0, 1, 2, 40):
        corner = rng.random((count, 2)) * 0.5
        boxes = np.concatenate([corner, corner + 0.1 + rng.random((count, 2)) * 0.4], 1)
        scores, kinds = rng.random(count), rng.integers(0, 3, count)
        found = nms(boxes, scores, kinds, iou_threshold=0.45, max_boxes=100).tolist()
        assert found == suppressed(boxes, scores, kinds)
        limited = nms(boxes, scores, kinds, iou_threshold=0.45, max_boxes=3).tolist()
        assert limited == found[:3]


def test_file_of_detections(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"image": "a.jpg", "boxes": [[20, 10, 200, 100]], "labels": ["dog"], "scores": [0.5]},
        {"image": "b.jpg", "boxes": [[0, 0, 0.5, 1]], "labels": ["cat"], "normalised": True},
        {"image": "c.jpg", "boxes": [], "labels": []},
    ]
    path = tmp_path / "found.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    detector = DetectionsFile(path)
    photos = [Photo(PHOTO.pixels, PHOTO.size, name) for name in ("c.jpg", "b.jpg", "a.jpg")]
    c, b, a = detector(photos)
    assert detector.labels == ("cat", "dog")
    assert a.boxes.tolist() == np.float32([[0.1, 0.1, 1, 1]]).tolist()  # of the file's pixels
    assert (a.labels, a.scores.tolist()) == (("dog",), [0.5])
    assert (b.boxes.tolist(), b.scores.tolist()) == ([[0, 0, 0.5, 1]], [1])
    assert c.boxes.shape == (0, 4)
    with pytest.raises(ValueError, match=r"'photos/a.jpg' has no line; 'a.jpg' has one: open"):
        detector([Photo(PHOTO.pixels, PHOTO.size, "photos/a.jpg")])
    with pytest.raises(ValueError, match=r"found.jsonl: image 'd.jpg' has no line"):
        detector([Photo(PHOTO.pixels, PHOTO.size, "d.jpg")])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: .*not JSON"),
        ("[1]", "line 1: expected an object"),
        ('{"image": "a.jpg", "labels": []}', "boxes"),
        ('{"image": 7, "boxes": [], "labels": []}', "line 1: image: expected a name"),
        ('{"image": "a.jpg", "boxes": [], "labels": [1]}', "line 1: labels: expected a list"),
        ('{"image": "a.jpg", "boxes": [[0, 0, 9]], "labels": ["dog"]}', "image 'a.jpg': box"),
        ('{"image": "a.jpg", "boxes": [[0, 0, 900, 9]], "labels": ["dog"]}', "outside the image"),
        ('{"image": "a.jpg", "boxes": [[0, 0, 9, 9]], "labels": []}', "image 'a.jpg': box"),
        (
            '{"image": "a.jpg", "boxes": [[0, 0, 9, 9]], "labels": ["dog"], "scores": []}',
            "object.score",
        ),
        (
            '{"image": "a.jpg", "boxes": [[0, 0, 9, 9]], "labels": ["dog"], "scores": [90]}',
            "scores: expected",
        ),
    ],
)
def test_bad_file_of_detections(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "found.jsonl"
    path.write_text(line)
    with pytest.raises(ValueError, match=message) as caught:
        DetectionsFile(path)([PHOTO])
    assert "found.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": None}, "boxes: expected a value"),
        ({"labels": None}, "labels: expected a value"),
        ({"scores": None}, "scores: expected a value"),
        ({"scores": [None]}, "scores: expected numbers"),
        ({"scores": [True]}, "scores: expected numbers"),
        ({"boxes": [None]}, "image 'a.jpg': box"),
        ({"boxes": [[0, 0, None, 9]]}, "image 'a.jpg': box"),
        ({"boxes": {"0": 1}}, "boxes: expected a list"),
        ({"image": None}, "image: expected a value"),
        ({"normalized": "yes"}, "normalized: expected true or false"),
        ({"frame": "other"}, "frame: expected shown or stored"),
        ({"detector": 7}, "detector: expected a name"),
    ],
)
def test_fields_of_another_type(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    row = {"image": "a.jpg", "boxes": [[0, 0, 9, 9]], "labels": ["dog"], "scores": [0.5]}
    path = tmp_path / "found.jsonl"
    path.write_text(json.dumps(row | change))
    with pytest.raises(ValueError, match=message) as caught:
        DetectionsFile(path)([PHOTO])
    assert "found.jsonl" in str(caught.value)


def test_identity_is_that_of_the_detector(tmp_path: Path) -> None:
    row = {"image": "a.jpg", "boxes": [[0, 0, 9, 9]], "labels": ["dog"]}
    first, second, third = (tmp_path / f"{i}.jsonl" for i in range(3))
    first.write_text(json.dumps(row))
    second.write_text(json.dumps(row | {"image": "b.jpg"}))
    third.write_text(json.dumps(row | {"detector": "oiv7"}))
    assert DetectionsFile(first).fingerprint != DetectionsFile(second).fingerprint
    named = DetectionsFile(first, name="oiv7")
    assert named.fingerprint == DetectionsFile(second, name="oiv7").fingerprint
    assert named.fingerprint == DetectionsFile(third).fingerprint == "file oiv7"
    assert DetectionsFile(third, name="other").fingerprint == "file other"
    opened = open_detector(f"grid:2+file:{second},name=oiv7")
    assert opened.fingerprint == "grid 2 + file oiv7 merged 0.65"
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(f"{json.dumps(row)}\n{json.dumps(row | {'image': 'b', 'detector': 'x'})}")
    with pytest.raises(ValueError, match=r"mixed.jsonl: detector: expected one name"):
        DetectionsFile(mixed)


def test_gzipped_and_normalized(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl.gz"
    row = {"image": "a.jpg", "boxes": [[0, 0.5, 0.25, 1]], "labels": ["dog"], "normalized": True}
    path.write_bytes(gzip.compress(json.dumps(row).encode()))
    (found,) = DetectionsFile(path)([PHOTO])
    assert found.boxes.tolist() == [[0, 0.5, 0.25, 1]]


def test_boxes_of_a_photo_that_is_turned(tmp_path: Path) -> None:
    # Stored 40 x 20 and shown 20 x 40: what is stored in the upper left is shown upper right.
    photo = Photo(np.zeros((40, 20, 3), np.uint8), (20, 40), "a.jpg", orientation=6)
    row = {"image": "a.jpg", "boxes": [[0, 0, 10, 10]], "labels": ["square"]}
    path = tmp_path / "found.jsonl"
    path.write_text(json.dumps(row | {"frame": "stored"}))
    (found,) = DetectionsFile(path)([photo])
    assert found.boxes.tolist() == [[0.5, 0, 1, 0.25]]
    path.write_text(json.dumps(row | {"frame": "shown"}))
    assert DetectionsFile(path)([photo])[0].boxes.tolist() == [[0, 0, 0.5, 0.25]]
    path.write_text(json.dumps(row))
    with pytest.warns(UserWarning, match=r"found.jsonl: image 'a.jpg' is turned by its EXIF"):
        assert DetectionsFile(path)([photo])[0].boxes.tolist() == [[0, 0, 0.5, 0.25]]


def test_labels_of_one_place_are_one_object() -> None:
    dress, woman, person = [0.1, 0.2, 0.5, 0.9], [0.1, 0.1, 0.5, 0.9], [0.11, 0.1, 0.5, 0.9]
    dog, cat, other = [0.6, 0.5, 0.9, 0.9], [0.6, 0.5, 0.9, 0.88], [0.7, 0.5, 1.0, 0.9]
    found = Detections(
        np.array([[0, 0, 1, 1], dog, dress, woman, cat, person, other, dog], np.float32),
        ("<unk>", "dog", "clothing", "woman", "cat", "person", "dog", "dog"),
        np.float32([1, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]),
    )
    merged = merge_overlapping(found)
    assert merged.labels == ("<unk>", "dog", "woman", "dog")
    assert merged.scores.tolist() == np.float32([1, 0.8, 0.7, 0.3]).tolist()
    assert np.allclose(merged.boxes, [[0, 0, 1, 1], dog, dress, other])
    names = [[(name, round(score, 3)) for name, score in own] for own in merged.names]
    assert names == [[], [("cat", 0.5)], [("clothing", 0.7), ("person", 0.4)], []]


def test_worn_things_are_no_labels_of_who_wears_them() -> None:
    box = np.tile(np.float32([0, 0, 0.5, 0.5]), (2, 1))
    for labels, label in (
        (("dress", "person"), "person"),
        (("person", "man"), "man"),
        (("clothing", "dress"), "clothing"),  # neither says more: the surer one
    ):
        scores = np.float32([0.9, 0.2])
        assert merge_overlapping(Detections(box, labels, scores)).labels == (label,)
    empty = Detections(np.zeros((0, 4), np.float32), (), np.zeros(0, np.float32))
    assert merge_overlapping(empty).labels == ()


def test_image_twice_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    path.write_text('{"image": "a.jpg", "boxes": [], "labels": []}\n' * 2)
    with pytest.raises(ValueError, match=r"line 2: image 'a.jpg' occurs twice"):
        DetectionsFile(path)


def test_names_of_detectors(tmp_path: Path) -> None:
    path = tmp_path / "a+grid b.jsonl"
    path.write_text('{"image": "a.jpg", "boxes": [[0, 0, 9, 9]], "labels": ["dog"]}')
    both = open_detector(f"grid+file:{path}")
    assert both([PHOTO])[0].labels == ("<unk>",) * 10 + ("dog",)
    assert both.labels == ("dog",)
    for name in ("", "yolo", "onnx:", "grid+", "grid:0", "grid:x", "grid:9999"):
        with pytest.raises(ValueError, match="expected grid, grid:SIDE"):
            open_detector(name)


def test_the_least_score_lies_in_its_range() -> None:
    for score in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="min_score must lie in 0 to 1"):
            open_detector("grid", min_score=score)


def test_keys_tell_detectors_apart() -> None:
    assert Grid(2).fingerprint != Grid(3).fingerprint
    assert join(Grid(2), Grid(3)).fingerprint != join(Grid(3), Grid(2)).fingerprint


def fake_torchvision(found: dict[str, torch.Tensor]) -> dict[str, ModuleType]:
    """The few names of torchvision that are used, with a detector that always finds the same."""
    models = ModuleType("torchvision.models")
    torchvision = ModuleType("torchvision")
    weights = SimpleNamespace(meta={"categories": ["__background__", "person", "N/A", "dog"]})

    class Net(torch.nn.Module):
        def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            assert images[0].shape == (3, 50, 100)
            assert float(images[0].max()) <= 1
            return [found]

    vars(models).update(
        detection=None,
        list_models=lambda module: ["some_net"],
        get_model_weights=lambda name: SimpleNamespace(DEFAULT=weights),
        get_model=lambda name, weights: Net(),
    )
    vars(torchvision)["models"] = models
    return {"torchvision": torchvision, "torchvision.models": models}


def test_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "boxes": torch.tensor([[0.0, 0, 50, 25], [10, 10, 110, 40], [5, 5, 9, 9], [0, 0, 9, 9]]),
        "labels": torch.tensor([3, 1, 2, 1]),
        "scores": torch.tensor([0.9, 0.8, 0.7, 0.1]),
    }
    for name, module in fake_torchvision(found).items():
        monkeypatch.setitem(sys.modules, name, module)
    detector = open_detector("torchvision:some_net")
    assert detector.labels == ("person", "dog")
    (seen,) = detector([PHOTO])
    assert seen.labels == ("dog", "person")  # neither "N/A" nor what scores too low
    expected = np.float32([[0, 0, 0.5, 0.5], [0.1, 0.2, 1, 0.8]])
    assert np.allclose(seen.boxes, expected)
    with pytest.raises(ValueError, match="no detector 'other'"):
        TorchvisionDetector("other")


def test_without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ImportError, match="pip install torchvision"):
        TorchvisionDetector("some_net")
