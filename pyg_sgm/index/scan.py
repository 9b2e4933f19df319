"""Upper bounds of the scores of all images, in one pass over their coarse nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyg_sgm.index.coarse import CoarseQuery, Frame
from pyg_sgm.models import BoundLevel, Encoding
from pyg_sgm.ops import Packed


@dataclass(frozen=True)
class Scanned:
    """A field of encoded images as it is scanned.

    Args:
        coarse (Tensor): Coarse nodes, int8 ``[num_nodes, width]``, in the order of
            :func:`~pyg_sgm.index.coarse.node_major`.
        frame (Frame): What they are in terms of.
        rows (Tensor): Row of each in the order of the images, ``[num_nodes]``.
        order (Tensor): Images of the blocks.
        blocks (list of tuple): Nodes of an image and number of images, of each block.
    """

    coarse: Tensor
    frame: Frame
    rows: Tensor
    order: Tensor
    blocks: Sequence[tuple[int, int]]

    def add_bounds(
        self,
        bounds: Tensor,
        levels: Sequence[BoundLevel],
        image: Encoding,
        texts: Sequence[Encoding],
    ) -> None:
        """Adds to bounds of scores what these levels of them can be at most.

        Args:
            bounds (Tensor): ``[num_texts, num_images]``.
            levels (list of BoundLevel): Levels of this field.
            image (Encoding): The images, whose weights are read.
            texts (list of Encoding): Encodings of one text each.
        """
        field = levels[0].field
        nodes = [_nodes(text, field) for text in texts]
        counts = [len(part) for part in nodes]
        if not sum(counts):
            return
        query = CoarseQuery.of(torch.cat([part for part in nodes if len(part)]), self.frame)
        spread = {level.name: _spread(level, texts, counts) for level in levels}
        weights: dict[str, Tensor | None] = {}
        for level in levels:
            own = None if level.weights is None else getattr(image, level.weights, None)
            if level.searching == "image":
                weights[level.name] = None if own is None else own.x[self.rows]
        row = first = 0
        for size, count in self.blocks:
            block = slice(row, row + size * count)
            product = query.products(self.coarse[block])  # [num_words, size * count]
            for level in levels:
                if level.searching == "text":
                    best = _grown(level, product.unflatten(1, (size, count)).amax(1), query)
                    part = spread[level.name] @ best  # [num_texts, count]
                else:
                    mine = weights[level.name]
                    share = 1 / size if mine is None else mine[block]
                    part = _reverse(level, product, query, counts) * share
                    part = part.unflatten(1, (size, count)).sum(1)
                bounds[:, self.order[first : first + count]] += level.factor * part
            row, first = row + size * count, first + count


def _reverse(level: BoundLevel, product: Tensor, query: CoarseQuery, counts: list[int]) -> Tensor:
    """What the best word of every text is to every node of a block, ``[num_texts, num_nodes]``."""
    parts = []
    for words, slack in zip(product.split(counts), query.slack.split(counts), strict=True):
        best = product.new_zeros(product.size(1)).float()
        if len(words):
            best = words.amax(0) * query.unit + slack.max()
            best = best if level.transform is None else level.transform(best)
        parts.append(best)
    return torch.stack(parts)


def _grown(level: BoundLevel, best: Tensor, query: CoarseQuery) -> Tensor:
    best = best * query.unit + query.slack[:, None]
    return best if level.transform is None else level.transform(best)


def _nodes(text: Encoding, field: str) -> Tensor:
    value: Packed | Tensor | None = getattr(text, field)
    if value is None:
        return torch.zeros(0, 0)
    return value.x if isinstance(value, Packed) else value


def _spread(level: BoundLevel, texts: Sequence[Encoding], counts: Sequence[int]) -> Tensor:
    """Weight of every word in every text, ``[num_texts, num_words]``."""
    blocks = []
    for text, count in zip(texts, counts, strict=True):
        own = None if level.weights is None else getattr(text, level.weights)
        blocks.append(torch.full((1, count), 1 / max(count, 1)) if own is None else own.x[None])
    return torch.block_diag(*blocks)
