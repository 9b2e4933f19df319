"""Detections of grids, files and torchvision, joined and suppressed."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pyg_sgm.vision import DetectionsFile, Grid, Photo, TorchvisionDetector, join, open_detector
from pyg_sgm.vision.detectors.base import nms

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
        found = nms(boxes, scores, kinds, iou_threshold=0.45, limit=100).tolist()
        assert found == suppressed(boxes, scores, kinds)
        limited = nms(boxes, scores, kinds, iou_threshold=0.45, limit=3).tolist()
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
    with pytest.raises(ValueError, match=r"found.jsonl: image 'd.jpg' has no line"):
        detector([Photo(PHOTO.pixels, PHOTO.size, "d.jpg")])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: expected image, boxes and labels"),
        ("[1]", "line 1: expected image, boxes and labels"),
        ('{"image": "a.jpg", "labels": []}', "boxes"),
        ('{"image": 7, "boxes": [], "labels": []}', "a name of the image"),
        ('{"image": "a.jpg", "boxes": [], "labels": [1]}', "list of labels"),
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
    for name in ("", "yolo", "onnx:", "grid+"):
        with pytest.raises(ValueError, match="expected grid, onnx:FILE"):
            open_detector(name)


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
