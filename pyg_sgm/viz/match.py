"""Pictures of matches: needs the extra ``viz``."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.models.explanation import Match, object_names
from pyg_sgm.retrieval import Explanation
from pyg_sgm.viz._figure import FAINT, GRAY, INK, finish, new_figure, read_pixels
from pyg_sgm.viz._layout import WIDTH, Canvas, Labels, Word, rows_of_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Dark enough to be read as text on white, and apart for the common kinds of color blindness.
COLORS = ("#0072b2", "#c44e00", "#00775a", "#a6317f", "#7a5c00", "#5a4fcf", "#b3261e", "#3f6f21")
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
    its match, the stronger the more it adds to the score; what adds next to nothing is gray and has
    none. Relations are arrows from subject to object. An image without boxes has its objects in a
    grid.

    What objects add that search for words is in the title alone.

    Args:
        explanation (Explanation): Of :meth:`~pyg_sgm.retrieval.SceneGraphMatcher.explain`.
        path (str or PathLike, optional): Where to write the picture; the suffix names the format.
            (default: :obj:`None`)
        image (any, optional): The pixels: a file, or an array ``[height, width, 3]``. (default: the
            file of the image's record, else a blank canvas)

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
    canvas = Canvas.of(explanation.image, pixels)
    words = rows_of_words(explanation.text.words)
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
    axes.set_title(explanation.sum_of_levels(), loc="left", color=INK, fontsize=12)
    canvas.draw(axes, pixels)
    colors = _colors(explanation.matches)
    strong = [m for m in triplets if _strength(m, explanation.matches) >= WEAK]
    _draw_boxes(axes, canvas, explanation, colors, strong)
    _draw_words(axes, canvas, explanation, words, colors)
    _draw_triplets(axes, canvas, explanation, triplets)
    return finish(figure, path)


def _strength(match: Match, matches: list[Match]) -> float:
    """What a match adds, as a share of what the strongest of its kind adds, or of what the
    strongest word adds, if that is more; in [0, 1]."""
    kinds = ("word", match.text_kind)
    strongest = max(m.contribution for m in matches if m.text_kind in kinds)
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
    canvas: Canvas,
    explanation: Explanation,
    colors: dict[int, str],
    triplets: list[Match],
) -> None:
    from matplotlib.patches import Rectangle

    related: set[int] = set()
    labels = Labels()
    for (s, o), predicates in _related(explanation, triplets).items():
        related |= {s, o}
        if predicates:
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


def _draw_words(
    axes: Axes,
    canvas: Canvas,
    explanation: Explanation,
    rows: list[list[Word]],
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
                color, target = colors[match.image_index], canvas.foot(match.image_index, word.x)
            _line(axes, (word.x, word.y + 0.2), target, color, strength)
        axes.text(
            word.x, word.y, word.text, color=color, fontsize=11, ha="center", zorder=8,
            fontweight="bold" if strength > 0.5 else "normal",
            bbox={"fc": "white", "ec": "none", "pad": 1},
        )  # fmt: skip
        if match is not None:
            number = _number(match.similarity)
            axes.text(word.x, word.y - 0.2, number, color=GRAY, fontsize=7, ha="center", zorder=8)


def _draw_triplets(
    axes: Axes, canvas: Canvas, explanation: Explanation, triplets: list[Match]
) -> None:
    from matplotlib.patches import FancyArrowPatch

    strong = [m for m in triplets if _strength(m, explanation.matches) >= WEAK]
    for row, match in enumerate(triplets):
        target = _between(canvas, explanation, match)
        name = match.text_name if len(match.text_name) <= 60 else match.text_name[:59] + "…"
        half = 0.05 * (len(name) + 6)
        x = float(np.clip(target[0], half, WIDTH - half))
        y = canvas.height + 0.5 + 0.42 * (len(triplets) - 1 - row)
        axes.text(
            x, y, f"{name}  {_number(match.similarity)}", fontsize=10, ha="center",
            color=INK if match in strong else GRAY,
            va="center", bbox={"fc": "#eceff4", "ec": FAINT, "pad": 3}, zorder=8,
        )  # fmt: skip
        if match not in strong:
            continue
        _line(axes, (x, y - 0.15), target, INK, _strength(match, explanation.matches))
        if match.image_kind == "relation":
            s, _, o = explanation.image.relations[match.image_index]
            arrow = FancyArrowPatch(
                canvas.middle(s), canvas.middle(o), arrowstyle="-|>", mutation_scale=14,
                color=INK, lw=1.6, zorder=5, path_effects=_halo(1.6),
            )  # fmt: skip
            axes.add_patch(arrow)
    for (s, o), predicates in _related(explanation, strong).items():
        if not predicates:
            continue
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


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # never -0.00


def _halo(width: float) -> list[Any]:
    """A thin white edge, so that lines can be told from dark photos."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width + 1.4, foreground="white", alpha=0.6)]


def _between(canvas: Canvas, explanation: Explanation, match: Match) -> tuple[float, float]:
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
            known = found.setdefault(ends, [])
            if predicate not in (*known, UNKNOWN):  # a pair that nobody named is an arrow alone
                known.append(predicate)
    return {ends: ", ".join(predicates) for ends, predicates in found.items()}
