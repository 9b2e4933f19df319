"""What detectors find, and the detectors that need no network."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pyg_sgm.data import image_record
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.vision.images import Photo


@dataclass(frozen=True)
class Detections:
    """Regions of one image.

    Args:
        boxes: float32 ``[num_boxes, 4]``, x1, y1, x2, y2 in ``[0, 1]``.
        labels: Label of each box; ``<unk>`` for a region that nothing is known of.
        scores: Confidence of each box, float32 ``[num_boxes]`` in ``[0, 1]``.
    """

    boxes: np.ndarray
    labels: tuple[str, ...]
    scores: np.ndarray


class Detector(Protocol):
    """What finds regions in images."""

    @property
    def key(self) -> str:
        """What it is, with everything that its detections depend on."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that it may give."""

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        """The regions of each image."""


class Grid:
    """The whole image and its division into equal cells: needs no network and always works.

    Every region has the label ``<unk>`` and the score 1.

    Args:
        side: Cells on each side. (default: ``3``)

    Example:
        >>> photo = Photo(np.zeros((6, 6, 3), np.uint8), (6, 6))
        >>> Grid(side=2)([photo])[0].boxes[:2].tolist()
        [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5]]
    """

    labels: tuple[str, ...] = ()

    def __init__(self, side: int = 3) -> None:
        self.key = f"grid {side}"
        edge = np.arange(side + 1) / side
        cells = [
            (edge[j], edge[i], edge[j + 1], edge[i + 1]) for i in range(side) for j in range(side)
        ]
        boxes = np.array([(0, 0, 1, 1), *cells], dtype=np.float32)
        self._found = Detections(boxes, (UNKNOWN,) * len(boxes), np.ones(len(boxes), np.float32))

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [self._found] * len(photos)


class DetectionsFile:
    """Detections that were made elsewhere, from a file of JSON lines.

    One line an image: ``{"image": "a.jpg", "boxes": [[x1, y1, x2, y2]], "labels": ["dog"],
    "scores": [0.9]}``. Boxes are in pixels of the file, or in ``[0, 1]`` if the line says
    ``"normalised": true``; without scores all are 1.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If it is absent.
        ValueError: Naming file and line, if a line is no such object or an image occurs twice;
            when called, naming the image, if it has no line, boxes that do not fit it, or scores
            outside ``[0, 1]``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        text = self._path.read_bytes()
        self.key = f"file {hashlib.sha256(text).hexdigest()[:16]}"
        self._lines: dict[str, dict[str, Any]] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            where = f"{path}: line {number}"
            try:
                row = json.loads(line)
                image, labels, _ = row["image"], row["labels"], row["boxes"]
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(f"{where}: expected image, boxes and labels ({error})") from error
            if not isinstance(image, str) or not _all_strings(labels):
                raise ValueError(f"{where}: expected a name of the image and a list of labels")
            if image in self._lines:
                raise ValueError(f"{where}: image {image!r} occurs twice")
            self._lines[image] = row
        self.labels = tuple(sorted({x for row in self._lines.values() for x in row["labels"]}))

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [self._detections(photo) for photo in photos]

    def _detections(self, photo: Photo) -> Detections:
        if photo.id not in self._lines:
            raise ValueError(
                f"{self._path}: image {photo.id!r} has no line; without objects, boxes are []"
            )
        row = self._lines[photo.id]
        scores = row.get("scores", [1.0] * len(row["labels"]))
        try:
            record = image_record(
                row["labels"],
                row["boxes"],
                size=None if row.get("normalised", False) else photo.size,
                scores={"object": scores},
                id=photo.id,
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self._path}: {error}") from error
        assert record.boxes is not None
        if not all(0 <= score <= 1 for score in scores):
            raise ValueError(f"{self._path}: image {photo.id!r}: scores: expected [0, 1]")
        return Detections(
            record.boxes.astype(np.float32), tuple(row["labels"]), np.array(scores, np.float32)
        )


def join(*detectors: Detector) -> Detector:
    """All regions of several detectors, one detector's after the other's.

    A weak detector leaves out much of a scene; with a grid beside it no part is lost.

    Example:
        >>> both = join(Grid(1), Grid(3))
        >>> photo = Photo(np.zeros((6, 6, 3), np.uint8), (6, 6))
        >>> both.key, len(both([photo])[0].labels)
        ('grid 1 + grid 3', 12)
    """
    return _Joined(detectors)


class _Joined:
    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = detectors
        self.key = " + ".join(detector.key for detector in detectors)
        self.labels = tuple(dict.fromkeys(x for detector in detectors for x in detector.labels))

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [
            Detections(
                np.concatenate([part.boxes for part in parts]),
                tuple(label for part in parts for label in part.labels),
                np.concatenate([part.scores for part in parts]),
            )
            for parts in zip(*(detector(photos) for detector in self._detectors), strict=True)
        ]


def best_detections(
    boxes: np.ndarray,
    scores: np.ndarray,
    kinds: np.ndarray,
    *,
    max_overlap: float,
    limit: int,
) -> np.ndarray:
    """Non-maximum suppression: indices of the boxes to keep, best first.

    A box goes if one of the same kind, with a higher score and itself kept, overlaps it by more
    than ``max_overlap`` (intersection over union).

    Args:
        boxes: ``[num_boxes, 4]`` x1, y1, x2, y2 in any unit.
        scores: ``[num_boxes]``; of equal ones the first counts as higher.
        kinds: Label of each box as a number, ``[num_boxes]``.
        max_overlap: In ``[0, 1]``.
        limit: At most so many are kept.

    Example:
        >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 3.9], [0, 0, 4, 4.0]])
        >>> scores, kinds = np.array([0.5, 0.9, 0.4]), np.array([0, 0, 1])
        >>> best_detections(boxes, scores, kinds, max_overlap=0.5, limit=9).tolist()
        [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    box = boxes[order]
    corner = np.minimum(box[:, None, 2:], box[None, :, 2:])
    sides = (corner - np.maximum(box[:, None, :2], box[None, :, :2])).clip(min=0)
    both = sides.prod(-1)  # [num_boxes, num_boxes]
    area = (box[:, 2:] - box[:, :2]).prod(-1)
    either = area[:, None] + area[None] - both
    rival = (both > max_overlap * either) & (kinds[order][:, None] == kinds[order][None])
    alive = np.ones(len(order), dtype=bool)
    kept: list[int] = []
    for i in range(len(order)):
        if len(kept) == limit:
            break
        if alive[i]:
            kept.append(i)
            alive &= ~rival[i]
    return order[kept]


def _all_strings(labels: object) -> bool:
    return isinstance(labels, list) and all(isinstance(label, str) for label in labels)
