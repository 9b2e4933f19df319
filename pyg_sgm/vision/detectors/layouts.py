"""What the outputs of ONNX detectors mean: the layouts of the field, recognized by shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

STRIDES = (8, 16, 32)  # of YOLOX


@dataclass(frozen=True)
class Found:
    """What a network found: boxes in pixels of its input, a score and a class each.

    Args:
        boxes (ndarray): x1, y1, x2, y2, ``[num_boxes, 4]``.
        scores (ndarray): ``[num_boxes]``.
        classes (ndarray): ``[num_boxes]``.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class Layout(Protocol):
    """How a network wants its input, and how its outputs are read."""

    name: str
    suppress: bool  # whether several boxes of one object are left to suppress
    letterbox: bool  # whether the image keeps its shape, with gray beside it
    scale: float  # of the pixels 0 ... 255
    bgr: bool

    def read(self, outputs: Sequence[np.ndarray], min_score: float) -> Found:
        """The boxes of at least a score."""


class Yolox:
    """``[1, num_places, 5 + num_labels]`` after `"YOLOX: Exceeding YOLO Series in 2021"
    <https://arxiv.org/abs/2107.08430>`_: center and logarithm of the size on the grids of strides
    8, 16 and 32, objectness, label probabilities."""

    name, suppress, letterbox, scale, bgr = "yolox", True, True, 1.0, True

    def __init__(self, height: int, width: int) -> None:
        self._cell, self._stride = yolox_places(height, width)

    def read(self, outputs: Sequence[np.ndarray], min_score: float) -> Found:
        (out,) = outputs
        # Label probabilities only lower the score, so few rows are left to look at.
        rows = np.flatnonzero(out[0, :, 4] >= min_score)
        found = out[0, rows]
        score, kind = _best(found[:, 4:5] * found[:, 5:])
        center = (found[:, :2] + self._cell[rows]) * self._stride[rows]
        half = np.exp(found[:, 2:4]) * self._stride[rows] / 2
        return _kept(np.concatenate([center - half, center + half], 1), score, kind, min_score)


class Yolo:
    """``[1, 4 + num_labels, num_places]`` of YOLOv8 and YOLO11: center and size in pixels of the
    input, label probabilities."""

    name, suppress, letterbox, scale, bgr = "yolo", True, True, 1 / 255, False

    def read(self, outputs: Sequence[np.ndarray], min_score: float) -> Found:
        found = outputs[0][0].T
        score, kind = _best(found[:, 4:])
        return _kept(_corners(found[:, :4]), score, kind, min_score)


class EndToEnd:
    """``[1, num_boxes, 6]`` or ``[num_boxes, 6]``: corners in pixels of the input, score, class."""

    name, suppress, letterbox, scale, bgr = "end-to-end", False, True, 1 / 255, False

    def read(self, outputs: Sequence[np.ndarray], min_score: float) -> Found:
        found = outputs[0].reshape(-1, 6)
        return _kept(found[:, :4], found[:, 4], found[:, 5].astype(np.int64), min_score)


class BoxesAndLogits:
    """Boxes ``[1, num_queries, 4]``, center and size in ``[0, 1]``, and logits of the labels
    ``[1, num_queries, num_labels]``, of RT-DETR and D-FINE."""

    name, suppress, letterbox, scale, bgr = "detr", False, False, 1 / 255, False

    def __init__(self, height: int, width: int, boxes: int) -> None:
        self._size = np.array([width, height] * 2, np.float32)
        self._boxes = boxes  # which output has them

    def read(self, outputs: Sequence[np.ndarray], min_score: float) -> Found:
        boxes, logits = outputs[self._boxes][0], outputs[1 - self._boxes][0]
        score, kind = _best(1 / (1 + np.exp(-logits.clip(-80, 80))))
        return _kept(_corners(boxes) * self._size, score, kind, min_score)


