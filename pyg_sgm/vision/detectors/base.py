"""What detectors find, several of them joined, and suppression of boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pyg_sgm.vision.images import Photo


@dataclass(frozen=True)
class Detections:
    """Regions of one image.

    Args:
        boxes (ndarray): float32 ``[num_boxes, 4]``, x1, y1, x2, y2 in ``[0, 1]``.
        labels (tuple): Label of each box; ``<unk>`` for a region that nothing is known of.
        scores (ndarray): Confidence of each box, float32 ``[num_boxes]`` in ``[0, 1]``.
        names (tuple, optional): Further names of each box with their scores. (default: :obj:`()`,
            none of any box)
    """

    boxes: np.ndarray
    labels: tuple[str, ...]
    scores: np.ndarray
    names: tuple[tuple[tuple[str, float], ...], ...] = ()


class Detector(Protocol):
    """What finds regions in images."""

    @property
    def fingerprint(self) -> str:
        """What it is, with everything that its detections depend on."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that it may give."""

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        """The regions of each image."""


def join(*detectors: Detector) -> Detector:
    """All regions of several detectors, one detector's after the other's.

    A weak detector leaves out much of a scene; with a grid beside it no part is lost.

    Example:
        >>> from pyg_sgm.vision import Grid
        >>> both = join(Grid(1), Grid(3))
        >>> photo = Photo(np.zeros((6, 6, 3), np.uint8), (6, 6))
        >>> both.fingerprint, len(both([photo])[0].labels)
        ('grid 1 + grid 3', 12)
    """
    return _Joined(detectors)


class _Joined:
    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = detectors
        self.fingerprint = " + ".join(detector.fingerprint for detector in detectors)
        self.labels = tuple(dict.fromkeys(x for detector in detectors for x in detector.labels))

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [
            Detections(
                np.concatenate([part.boxes for part in parts]),
                tuple(label for part in parts for label in part.labels),
                np.concatenate([part.scores for part in parts]),
                tuple(n for part in parts for n in part.names or ((),) * len(part.labels)),
            )
            for parts in zip(*(detector(photos) for detector in self._detectors), strict=True)
        ]


def nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    kinds: np.ndarray,
    *,
    iou_threshold: float,
    max_boxes: int,
) -> np.ndarray:
    """Non-maximum suppression: indices of the boxes to keep, best first.

    A box goes if one of the same kind, with a higher score and itself kept, overlaps it by more
    than ``iou_threshold`` (intersection over union).

    Args:
        boxes (ndarray): ``[num_boxes, 4]`` x1, y1, x2, y2 in any unit.
        scores (ndarray): ``[num_boxes]``; of equal ones the first counts as higher.
        kinds (ndarray): Label of each box as a number, ``[num_boxes]``.
        iou_threshold (float): In ``[0, 1]``.
        max_boxes (int): At most so many are kept.

    Example:
        >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 3.9], [0, 0, 4, 4.0]])
        >>> scores, kinds = np.array([0.5, 0.9, 0.4]), np.array([0, 0, 1])
        >>> nms(boxes, scores, kinds, iou_threshold=0.5, max_boxes=9).tolist()
        [1, 2]
    """
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    rest = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(rest) and len(kept) < max_boxes:
        best, rest = rest[0], rest[1:]
        kept.append(int(best))
        corner = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        both = (corner - np.maximum(boxes[best, :2], boxes[rest, :2])).clip(min=0).prod(-1)
        either = area[best] + area[rest] - both
        rest = rest[(both <= iou_threshold * either) | (kinds[rest] != kinds[best])]
    return np.array(kept, dtype=np.int64)
