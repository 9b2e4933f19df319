"""Pictures of HOAD's attention and re-ranking: needs the extra ``viz``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from torch import Tensor

from pyg_sgm.data import ImageRecord
from pyg_sgm.models.explanation import Attention, Kind, Node
from pyg_sgm.viz._figure import FAINT, GRAY, INK, finish, grid, new_figure, read_pixels, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOR_MAP = "YlOrRd"
MAX_BARS = 24
WHOLE = 0.8  # share of the image above which a box is a frame
TITLES = {"object": "objects", "relation": "relations", "attribute": "attributes"}


def draw_attention(
    attention: Attention,
    path: str | os.PathLike[str] | None = None,
    image: Any = None,
) -> Figure:
    """Draws what a text attends to in an image, as figures 4 and 5 of HOAD.

    One canvas each for objects, relations and attributes, if there are any: the box of a node (of
    a relation the union of its two) is the warmer the more votes of the text's nodes it gets, on a
    scale of its kind, from 0 to the most that one of the kind gets. Below stands the distraction
    vector, the votes of all nodes, largest first.

    Args:
        attention (Attention): Of :meth:`~pyg_sgm.retrieval.SceneGraphMatcher.explain`.
        path (str or PathLike, optional): Where to write the picture; the suffix names the format.
            (default: :obj:`None`)
        image (any, optional): The pixels: a file, or an array ``[height, width, 3]``. (default: the
            file of the image's record, else a blank canvas)

    Raises:
        ValueError: If the format is unknown, or the file is no image.
        ImportError: Without Matplotlib.

    Example:
        >>> import torch
        >>> from pyg_sgm.data import image_record, text_record
        >>> from pyg_sgm.models.explanation import graph_nodes
        >>> record = image_record(["dog"], [[0.1, 0.2, 0.5, 0.9]])
        >>> text = text_record("a dog", objects=["dog"])
        >>> one = torch.ones(1)
        >>> attention = Attention(
        ...     record, text, graph_nodes(record), graph_nodes(text), one[:, None], one, one, 0.5
        ... )
        >>> [axes.get_title(loc="left") for axes in draw_attention(attention).axes][:1]
        ['objects']
    """
    figure = new_figure(12.0, 7.6)
    pixels = read_pixels(attention.image.file if image is None else image)
    figure.suptitle(
        f"{short(attention.text.caption, 110)}\nscore {attention.score:.2f}, "
        f"distraction score {attention.image_distraction:.2f}",
        fontsize=12, color=INK, x=0.03, ha="left",
    )  # fmt: skip
    there = {node.kind for node in attention.image_nodes}
    kinds: list[Kind] = [kind for kind in get_args(Kind) if kind in there]
    grid = figure.add_gridspec(
        2, max(1, len(kinds)), height_ratios=(1.6, 1), hspace=0.2, wspace=0.05,
        left=0.06, right=0.98, top=0.88, bottom=0.17,
    )  # fmt: skip
    votes = attention.image_distraction_vector
    for column, kind in enumerate(kinds):
        axes = figure.add_subplot(grid[0, column])
        _draw_canvas(axes, attention.image, attention.image_nodes, votes, kind, pixels)
    _draw_votes(figure.add_subplot(grid[1, :]), attention.image_nodes, votes)
    return finish(figure, path)


def draw_reranking(
    query: str,
    before: Sequence[tuple[str, float]],
    after: Sequence[tuple[str, float]],
    truth: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    photos: Mapping[str, Any] | None = None,
) -> Figure:
    """Draws a ranking before and after re-ranking by distraction, as figure 6 of HOAD.

    Args:
        query (str): A caption, or the name of an image.
        before (list of tuple): Name and score of the references, best first.
        after (list of tuple): The same references in their new order.
        truth (list of str): Names of those that are right; they stand out.
        path (str or PathLike, optional): Where to write the picture; the suffix names the format.
            (default: :obj:`None`)
        photos (dict, optional): Pixels of references by their names, files or arrays
            ``[height, width, 3]``, that are drawn beside them. (default: none)

    Raises:
        ValueError: If the two rankings are not of the same references, or the format is unknown.
        ImportError: Without Matplotlib.

    Example:
        >>> before, after = [("1", 0.9), ("2", 0.8)], [("2", 0.9), ("1", 0.9)]
        >>> figure = draw_reranking("a dog", before, after, truth=["2"])
        >>> len(figure.axes[0].lines)
        2
    """
    if sorted(name for name, _ in before) != sorted(name for name, _ in after):
        raise ValueError("the rankings before and after are of different references")
    rows = len(before)
    of_row = 0.9 if photos else 0.42  # inches
    figure = new_figure(10.0, 1.2 + of_row * rows)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    axes.set_xlim(0, 10)
    axes.set_ylim(-rows - 0.2, 1.4)
    axes.axis("off")
    pixels = {name: read_pixels((photos or {}).get(name)) for name, _ in before}
    axes.text(0.1, 1.1, short(query, 100), fontsize=12, color=INK, va="center")
    place = {name: row for row, (name, _) in enumerate(after)}
    columns = ((4.2, "right", "before", before), (5.8, "left", "after", after))
    for x, side, title, ranking in columns:
        axes.text(x, 0.3, title, ha=side, color=GRAY, fontsize=10, va="center")
        for row, (name, score) in enumerate(ranking):
            right = name in truth
            _draw_thumbnail(axes, pixels[name], 0.75 if side == "right" else 9.25, -0.5 - row)
            parts = [str(row + 1), short(name, 34), f"{score:.3f}"]
            axes.text(
                x, -0.5 - row, "   ".join(parts), ha=side, va="center", fontsize=10,
                color="#00775a" if right else INK, fontweight="bold" if right else "normal",
            )  # fmt: skip
    for row, (name, _) in enumerate(before):
        right = name in truth
        color = "#00775a" if right else (FAINT if place[name] == row else GRAY)
        ends = [-0.5 - row, -0.5 - place[name]]
        axes.plot([4.3, 5.7], ends, color=color, lw=2.2 if right else 1.0)
    return finish(figure, path)


def _draw_thumbnail(axes: Axes, pixels: np.ndarray | None, x: float, y: float) -> None:
    """A photo around a point of a row, which is 1 high, as large as there is room."""
    if pixels is None:
        return
    height, width = pixels.shape[:2]
    (x0, y0), (x1, y1) = axes.transData.transform([(0, 0), (1, 1)])
    scale = min(1.3 * (x1 - x0) / width, 0.92 * (y1 - y0) / height)
    w, h = scale * width / (x1 - x0) / 2, scale * height / (y1 - y0) / 2
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(pixels, extent=(x - w, x + w, y - h, y + h), aspect="auto")
    axes.set(xlim=limits[0], ylim=limits[1])


def _draw_canvas(
    axes: Axes,
    image: ImageRecord,
    nodes: Sequence[Node],
    votes: Tensor,
    kind: Kind,
    pixels: np.ndarray | None,
) -> None:
    """The boxes of the nodes of one kind, the strongest on top and named."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    width, height = image.size or (4.0, 3.0)
    if pixels is not None:
        height, width = pixels.shape[:2]
        axes.imshow(pixels, extent=(0, width, height, 0), alpha=0.75, interpolation="bicubic")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_aspect("equal")
    axes.set(xticks=[], yticks=[], facecolor="#f7f7f5")
    axes.set_title(TITLES[kind], loc="left", fontsize=10, color=INK)
    boxes = grid(len(image.objects)) if image.boxes is None else np.asarray(image.boxes)
    boxes = boxes * np.array([width, height, width, height])
    chosen = [i for i, node in enumerate(nodes) if node.kind == kind]
    # Each kind has its own scale, as the blocks of the figure: many objects share their votes.
    top = max((float(votes[i]) for i in chosen), default=0.0) or 1.0
    order = sorted(chosen, key=lambda i: float(votes[i]))
    for rank, i in enumerate(order):
        own = boxes[list(nodes[i].objects)]
        (x1, y1), (x2, y2) = own[:, :2].min(0), own[:, 2:].max(0)
        share = float(votes[i]) / top
        color = colormaps[COLOR_MAP](share)
        if (x2 - x1) * (y2 - y1) > WHOLE * width * height:  # would hide the boxes within
            inset = 0.01 * width
            frame = Rectangle(
                (inset, inset), width - 2 * inset, height - 2 * inset, fill=False, ec=color, lw=5
            )
            axes.add_patch(frame)
            continue
        fill = Rectangle((x1, y1), x2 - x1, y2 - y1, fc=color, ec="none", alpha=0.05 + 0.5 * share)
        edge = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=GRAY, lw=0.5 + 1.5 * share)
        axes.add_patch(fill)
        axes.add_patch(edge)
        if rank >= len(order) - 3:
            axes.text(
                (x1 + x2) / 2, (y1 + y2) / 2, short(nodes[i].name, 24), fontsize=7, ha="center",
                va="center", color=INK, clip_on=True, bbox={"fc": "white", "ec": "none", "pad": 1},
            )  # fmt: skip


def _draw_votes(axes: Axes, nodes: Sequence[Node], votes: Tensor) -> None:
    """The distraction vector, largest first."""
    order = votes.argsort(descending=True).tolist()[:MAX_BARS]
    colors = {"object": "#0072b2", "relation": "#c44e00", "attribute": "#00775a"}
    axes.bar(
        range(len(order)), [float(votes[i]) for i in order],
        color=[colors[nodes[i].kind] for i in order],
    )  # fmt: skip
    names = [short(nodes[i].name, 22) for i in order]
    axes.set_xticks(range(len(order)), names, rotation=40, ha="right", fontsize=7)
    axes.set_xlim(-0.6, max(len(order), 1) - 0.4)
    axes.set_ylabel("share of votes", fontsize=9, color=INK)
    axes.tick_params(axis="y", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    left = f", the {len(order)} largest of {len(nodes)}" if len(order) < len(nodes) else ""
    title = f"votes for objects (blue), relations (orange) and attributes (green){left}"
    axes.set_title(title, loc="left", fontsize=9, color=INK)