class BoxesWithProbabilities:
    """``[1, num_queries, 4 + num_labels]`` of RT-DETR as Ultralytics exports it: center and size in
    ``[0, 1]``, label probabilities."""

    name, suppress, letterbox, scale, bgr = "detr-joint", False, False, 1 / 255, False

    def __init__(self, height: int, width: int) -> None:
        self._size = np.array([width, height] * 2, np.float32)

    def read(self, outputs: Sequence[np.ndarray], min_score: float) -> Found:
        found = outputs[0][0]
        score, kind = _best(found[:, 4:])
        return _kept(_corners(found[:, :4]) * self._size, score, kind, min_score)


class LabelsBoxesScores:
    """Labels ``[1, num_boxes]``, boxes ``[1, num_boxes, 4]`` and scores ``[1, num_boxes]`` of
    RT-DETR and D-FINE as their authors export them: corners in pixels of the size that the network
    is told, which is that of its input."""

    name, suppress, letterbox, scale, bgr = "detr-scored", False, False, 1 / 255, False

    def __init__(self, labels: int, boxes: int, scores: int) -> None:
        self._places = labels, boxes, scores  # which output is which

    def read(self, outputs: Sequence[np.ndarray], min_score: float) -> Found:
        kind, boxes, score = (outputs[at][0] for at in self._places)
        return _kept(boxes, score, kind, min_score)


def recognize(
    outputs: Sequence[np.ndarray], names: Sequence[str], height: int, width: int
) -> tuple[Layout, int | None] | None:
    """The layout of a network's outputs and its number of labels, which one layout does not tell.

    Args:
        outputs (list of ndarray): What it gives for one image.
        names (list of str): Their names.
        height (int): Height of its input.
        width (int): Width of its input.

    Returns:
        :obj:`None` if it has none of the layouts.

    Example:
        >>> layout, num_labels = recognize([np.zeros((1, 84, 8400))], ["output0"], 640, 640)
        >>> layout.name, num_labels
        ('yolo', 80)
    """
    shapes = [np.shape(out) for out in outputs]
    if len(shapes) == 2 and all(len(s) == 3 and s[0] == 1 for s in shapes):
        (_, queries, first), (_, others, second) = shapes
        if queries == others and 4 in (first, second):
            at = 0 if second != 4 or "box" in names[0] else 1
            return BoxesAndLogits(height, width, at), shapes[1 - at][2]
    if len(shapes) == 3:
        whole = [np.issubdtype(np.asarray(out).dtype, np.integer) for out in outputs]
        order = sorted(range(3), key=lambda i: (not whole[i], len(shapes[i]) == 2))
        labels, boxes = shapes[order[0]], shapes[order[1]]
        if whole[order[0]] and labels == shapes[order[2]] and boxes == (*labels, 4):
            return LabelsBoxesScores(*order), None
    if len(shapes) != 1 or len(shapes[0]) not in (2, 3):
        return None
    rows, columns = shapes[0][-2:]
    batched = len(shapes[0]) == 3
    if batched and shapes[0][0] != 1:
        return None
    if batched and columns > 5 and rows == len(yolox_places(height, width)[0]):
        return Yolox(height, width), columns - 5
    if columns == 6:
        return EndToEnd(), None
    if batched and 4 < rows < columns:
        return Yolo(), rows - 4
    if batched and 4 < columns < rows:
        return BoxesWithProbabilities(height, width), columns - 4
    return None


def yolox_places(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Cell of each place of the output, ``[num_places, 2]`` x, y, and its stride in pixels."""
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _best(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest score of each row and its column."""
    kind = scores.argmax(1) if len(scores) else np.zeros(0, np.int64)
    return scores.max(1, initial=0), kind


def _corners(boxes: np.ndarray) -> np.ndarray:
    center, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([center - half, center + half], axis=1)


def _kept(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, least: float) -> Found:
    keep = scores >= least
    return Found(boxes[keep], scores[keep], classes[keep])
