"""The detector that needs no network."""

from collections.abc import Sequence

import numpy as np

from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.vision.detectors.base import Detections
from pyg_sgm.vision.images import Photo


class Grid:
    """The whole image and its division into equal cells: needs no network and always works.

    Every region has the label ``<unk>`` and the score 1.

    Args:
        side (int, optional): Cells on each side. (default: :obj:`3`)

    Raises:
        ValueError: If ``side`` is less than 1.

    Example:
        >>> photo = Photo(np.zeros((6, 6, 3), np.uint8), (6, 6))
        >>> Grid(side=2)([photo])[0].boxes[:2].tolist()
        [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5]]
    """

    labels: tuple[str, ...] = ()

    def __init__(self, side: int = 3) -> None:
        if side < 1:
            raise ValueError(f"side: expected at least 1, got {side}")
        self.fingerprint = f"grid {side}"
        edge = np.arange(side + 1) / side
        cells = [
            (edge[j], edge[i], edge[j + 1], edge[i + 1]) for i in range(side) for j in range(side)
        ]
        boxes = np.array([(0, 0, 1, 1), *cells], dtype=np.float32)
        self._found = Detections(boxes, (UNKNOWN,) * len(boxes), np.ones(len(boxes), np.float32))

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [self._found] * len(photos)
