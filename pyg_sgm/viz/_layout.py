"""Where everything lies in a picture of matches, in inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pyg_sgm.data import ImageRecord
from pyg_sgm.viz._figure import FAINT, grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 10.0  # inches
MAX_ROWS = 4  # of words


@dataclass(frozen=True)
class Canvas:
    """Where the image lies in the picture, and its objects within it, all in inches."""

    left: float
    width: float
    height: float
    boxes: np.ndarray  # [num_objects, 4], x1 y1 x2 y2 with y upwards

    @classmethod
    def of(cls, image: ImageRecord, pixels: np.ndarray | None) -> Canvas:
        size = image.size or (4.0, 3.0)
        if pixels is not None:
            size = (pixels.shape[1], pixels.shape[0])
        height = min(5.6, WIDTH * size[1] / size[0])
        width = min(WIDTH, height * size[0] / size[1])
        left = (WIDTH - width) / 2
        boxes = grid(len(image.objects)) if image.boxes is None else np.asarray(image.boxes)
        x, y = left + boxes[:, 0::2] * width, (1 - boxes[:, 1::2]) * height
        return cls(left, width, height, np.stack([x[:, 0], y[:, 1], x[:, 1], y[:, 0]], axis=1))

    def draw(self, axes: Axes, pixels: np.ndarray | None) -> None:
        from matplotlib.patches import Rectangle

        extent = (self.left, self.left + self.width, 0.0, self.height)
        if pixels is None:
            frame = Rectangle((self.left, 0), self.width, self.height, fc="#f7f7f5", ec=FAINT)
            axes.add_patch(frame)
        else:
            axes.imshow(pixels, extent=extent, aspect="auto", alpha=0.75, interpolation="bicubic")

    def middle(self, obj: int) -> tuple[float, float]:
        x1, y1, x2, y2 = self.boxes[obj]
        return (x1 + x2) / 2, (y1 + y2) / 2

    def between(self, one: int, other: int) -> tuple[float, float]:
        """The point midway between the middles of two objects."""
        (ax, ay), (bx, by) = self.middle(one), self.middle(other)
        return (ax + bx) / 2, (ay + by) / 2

    def foot(self, obj: int, x: float) -> tuple[float, float]:
        """The point of a box's lower edge that is nearest to ``x``."""
        x1, y1, x2, _ = self.boxes[obj]
        inset = 0.15 * (x2 - x1)
        return float(np.clip(x, x1 + inset, x2 - inset)), float(y1)


class Labels:
    """Places labels at a corner of their boxes that no other label has taken."""

    HEIGHT = 0.22

    def __init__(self) -> None:
        self._taken: list[tuple[float, float, float]] = []  # left end, right end, upper edge

    def take(self, label: str, x: float, y: float) -> None:
        """Keeps the place of a label whose middle is given."""
        half = self._width(label) / 2
        self._taken.append((x - half, x + half, y + self.HEIGHT / 2))

    def place(self, label: str, box: np.ndarray) -> tuple[float, float]:
        """Left end and upper edge of the label of a box."""
        x1, y1, x2, y2 = (float(value) for value in box)
        width = self._width(label)
        corners = [
            (x, y)
            for y in (y2, y2 + self.HEIGHT, y1 + self.HEIGHT, y1, (y1 + y2 + self.HEIGHT) / 2)
            for x in (x1, x2 - width)
        ]
        x, y = next((corner for corner in corners if self._free(*corner, width)), corners[0])
        self._taken.append((x, x + width, y))
        return x, y

    @staticmethod
    def _width(label: str) -> float:
        return 0.095 * len(label) + 0.08

    def _free(self, x: float, y: float, width: float) -> bool:
        return not any(
            x < right and left < x + width and abs(y - at) < self.HEIGHT
            for left, right, at in self._taken
        )


@dataclass(frozen=True)
class Word:
    index: int
    text: str
    x: float
    y: float


def rows_of_words(words: Sequence[str]) -> list[list[Word]]:
    """The words in rows that fit the width; what is beyond the last row is left out."""
    rows: list[list[tuple[int, str, float]]] = [[]]
    used = 0.0
    shown = [w if len(w) <= 24 else w[:23] + "…" for w in words]
    for i, word in enumerate(shown):
        width = max(0.108 * len(word), 0.3) + 0.22
        if used + width > WIDTH and rows[-1]:
            if len(rows) == MAX_ROWS:
                rows[-1][-1] = (-1, "…", 0.3)
                break
            rows.append([])
            used = 0.0
        rows[-1].append((i, word, width))
        used += width
    placed = []
    for number, row in enumerate(rows):
        x = (WIDTH - sum(width for _, _, width in row)) / 2
        line = []
        for i, word, width in row:
            line.append(Word(i, word, x + width / 2, -0.75 - 0.62 * number))
            x += width
        placed.append(line)
    return placed
