"""Detections that were made elsewhere."""

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyg_sgm.data import image_record, turned_boxes
from pyg_sgm.io import read_json_lines
from pyg_sgm.vision.detectors.base import Detections
from pyg_sgm.vision.images import Photo

_FRAMES = ("shown", "stored")


@dataclass(frozen=True)
class _Line:
    labels: list[str]
    boxes: list[Any]
    scores: list[float]
    normalized: bool
    frame: str | None


class DetectionsFile:
    """Detections that were made elsewhere, from a file of JSON lines, plain or gzipped (``.gz``).

    One line per image: ``{"image": "a.jpg", "boxes": [[x1, y1, x2, y2]], "labels": ["dog"],
    "scores": [0.9]}``. Boxes are in pixels of the image, or in ``[0, 1]`` if the line says
    ``"normalized": true``; without scores all are 1. Boxes are those of the image as it is shown,
    turned as its EXIF orientation says, unless the line says ``"frame": "stored"``.

    The detector that made the file has a name: a graph folder or a trained run takes any file of
    the detector that it was made with, which may hold other photos. Without a name the file is
    known by its content, and no other is taken.

    Args:
        path (str or PathLike): The file.
        name (str, optional): Name of the detector that made it. (default: :obj:`"detector"` of the
            lines, if they have it)

    Raises:
        FileNotFoundError: If it is absent.
        ValueError: Naming file and line, if a line is no such object or an image occurs twice;
            when called, naming the image, if it has no line or boxes that do not fit it.
    """

    def __init__(self, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        self._path = Path(path)
        if self._path.exists() and not self._path.is_file():
            raise ValueError(f"{path}: not a regular file")
        self._lines: dict[str, _Line] = {}
        names: set[str] = set()
        for number, row in read_json_lines(path):
            where = f"{path}: line {number}"
            image, line = _read(row, where)
            if image in self._lines:
                raise ValueError(f"{where}: image {image!r} occurs twice")
            self._lines[image] = line
            names.add(row.get("detector", ""))
        if name is None and len(names) > 1:
            raise ValueError(f"{path}: detector: expected one name in all lines, got {names}")
        name = name or next(iter(names), "")
        content = hashlib.sha256(self._path.read_bytes()).hexdigest()[:16]
        self.fingerprint = f"file {name or content}"
        self.labels = tuple(sorted({x for line in self._lines.values() for x in line.labels}))

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [self._detections(photo) for photo in photos]

    def _detections(self, photo: Photo) -> Detections:
        if photo.id not in self._lines:
            name = Path(photo.id).name
            why = "without objects, boxes are []"
            if name in self._lines:
                why = f"{name!r} has one: open the photos as a folder, or name them so in records"
            raise ValueError(f"{self._path}: image {photo.id!r} has no line; {why}")
        line = self._lines[photo.id]
        stored = line.frame == "stored"
        if line.frame is None and photo.orientation != 1 and line.boxes:
            warnings.warn(
                f"{self._path}: image {photo.id!r} is turned by its EXIF orientation, and its "
                "boxes are taken as those of the turned image; if they are not, say "
                '"frame": "stored" in the line, else "frame": "shown"',
                stacklevel=2,
            )
        size = photo.stored_size if stored else photo.size
        try:
            record = image_record(
                line.labels,
                line.boxes,
                size=None if line.normalized else size,
                scores={"object": line.scores},
                id=photo.id,
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self._path}: {error}") from error
        assert record.boxes is not None
        boxes = turned_boxes(record.boxes, photo.orientation) if stored else record.boxes
        return Detections(
            boxes.astype(np.float32), tuple(line.labels), np.array(line.scores, np.float32)
        )


def _read(row: Any, where: str) -> tuple[str, _Line]:
    """Name and detections of one image."""
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}: expected an object, got {type(row).__name__}")

    def field(name: str, default: Any = None) -> Any:
        value = row.get(name, default)
        if value is None:
            raise ValueError(f"{where}: {name}: expected a value, got {row.get(name, 'none')}")
        return value

    image, labels, boxes = field("image"), field("labels"), field("boxes")
    if not isinstance(image, str):
        raise ValueError(f"{where}: image: expected a name, got {image!r}")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{where}: labels: expected a list of labels")
    if not isinstance(boxes, list):
        raise ValueError(f"{where}: boxes: expected a list of boxes")
    scores = field("scores", [1.0] * len(labels))
    if not isinstance(scores, list) or not all(map(_is_score, scores)):
        raise ValueError(f"{where}: image {image!r}: scores: expected numbers in [0, 1]")
    normalized = row.get("normalized", row.get("normalised", False))
    if not isinstance(normalized, bool):
        raise ValueError(f"{where}: normalized: expected true or false, got {normalized!r}")
    frame = row.get("frame")
    if frame is not None and frame not in _FRAMES:
        raise ValueError(f"{where}: frame: expected {' or '.join(_FRAMES)}, got {frame!r}")
    if not isinstance(row.get("detector", ""), str):
        raise ValueError(f"{where}: detector: expected a name, got {row['detector']!r}")
    return image, _Line(labels, boxes, scores, normalized, frame)


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
