"""Scores that look at the nodes of both graphs of a pair, in blocks of bounded memory."""

from collections.abc import Callable, Iterator
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pyg_sgm.ops._blocks import MAX_MEMORY, check_sides, keep_freed_memory
from pyg_sgm.ops._packed import Packed

CACHE = 2**21  # bytes of the largest tensor of a block on a CPU


class PaddedGraphs(NamedTuple):
    """Some graphs side by side, filled up with zeros to one size of at least 1.

    Args:
        graphs (Tensor): Their positions, ``[num_graphs]``.
        nodes (Tensor): ``[num_graphs, size, dim]``.
        mask (Tensor): Which nodes are real, ``[num_graphs, size]``.
    """

    graphs: Tensor
    nodes: Tensor
    mask: Tensor


def pair_block_scores(
    score: Callable[[PaddedGraphs, PaddedGraphs], Tensor],
    image: Packed,
    text: Packed,
    width: int,
) -> Tensor:
    r"""Scores of all pairs by a function of padded blocks of images and of texts.

    Graphs are taken in the order of their size, so that blocks have little padding, and so many at
    a time that a tensor of ``width`` numbers for every node of every pair stays in the cache of a
    CPU, or in a small share of the memory of a card. With gradients, blocks are computed again in
    the backward pass, and only their scores are kept.

    Args:
        score (callable): Maps images and texts to scores ``[num_images, num_texts]``. What it gives
            a pair must not depend on the rest of the block, padding included.
        image (Packed): Nodes of the images.
        text (Packed): Nodes of the texts.
        width (int): Numbers that ``score`` holds for a node of one side and a graph of the other.

    Shapes:
        - **input:** image of :math:`(N_x, F)`, text of :math:`(N_y, F)`
        - **output:** :math:`(|\mathcal{G}_x|, |\mathcal{G}_y|)`

    Raises:
        ValueError: If the sides are not of one width or on two devices.

    Example:
        >>> import torch
        >>> graphs = Packed(torch.eye(3), torch.tensor([0, 2, 3]))
        >>> def shared(x, y):
        ...     return torch.einsum("and,bmd->ab", x.nodes, y.nodes)
        >>> pair_block_scores(shared, graphs, graphs, width=3)
        tensor([[2., 0.],
                [0., 1.]])
    """
    check_sides(image, text)
    if not len(image) or not len(text):
        return image.x.new_zeros(len(image), len(text))
    keep_freed_memory(image.x)
    budget = CACHE if image.x.device.type == "cpu" else MAX_MEMORY // 16
    cells = budget // (image.x.element_size() * width)
    largest = max(int(side.sizes.max()) for side in (image, text))
    images_at_once = max(1, isqrt(cells // max(1, largest)))
    cells //= images_at_once
    rows = []
    columns = list(_blocks(text, cells))
    for x in _blocks(image, images_at_once * largest, images_at_once):
        rows.append(torch.cat([_of_block(score, x, y) for y in columns], dim=1))
    # Rows and columns go back to the places of their graphs.
    row = image.sizes.argsort(stable=True).argsort()
    column = text.sizes.argsort(stable=True).argsort()
    return torch.cat(rows)[row][:, column]


def _of_block(
    score: Callable[[PaddedGraphs, PaddedGraphs], Tensor], x: PaddedGraphs, y: PaddedGraphs
) -> Tensor:
    if torch.is_grad_enabled():
        out: Tensor = checkpoint(score, x, y, use_reentrant=False, preserve_rng_state=False)
        return out
    return score(x, y)


def _blocks(side: Packed, max_nodes: int, max_graphs: int | None = None) -> Iterator[PaddedGraphs]:
    """All graphs from small to large, as many at a time as the limits allow, at least one."""
    order = side.sizes.argsort(stable=True)
    sizes = side.sizes.cpu().sort().values.clamp(min=1).tolist()
    start = 0
    while start < len(sizes):
        end = start + 1
        while (
            end < len(sizes)
            and sizes[end] * (end + 1 - start) <= max_nodes
            and end - start != max_graphs
        ):
            end += 1
        index = order[start:end]
        yield PaddedGraphs(index, *side.padded(index, sizes[end - 1]))
        start = end
