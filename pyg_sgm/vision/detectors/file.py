"""Detections that were made elsewhere."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyg_sgm.data import image_record
from pyg_sgm.vision.detectors.base import Detections
from pyg_sgm.vision.images import Photo


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
        self.fingerprint = f"file {hashlib.sha256(text).hexdigest()[:16]}"
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


def _all_strings(labels: object) -> bool:
    return isinstance(labels, list) and all(isinstance(label, str) for label in labels)
