"""Pictures of matches: needs the extra ``viz``."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pyg_sgm.data import ImageRecord
from pyg_sgm.models.explanation import Match, object_names
from pyg_sgm.retrieval import Explanation
from pyg_sgm.viz._figure import FAINT, GRAY, INK, finish, grid, new_figure, read_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Dark enough to be read as text on white, and apart for the common kinds of color blindness.
COLORS = ("#0072b2", "#c44e00", "#00775a", "#a6317f", "#7a5c00", "#5a4fcf", "#b3261e", "#3f6f21")
WIDTH = 10.0  # inches
MAX_ROWS = 4  # of words
MAX_TRIPLETS = 6
MAX_LINES = 12  # from words
WEAK = 0.15  # share of the strongest match of a level, below which a match is only gray


def draw_match(
    explanation: Explanation,
    path: str | os.PathLike[str] | None = None,
    image: Any = None,
) -> Figure:
    """Draws which word matched which box, and which triplet which relation.

    The canvas shows the boxes of the image; those that a word matched have its color. Below it
    stand the words of the caption, above it its triplets, each with its similarity and a line to
    its match, the stronger the more it adds to the score. Relations are arrows from subject to
    object. An image without boxes has its objects in a grid.

    What objects add that search for words is in the title alone.

    Args:
        explanation: Of :meth:`~pyg_sgm.retrieval.SceneGraphMatcher.explain`.
        path: Where to write the picture; the suffix names the format. (default: :obj:`None`)
        image: The pixels: a file, or an array ``[height, width, 3]``. (default: the file of the
            image's record, else a blank canvas)

    Raises:
        ValueError: If the format is unknown, or the file is no image.
        ImportError: Without Matplotlib.

    Example:
        >>> from pyg_sgm.data import image_record, text_record
        >>> record = image_record(["dog"], [[0.1, 0.2, 0.5, 0.9]])
        >>> match = Match("object", "word", 1, "dog", "object", 0, "dog", 0.9, 0.5)
        >>> text = text_record("a dog")
        >>> figure = draw_match(Explanation(record, text, {"object": 0.45}, [match]))
        >>> figure.axes[0].get_title(loc="left")
        'score 0.45 = object 0.45'
    """
    pixels = read_pixels(explanation.image.file if image is None else image)
    # Objects that search for words would be lines from every box.
    matches = [match for match in explanation.matches if match.level != "reverse"]
    explanation = replace(explanation, matches=matches)
    canvas = _Canvas.of(explanation.image, pixels)
    words = _rows_of_words(explanation)
    triplets = [m for m in explanation.matches if m.text_kind == "triplet"]
    triplets = sorted(triplets, key=lambda m: -m.contribution)[:MAX_TRIPLETS]
    # One unit is one inch: the canvas, then triplets above and words below it.
    top = canvas.height + 0.45 + 0.42 * len(triplets)
    bottom = -0.6 - 0.62 * max(len(words), 1)
    figure = new_figure(WIDTH + 0.4, top - bottom + 0.6)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.97 - 0.35 / (top - bottom + 0.6)))
    axes.set_xlim(-0.1, WIDTH + 0.1)
    axes.set_ylim(bottom, top)
    axes.axis("off")
    parts = " + ".join(f"{name} {value:.2f}" for name, value in explanation.levels.items())
    axes.set_title(f"score {explanation.score:.2f} = {parts}", loc="left", color=INK, fontsize=12)
    canvas.draw(axes, pixels)
    colors = _colors(explanation.matches)
    _draw_boxes(axes, canvas, explanation, colors, triplets)
    _draw_words(axes, canvas, explanation, words, colors)
    _draw_triplets(axes, canvas, explanation, triplets)
    return finish(figure, path)


@dataclass(frozen=True)
class _Canvas:
    """Where the image lies in the picture, and its objects within it, all in inches."""

    left: float
    width: float
    height: float
    boxes: np.ndarray  # [num_objects, 4], x1 y1 x2 y2 with y upwards

    @classmethod
    def of(cls, image: ImageRecord, pixels: np.ndarray | None) -> _Canvas:
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


def _strength(match: Match, matches: list[Match]) -> float:
    """What a match adds, as a share of what the strongest of its kind adds; in [0, 1]."""
    strongest = max(m.contribution for m in matches if m.text_kind == match.text_kind)
    return max(match.contribution, 0.0) / strongest if strongest > 0 else 0.0


def _strongest(matches: list[Match]) -> list[Match]:
    """The matches of words that are worth a line."""
    of_words = [m for m in matches if m.text_kind == "word" and _strength(m, matches) >= WEAK]
    return sorted(of_words, key=lambda m: -m.contribution)[:MAX_LINES]


def _colors(matches: list[Match]) -> dict[int, str]:
    """A color for every object that a word matched well; the strongest get the first colors."""
    strength: dict[int, float] = {}
    triplets = [m for m in matches if m.text_kind == "triplet" and _strength(m, matches) >= WEAK]
    for match in (*_strongest(matches), *triplets):
        if match.image_kind == "object":
            strength[match.image_index] = strength.get(match.image_index, 0) + match.contribution
    order = sorted(strength, key=lambda obj: -strength[obj])
    return {obj: COLORS[i % len(COLORS)] for i, obj in enumerate(order)}


def _draw_boxes(
    axes: Axes,
    canvas: _Canvas,
    explanation: Explanation,
    colors: dict[int, str],
    triplets: list[Match],
) -> None:
    from matplotlib.patches import Rectangle

    related: set[int] = set()
    labels = _Labels()
    for (s, o), predicates in _related(explanation, triplets).items():
        related |= {s, o}
        labels.take(predicates, *canvas.between(s, o))
    names = object_names(explanation.image)
    shown = [*colors, *sorted(related - set(colors))]  # the strongest first
    for obj, (x1, y1, x2, y2) in enumerate(canvas.boxes):
        color = colors.get(obj, INK if obj in related else FAINT)
        width, order = (2.2, 3) if obj in shown else (0.7, 2)
        box = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=width, zorder=order)
        if obj in shown:
            box.set_path_effects(_halo(width))
        axes.add_patch(box)
    for obj in shown:
        label = names[obj]
        x, y = labels.place(label, canvas.boxes[obj])
        axes.text(
            x, y, label, color="white", fontsize=9, va="top", zorder=6,
            bbox={"fc": colors.get(obj, INK), "ec": "none", "pad": 1.5},
        )  # fmt: skip


class _Labels:
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
class _Word:
    index: int
    text: str
    x: float
    y: float


def _rows_of_words(explanation: Explanation) -> list[list[_Word]]:
    """The words in rows that fit the width; what is beyond the last row is left out."""
    rows: list[list[tuple[int, str, float]]] = [[]]
    used = 0.0
    words = [w if len(w) <= 24 else w[:23] + "…" for w in explanation.text.words]
    for i, word in enumerate(words):
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
            line.append(_Word(i, word, x + width / 2, -0.75 - 0.62 * number))
            x += width
        placed.append(line)
    return placed


def _draw_words(
    axes: Axes,
    canvas: _Canvas,
    explanation: Explanation,
    rows: list[list[_Word]],
    colors: dict[int, str],
) -> None:
    match_of = {m.text_index: m for m in explanation.matches if m.text_kind == "word"}
    joined = {m.text_index for m in _strongest(explanation.matches)}
    for word in (word for row in rows for word in row):
        match = match_of.get(word.index)
        strength = 0.0 if match is None else _strength(match, explanation.matches)
        color = INK if match is None else GRAY
        if match is not None and word.index in joined:
            color, target = INK, _between(canvas, explanation, match)
            if match.image_kind == "object":
                color, target = colors[match.image_index], _foot(canvas, match.image_index, word.x)
            _line(axes, (word.x, word.y + 0.2), target, color, strength)
        axes.text(
            word.x, word.y, word.text, color=color, fontsize=11, ha="center", zorder=8,
            fontweight="bold" if strength > 0.5 else "normal",
            bbox={"fc": "white", "ec": "none", "pad": 1},
        )  # fmt: skip
        if match is not None:
            number = f"{match.similarity:.2f}"
            axes.text(word.x, word.y - 0.2, number, color=GRAY, fontsize=7, ha="center", zorder=8)


def _draw_triplets(
    axes: Axes, canvas: _Canvas, explanation: Explanation, triplets: list[Match]
) -> None:
    from matplotlib.patches import FancyArrowPatch

    for row, match in enumerate(triplets):
        target = _between(canvas, explanation, match)
        name = match.text_name if len(match.text_name) <= 60 else match.text_name[:59] + "…"
        half = 0.05 * (len(name) + 6)
        x = float(np.clip(target[0], half, WIDTH - half))
        y = canvas.height + 0.5 + 0.42 * (len(triplets) - 1 - row)
        axes.text(
            x, y, f"{name}  {match.similarity:.2f}", color=INK, fontsize=10, ha="center",
            va="center", bbox={"fc": "#eceff4", "ec": FAINT, "pad": 3}, zorder=8,
        )  # fmt: skip
        _line(axes, (x, y - 0.15), target, INK, _strength(match, explanation.matches))
        if match.image_kind == "relation":
            s, _, o = explanation.image.relations[match.image_index]
            arrow = FancyArrowPatch(
                canvas.middle(s), canvas.middle(o), arrowstyle="-|>", mutation_scale=14,
                color=INK, lw=1.6, zorder=5, path_effects=_halo(1.6),
            )  # fmt: skip
            axes.add_patch(arrow)
    for (s, o), predicates in _related(explanation, triplets).items():
        axes.text(
            *canvas.between(s, o), predicates, color=INK, fontsize=9, ha="center", va="center",
            zorder=7, bbox={"fc": "white", "ec": INK, "lw": 0.6, "pad": 1.5},
        )  # fmt: skip


def _line(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str, strength: float
) -> None:
    """A line whose width and opacity say how much the match adds."""
    width = 0.6 + 1.8 * strength
    axes.plot(
        [start[0], end[0]], [start[1], end[1]], color=color, lw=width, zorder=4,
        alpha=0.15 + 0.75 * strength, solid_capstyle="round", path_effects=_halo(width),
    )  # fmt: skip


def _halo(width: float) -> list[Any]:
    """A thin white edge, so that lines can be told from dark photos."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width + 1.4, foreground="white", alpha=0.6)]


def _foot(canvas: _Canvas, obj: int, x: float) -> tuple[float, float]:
    """The point of a box's lower edge that is nearest to ``x``."""
    x1, y1, x2, _ = canvas.boxes[obj]
    inset = 0.15 * (x2 - x1)
    return float(np.clip(x, x1 + inset, x2 - inset)), float(y1)


def _between(canvas: _Canvas, explanation: Explanation, match: Match) -> tuple[float, float]:
    """The middle of a match's object, or between the two objects of its relation."""
    if match.image_kind == "object":
        return canvas.middle(match.image_index)
    s, _, o = explanation.image.relations[match.image_index]
    return canvas.between(s, o)


def _related(explanation: Explanation, triplets: list[Match]) -> dict[tuple[int, int], str]:
    """What triplets matched between two objects, in either direction: subject and object of the
    first, and all predicates."""
    found: dict[tuple[int, int], list[str]] = {}
    for match in triplets:
        if match.image_kind == "relation":
            s, predicate, o = explanation.image.relations[match.image_index]
            ends = (o, s) if (o, s) in found else (s, o)
            if predicate not in found.setdefault(ends, []):
                found[ends].append(predicate)
    return {ends: ", ".join(predicates) for ends, predicates in found.items()}
