"""Contact sheets of queries and their best answers: needs the extra ``viz``."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.retrieval.search import Answer, Answered, graph_phrases
from pyg_sgm.viz._figure import FAINT, GREY, INK, finish, grid, new_figure, read_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, MOVED = "#00775a", "#c44e00"
PHOTO = 2.0  # inches
COLUMNS = 5  # photos in a row
GAP = 0.16
UNDER = 0.52  # below a photo, for its score
MARGIN = 0.2
LINE = 0.2


def draw_answers(found: Sequence[Answered], path: str | os.PathLike[str] | None = None) -> Figure:
    """Draws queries with their best answers, as figures 5 and 6 of SGM.

    A text stands above its images, with the objects and triplets that it was parsed to; an image
    beside its texts. What belongs to the query is green. Where a text is compared with the first
    one, each image says which place it had there. An image without a file has its boxes drawn.

    Args:
        found: Of :func:`~pyg_sgm.retrieval.answer_texts` or
            :func:`~pyg_sgm.retrieval.answer_images`; all of texts or all of images.
        path: Where to write the picture; the suffix names the format. (default: :obj:`None`)

    Raises:
        ValueError: If there is no query, the format is unknown, or a file is no image.
        ImportError: Without Matplotlib.

    Example:
        >>> from pyg_sgm.data import image_record, text_record
        >>> image = image_record(["dog"], [[0.1, 0.2, 0.5, 0.9]], id="7.jpg")
        >>> found = Answered(text_record("a dog"), [Answer(image, 1, 0.5, True)], 1)
        >>> len(draw_answers([found]).axes)
        2
    """
    if not found:
        raise ValueError("draw_answers: there is no query")
    columns = min(COLUMNS, max(1, *(len(one.answers) for one in found)))
    of_texts = isinstance(found[0].query, TextRecord)
    width = 2 * MARGIN + (columns * (PHOTO + GAP) - GAP if of_texts else PHOTO + 7.2)
    letters = int((width - 2 * MARGIN) / 0.092)
    heads = [
        _head(one.query, letters) if isinstance(one.query, TextRecord) else [] for one in found
    ]
    under = UNDER if of_texts else UNDER / 2
    rows = [-(-len(one.answers) // COLUMNS) if of_texts else 1 for one in found]
    heights = [
        LINE * len(head) + 0.1 + max(1, row) * (PHOTO + under)
        for head, row in zip(heads, rows, strict=True)
    ]
    height = sum(heights) + MARGIN * (len(found) + 1)
    figure = new_figure(width, height)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_xlim(0, width)
    page.set_ylim(height, 0)  # downwards, in inches
    page.axis("off")
    y = MARGIN
    for one, head, tall in zip(found, heads, heights, strict=True):
        for number, (line, color, weight) in enumerate(head):
            page.text(
                MARGIN, y + LINE * number, line, color=color, fontsize=10, va="top",
                fontweight=weight, family="sans-serif",
            )  # fmt: skip
        top = y + LINE * len(head) + 0.1
        if of_texts:
            _draw_images(figure, page, one, top)
        else:
            _draw_texts(figure, page, one, top, width)
        y += tall + MARGIN
    return finish(figure, path)


def _head(text: TextRecord | ImageRecord, letters: int) -> list[tuple[str, str, str]]:
    """The lines above the answers to a text: line, colour, weight."""
    if isinstance(text, ImageRecord):
        return []
    caption = textwrap.wrap(text.caption, letters) or ["(an empty text)"]
    graph = textwrap.wrap("   ·   ".join(graph_phrases(text)) or "(no graph)", letters)
    return [(line, INK, "bold") for line in caption] + [(line, GREY, "normal") for line in graph]


def _draw_images(figure: Figure, page: Axes, one: Answered, top: float) -> None:
    for number, answer in enumerate(one.answers):
        assert isinstance(answer.record, ImageRecord)
        row, column = divmod(number, COLUMNS)
        left, y = MARGIN + column * (PHOTO + GAP), top + row * (PHOTO + UNDER)
        _draw_photo(figure, page, answer.record, left, y, RIGHT if answer.right else FAINT)
        color = RIGHT if answer.right else INK
        page.text(
            left, y + PHOTO + 0.08, f"{answer.rank}   {answer.score:.3f}", color=color,
            fontsize=9, va="top", fontweight="bold" if answer.right else "normal",
        )  # fmt: skip
        note, color = _note(answer)
        page.text(left, y + PHOTO + 0.27, note, color=color, fontsize=8, va="top")
    if one.truth is not None and not any(answer.right for answer in one.answers):
        page.text(
            MARGIN + min(len(one.answers), COLUMNS) * (PHOTO + GAP) - GAP, top - 0.05,
            f"its own image is at {one.truth:,}", color=RIGHT, fontsize=8, ha="right", va="bottom",
        )  # fmt: skip


def _draw_texts(figure: Figure, page: Axes, one: Answered, top: float, width: float) -> None:
    assert isinstance(one.query, ImageRecord)
    _draw_photo(figure, page, one.query, MARGIN, top, FAINT)
    page.text(MARGIN, top + PHOTO + 0.08, one.query.id, color=GREY, fontsize=8, va="top")
    left = MARGIN + PHOTO + 0.25
    step = PHOTO / max(len(one.answers), 1)
    for row, answer in enumerate(one.answers):
        assert isinstance(answer.record, TextRecord)
        y = top + step * row
        color = RIGHT if answer.right else INK
        weight = "bold" if answer.right else "normal"
        label = f"{answer.rank}   {answer.score:.3f}"
        page.text(left, y, label, fontsize=9, fontweight=weight, color=color, va="top")
        lines = textwrap.wrap(answer.record.caption, int((width - left - MARGIN - 0.85) / 0.081))
        lines = lines if len(lines) < 3 else [lines[0], lines[1][:-2] + " …"]
        page.text(left + 0.85, y, "\n".join(lines), fontsize=9, color=color, va="top")
    if one.truth is not None and not any(answer.right for answer in one.answers):
        page.text(
            left, top + PHOTO + 0.08, f"the first of its own texts is at {one.truth:,}",
            color=RIGHT, fontsize=8, va="top",
        )  # fmt: skip


def _note(answer: Answer) -> tuple[str, str]:
    """What to say below a score, and its colour."""
    if answer.before is None:
        return answer.record.id if len(answer.record.id) < 26 else answer.record.id[:24] + "…", GREY
    if answer.before == answer.rank:
        return "the same place", GREY
    up = answer.before > answer.rank
    return f"{'up' if up else 'down'} from {answer.before:,}", MOVED if up else GREY


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
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=GREY, lw=0.7))
        axes.text(x1, y1, name, fontsize=6, color=INK, va="top", clip_on=True)
