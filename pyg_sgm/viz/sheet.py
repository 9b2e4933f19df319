"""Contact sheets of queries and their best answers: needs the extra ``viz``."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.io import printable
from pyg_sgm.retrieval import Candidate
from pyg_sgm.retrieval.search import graph_phrases, in_order
from pyg_sgm.viz._figure import FAINT, GRAY, INK, finish, grid, new_figure, read_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, MOVED = "#00775a", "#c44e00"
PHOTO = 2.0  # inches
COLUMNS = 5  # photos in a row
GAP = 0.16
UNDER = 0.52  # below a photo, for its score and its name
COMPARED = 0.17  # more, for how it moved
MARGIN = 0.2
LINE = 0.2
NAME = 28  # letters of a name that have room below a photo


def draw_found_images(
    queries: Sequence[TextRecord | ImageRecord],
    found: Sequence[Sequence[Candidate]],
    dataset: SceneGraphDataset,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draws queries with the images that were found, as figure 5 of SGM.

    A text stands above its images, with the objects and triplets that it was parsed to; an image
    comes first among those that are like it. What belongs to the query is green. Where a text is
    compared with the first one, each image says which place it had there. An image without a file
    has its boxes drawn.

    Args:
        queries (list of TextRecord or ImageRecord): Texts, or images.
        found (list of list of Candidate): The images found for each, of
            :func:`~pyg_sgm.retrieval.search_images`.
        dataset (SceneGraphDataset): The images that were searched.
        path (str or PathLike, optional): Where to write the picture; the suffix names the format.
            (default: :obj:`None`)

    Raises:
        ValueError: If there is no query, the format is unknown, or a file is no image.
        ImportError: Without Matplotlib.

    Example:
        >>> from pyg_sgm.data import image_record, text_record
        >>> image = image_record(["dog"], [[0.1, 0.2, 0.5, 0.9]], id="7.jpg")
        >>> data = SceneGraphDataset([image], [], [])
        >>> found = [Candidate(0, "7.jpg", score=0.5, rank=1, relevant=True)]
        >>> len(draw_found_images([text_record("a dog")], [found], data).axes)
        2
    """
    _check_any(queries)
    cells = [_cells(*one, dataset) for one in zip(queries, found, strict=True)]
    columns = min(COLUMNS, max(1, *(len(one) for one in cells)))
    width = 2 * MARGIN + columns * (PHOTO + GAP) - GAP
    letters = int((width - 2 * MARGIN) / 0.092)
    heads = [_head(query, letters) for query in queries]
    unders = [UNDER + COMPARED * any(cell.moved for cell in one) for one in cells]
    rows = [max(1, -(-len(one) // COLUMNS)) for one in cells]
    heights = [
        LINE * len(head) + 0.1 + row * (PHOTO + under)
        for head, row, under in zip(heads, rows, unders, strict=True)
    ]
    figure, page = _new_page(width, heights)
    y = MARGIN
    for number, (head, tall) in enumerate(zip(heads, heights, strict=True)):
        for line, (text, color, weight) in enumerate(head):
            page.text(
                MARGIN, y + LINE * line, text, color=color, fontsize=10, va="top",
                fontweight=weight, family="sans-serif",
            )  # fmt: skip
        top = y + LINE * len(head) + 0.1
        for position, cell in enumerate(cells[number]):
            row, column = divmod(position, COLUMNS)
            place = MARGIN + column * (PHOTO + GAP), top + row * (PHOTO + unders[number])
            _draw_cell(figure, page, cell, *place)
        for own in found[number][len(in_order(found[number])) :]:
            right = MARGIN + min(len(cells[number]), COLUMNS) * (PHOTO + GAP) - GAP
            note = f"its own image {printable(own.id)} is at {own.rank:,}"
            page.text(right, top - 0.05, note, color=RIGHT, fontsize=8, ha="right", va="bottom")
        y += tall + MARGIN
    return finish(figure, path)


def draw_found_texts(
    queries: Sequence[ImageRecord],
    found: Sequence[Sequence[Candidate]],
    dataset: SceneGraphDataset,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draws images beside the texts that were found, as figure 6 of SGM. What belongs to the image
    is green.

    Args:
        queries (list of ImageRecord): The images.
        found (list of list of Candidate): The texts found for each, of
            :func:`~pyg_sgm.retrieval.search_texts`.
        dataset (SceneGraphDataset): The texts that were searched.
        path (str or PathLike, optional): Where to write the picture; the suffix names the format.
            (default: :obj:`None`)

    Raises:
        ValueError: If there is no query, the format is unknown, or a file is no image.
        ImportError: Without Matplotlib.
    """
    _check_any(queries)
    heights = [0.1 + PHOTO + UNDER / 2] * len(queries)
    figure, page = _new_page(2 * MARGIN + PHOTO + 7.2, heights)
    for number, (query, one) in enumerate(zip(queries, found, strict=True)):
        top = MARGIN + number * (heights[0] + MARGIN) + 0.1
        _draw_photo(figure, page, query, MARGIN, top, FAINT)
        page.text(MARGIN, top + PHOTO + 0.08, printable(query.id), color=GRAY, fontsize=8, va="top")
        _draw_texts(page, one, dataset, top)
    return finish(figure, path)


def _check_any(queries: Sequence[TextRecord | ImageRecord]) -> None:
    if not queries:
        raise ValueError("there is no query to draw")


def _new_page(width: float, heights: Sequence[float]) -> tuple[Figure, Axes]:
    """A figure and axes over all of it, downwards and in inches."""
    height = sum(heights) + MARGIN * (len(heights) + 1)
    figure = new_figure(width, height)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_xlim(0, width)
    page.set_ylim(height, 0)
    page.axis("off")
    return figure, page


def _head(query: TextRecord | ImageRecord, letters: int) -> list[tuple[str, str, str]]:
    """The lines above the answers to a query: line, color, weight."""
    if isinstance(query, ImageRecord):
        return [(line, INK, "bold") for line in textwrap.wrap(printable(query.id), letters)]
    caption = textwrap.wrap(query.caption, letters) or ["(an empty text)"]
    graph = textwrap.wrap("   ·   ".join(graph_phrases(query)) or "(no graph)", letters)
    return [(line, INK, "bold") for line in caption] + [(line, GRAY, "normal") for line in graph]


@dataclass(frozen=True)
class _Cell:
    """A photo of a sheet with what is said below it: its place, its name, how it moved."""

    image: ImageRecord
    place: str
    name: str
    relevant: bool
    moved: str = ""


def _cells(
    query: TextRecord | ImageRecord, found: Sequence[Candidate], dataset: SceneGraphDataset
) -> list[_Cell]:
    cells = [_Cell(query, "the query", query.id, False)] if isinstance(query, ImageRecord) else []
    for one in in_order(found):
        moved = "" if one.previous_rank is None else _moved(one.rank, one.previous_rank)
        place = f"{one.rank}   {one.score:.3f}"
        cells.append(_Cell(dataset.images[one.index], place, one.id, bool(one.relevant), moved))
    return cells


def _draw_cell(figure: Figure, page: Axes, cell: _Cell, left: float, top: float) -> None:
    _draw_photo(figure, page, cell.image, left, top, RIGHT if cell.relevant else FAINT)
    page.text(
        left, top + PHOTO + 0.08, cell.place, color=RIGHT if cell.relevant else INK, fontsize=9,
        va="top", fontweight="bold" if cell.relevant else "normal",
    )  # fmt: skip
    name = _middle_cut(printable(cell.name), NAME)
    page.text(left, top + PHOTO + 0.27, name, color=GRAY, fontsize=8, va="top")
    if cell.moved:
        color = MOVED if cell.moved.startswith("up") else GRAY
        page.text(left, top + PHOTO + 0.43, cell.moved, color=color, fontsize=8, va="top")


def _draw_texts(
    page: Axes, found: Sequence[Candidate], dataset: SceneGraphDataset, top: float
) -> None:
    shown = in_order(found)
    left, width = MARGIN + PHOTO + 0.25, page.get_xlim()[1]
    step = PHOTO / max(len(shown), 1)
    for row, candidate in enumerate(shown):
        y = top + step * row
        color = RIGHT if candidate.relevant else INK
        weight = "bold" if candidate.relevant else "normal"
        label = f"{candidate.rank}   {candidate.score:.3f}"
        page.text(left, y, label, fontsize=9, fontweight=weight, color=color, va="top")
        caption = dataset.texts[candidate.index].caption
        lines = textwrap.wrap(caption, int((width - left - MARGIN - 0.85) / 0.081))
        lines = lines if len(lines) < 3 else [lines[0], lines[1][:-2] + " …"]
        page.text(left + 0.85, y, "\n".join(lines), fontsize=9, color=color, va="top")
    for own in found[len(shown) :]:
        note = f"the first of its own texts is at {own.rank:,}"
        page.text(left, top + PHOTO + 0.08, note, color=RIGHT, fontsize=8, va="top")


def _moved(rank: int, previous: int) -> str:
    """Where an image stood for the first text."""
    if previous == rank:
        return "the same place"
    return f"{'up' if previous > rank else 'down'} from {previous:,}"


def _middle_cut(name: str, letters: int) -> str:
    """A name cut in the middle, because names of a folder differ at their ends."""
    if len(name) <= letters:
        return name
    end = 2 * letters // 3
    return f"{name[: letters - end - 1]}…{name[-end:]}"


def _draw_photo(
    figure: Figure, page: Axes, image: ImageRecord, left: float, top: float, color: str
) -> None:
    """A photo as large as a square of :data:`PHOTO` inches allows, in a frame."""
    from matplotlib.patches import Rectangle

    pixels = read_pixels(image.file)
    size = image.size or (4.0, 3.0)
    wide, tall = size if pixels is None else (pixels.shape[1], pixels.shape[0])
    scale = PHOTO / max(wide, tall)
    wide, tall = wide * scale, tall * scale
    x, y = left + (PHOTO - wide) / 2, top + (PHOTO - tall) / 2
    page_width, page_height = page.get_xlim()[1], page.get_ylim()[0]
    axes = figure.add_axes(
        (x / page_width, 1 - (y + tall) / page_height, wide / page_width, tall / page_height)
    )
    axes.set(xticks=[], yticks=[], facecolor="#f7f7f5", xlim=(0, 1), ylim=(1, 0))
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=3.5 if color == RIGHT else 0.8)
    if pixels is not None:
        axes.imshow(pixels, extent=(0, 1, 1, 0), aspect="auto", interpolation="bicubic")
        return
    boxes = grid(len(image.objects)) if image.boxes is None else np.asarray(image.boxes)
    for (x1, y1, x2, y2), name in zip(boxes, image.objects, strict=True):
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=GRAY, lw=0.7))
        axes.text(x1, y1, name, fontsize=6, color=INK, va="top", clip_on=True)
