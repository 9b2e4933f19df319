"""HOAD's comparison of all pairs of scene graphs, block by block."""

from collections.abc import Callable
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pyg_sgm.ops import kernels
from pyg_sgm.ops._attention import inverse_root, l2_normalize
from pyg_sgm.ops._blocks import (
    MAX_MEMORY,
    SortedGraphs,
    check_sides,
    keep_freed_memory,
    product_dtype,
    sum_dtype,
)
from pyg_sgm.ops._packed import Packed
from pyg_sgm.ops._products import row_products

Head = Callable[[Tensor, Tensor], Tensor]


def cross_match(
    x: Packed,
    y: Packed,
    x_beta: Tensor,
    y_beta: Tensor,
    x_weight: Tensor,
    y_weight: Tensor,
    head: Head,
    attention: bool = True,
    max_memory: int = MAX_MEMORY,
) -> Tensor:
    r"""Score of every image graph with every text graph (HOAD, eq. 4 to 9).

    The same as :func:`cross_match_pairs` of all pairs, followed by ``head``, but both directions
    share one product, what is of one graph alone is computed once, and only blocks of pairs that
    fit the cache are in memory. With gradients, the blocks are computed again in the backward pass.
    In half precision the matching vectors are summed in float32, and ``head`` is given float32.

    Args:
        x (Packed): Nodes of the images' graphs.
        y (Packed): Nodes of the texts' graphs.
        x_beta (Tensor): Weight of every node in the sum (eq. 8).
        y_beta (Tensor): The same for the texts.
        x_weight (Tensor): Perspectives of the images' side.
        y_weight (Tensor): Perspectives of the texts' side.
        head (callable): Maps the two matching vectors ``[..., L]`` of a pair to its score
            ``[...]``.
        attention (bool, optional): See :func:`cross_match_pairs`. (default: :obj:`True`)
        max_memory (int, optional): Bytes to use beside the inputs and the result. (default: 512
            MiB)

    Shapes:
        - **input:** x_beta :math:`(N_x)`, y_beta :math:`(N_y)`, both weights :math:`(L, F)`
        - **output:** :math:`(|\mathcal{G}_x|, |\mathcal{G}_y|)`

    Raises:
        ValueError: If the tensors lie on two devices or do not fit together, or if ``max_memory``
            does not hold one pair of graphs.

    Example:
        >>> import torch
        >>> graph = Packed(torch.eye(2), torch.tensor([0, 1, 2]))
        >>> one, weight = torch.ones(2), torch.ones(1, 2)
        >>> cross_match(graph, graph, one, one, weight, weight, lambda x, y: (x + y).sum(-1))
        tensor([[2., 0.],
                [0., 2.]])
    """
    check_sides(x, y)
    _check_match("x", x, x_beta, x_weight)
    _check_match("y", y, y_beta, y_weight)
    keep_freed_memory(x.x)
    dtype = product_dtype(x.x, y.x)
    plan = _Plan(x, y, len(x_weight), dtype, max_memory)
    with torch.autocast(x.x.device.type, enabled=False):
        x_square, y_square = (w.to(dtype).square() for w in (x_weight, y_weight))
        if kernels.available(x.x, dtype) and not torch.is_grad_enabled():
            from pyg_sgm.ops.kernels.cross_match import fits, match

            if fits(x, y, len(x_weight), dtype):
                x, y = x.to(dtype), y.to(dtype)
                beta = Packed(x_beta[:, None], x.ptr)
                vectors = 8 * max(1, len(y)) * len(x_weight)  # bytes, of an image with all texts
                rows = []
                for part in torch.arange(len(x)).split(max(1, max_memory // 2 // vectors)):
                    part = part.to(x.ptr.device)
                    sides = x.select(part), y, beta.select(part).x[:, 0], y_beta
                    rows.append(head(*match(*sides, x_square, y_square, attention)))
                return torch.cat(rows)
        none = x.x.new_zeros(1, 1, len(x_weight), dtype=sum_dtype(dtype))
        scores = head(none, none).expand(len(x), len(y)).clone()  # pairs that lack nodes keep it
        columns = []
        for panel in plan.panels if plan.x_blocks else ():
            texts = [_texts(y, y_beta, *block, y_square, x_square) for block in panel]
            rows = []
            for block in plan.x_blocks:
                image = _side(x, x_beta, *block, x_square)
                rows.append(torch.cat([_score(image, t, head, attention) for t in texts], 1))
            columns.append(torch.cat(rows))
        if columns:
            order = plan.x.order.flip(0)[:, None], plan.y.order.flip(0)
            scores[order] = torch.cat(columns, 1)
    return scores


class _Plan:
    """Blocks of graphs on both sides, and panels of text blocks that are ready at one time."""

    def __init__(
        self, x: Packed, y: Packed, num_perspectives: int, dtype: torch.dtype, max_memory: int
    ) -> None:
        self.x, self.y = SortedGraphs(x.ptr), SortedGraphs(y.ptr)
        dim, size = x.x.size(1), dtype.itemsize
        # A cell is what one node sees of one graph. A block takes about 16 vectors a cell, and on
        # a CPU the largest of its tensors stays in the cache.
        largest = max(self.x.largest, self.y.largest)
        cell = 16 * size * (dim + num_perspectives)
        cells = max_memory // 2 // cell
        if cells < largest:
            raise ValueError(
                f"max_memory={max_memory} is too small for one pair of graphs with up to {largest} "
                f"nodes of dimension {dim}: {2 * cell * largest} bytes are needed"
            )
        if x.x.device.type == "cpu":
            cells = max(min(cells, 2**21 // (size * dim)), largest)
        nodes = min(max(self.x.largest, isqrt(30 * cells)), cells)
        texts = max(1, cells // max(1, nodes))
        # A text kept ready has its nodes twice, their lengths and its matrices of inner products.
        ready = size * (2 * dim + num_perspectives * (4 + self.y.largest // 2))
        panel = max(1, max_memory // 4 // (ready * max(1, texts * self.y.largest)))
        self.x_blocks = _blocks(self.x, nodes, cells // max(1, texts * self.y.largest))
        y_blocks = _blocks(self.y, texts * self.y.largest, texts)
        self.panels = [y_blocks[i : i + panel] for i in range(0, len(y_blocks), panel)]


def _blocks(side: SortedGraphs, max_nodes: int, max_graphs: int) -> list[tuple[Tensor, int]]:
    """Graphs from large to small, a block of them at a time, and the size to fill them up to.

    Sizes are rounded up by an eighth at most, and the number of graphs depends on the size alone:
    libraries that make a kernel for each shape meet few of them.
    """
    size = side.host_sizes.flip(0).tolist()
    order = side.order.flip(0)
    blocks = []
    start = 0
    while start < len(size):
        step = 2 ** max(0, size[start].bit_length() - 4)
        padded = -(-size[start] // step) * step
        count = max(1, min(max_nodes // padded, max_graphs))
        blocks.append((order[start : start + count], padded))
        start += count
    return blocks


class _Side(NamedTuple):
    """What a block of graphs brings to each of its pairs; short graphs are filled with zeros."""

    nodes: Tensor  # [num_graphs, size, dim]
    unit: Tensor  # [num_graphs * size, dim], of length one
    own: Tensor  # [num_graphs * size, dim], what is compared with what it sees, see _own
    square: Tensor  # [num_perspectives, dim], the squared perspectives
    norm: Tensor  # [num_graphs * size, num_perspectives], lengths under every perspective
    share: Tensor  # [num_graphs * size, num_perspectives], beta over these lengths
    gram: Tensor | None = None  # [num_graphs, num_pairs of nodes, num_perspectives], see _texts


def _side(nodes: Packed, beta: Tensor, graphs: Tensor, size: int, square: Tensor) -> _Side:
    x = nodes.padded(graphs, size)[0].to(square.dtype)
    share = Packed(beta[:, None], nodes.ptr).padded(graphs, size)[0].flatten(0, 1)
    rows = x.flatten(0, 1)
    own = _own(rows)
    length = row_products(own.square(), square).to(sum_dtype(square.dtype))
    inverse = inverse_root(length)
    return _Side(x, l2_normalize(rows), own, square, length * inverse, share * inverse)


def _own(x: Tensor) -> Tensor:
    """Vectors whose squares are finite: a cosine does not see their length, of which the square
    soon is too large for float16."""
    return l2_normalize(x) if x.dtype == torch.float16 else x


def _texts(
    nodes: Packed, beta: Tensor, graphs: Tensor, size: int, square: Tensor, x_square: Tensor
) -> _Side:
    r"""The texts' side. What an image's node sees is :math:`\sum_s \alpha_s y_s`, so its squared
    length under a perspective is a quadratic form in :math:`\alpha`, whose matrix of inner
    products of the text's nodes is the same for all images.

    It pays while a text has few pairs of nodes. Half precision goes without: there the form could
    cancel.
    """
    side = _side(nodes, beta, graphs, size, square)
    first, second = _node_pairs(side.nodes)
    if 4 * len(first) > 3 * side.nodes.size(2) or square.dtype.itemsize < 4:
        return side
    twice = 1 + (first != second).to(square.dtype)  # a pair stands for both its orders
    products = side.nodes[:, first] * side.nodes[:, second] * twice[:, None]
    return side._replace(gram=products @ x_square.t())


def _node_pairs(nodes: Tensor) -> Tensor:
    size = nodes.size(1)
    return torch.triu_indices(size, size, device=nodes.device)


def _score(image: _Side, text: _Side, head: Head, attention: bool) -> Tensor:
    """Scores ``[num_images, num_texts]`` of a block of pairs; with gradients, of its inputs only
    are kept."""
    if torch.is_grad_enabled():
        scores: Tensor = checkpoint(_score_block, image, text, head, attention, use_reentrant=False)
        return scores
    return _score_block(image, text, head, attention)


def _score_block(image: _Side, text: _Side, head: Head, attention: bool) -> Tensor:
    (g, n, _), (c, k, _) = image.nodes.shape, text.nodes.shape
    alpha = row_products(text.unit, image.unit).relu()  # [c * k, g * n]
    if not attention:
        alpha = torch.ones_like(alpha)
    # A cosine does not see the length of its arguments, so eq. 5 needs no division.
    seen = _own(alpha.view(c * k, g, n).transpose(0, 1) @ image.nodes)  # [g, c * k, dim], by texts
    product = _products(seen * text.own, text.square)
    y_match = _cosine(product, _products(seen.square(), text.square)) * text.share
    y_match = y_match.view(g, c, k, -1).sum(2)

    alpha = alpha.view(c, k, g * n)
    seen = _own(alpha.transpose(1, 2) @ text.nodes)  # [c, g * n, dim], by the images
    if text.gram is None:
        length = _products(seen.square(), image.square)
    else:
        first, second = _node_pairs(text.nodes)
        pairs = alpha.index_select(1, first) * alpha.index_select(1, second)
        length = pairs.transpose(1, 2) @ text.gram
    product = _products(seen * image.own, image.square)
    # A quadratic form may round to less than it is; the length of the product bounds the cosine.
    x_match = _cosine(product, length).clamp(-image.norm, image.norm) * image.share
    x_match = x_match.view(c, g, n, -1).sum(2).transpose(0, 1)
    return head(x_match, y_match)


def _products(x: Tensor, square: Tensor) -> Tensor:
    """:math:`x S^\\top` for a batch ``[*, dim]`` of rows."""
    return row_products(x.flatten(0, 1), square).view(*x.shape[:2], -1)


def _cosine(product: Tensor, square: Tensor) -> Tensor:
    """Inner product over the length of one side, in the type of sums."""
    dtype = sum_dtype(product.dtype)
    return product.to(dtype) * inverse_root(square.to(dtype))


def _check_match(name: str, nodes: Packed, beta: Tensor, weight: Tensor) -> None:
    devices = {str(t.device) for t in (nodes.x, beta, weight)}
    if len(devices) > 1:
        raise ValueError(f"{name}, its beta and weight are on several devices: {sorted(devices)}")
    if beta.shape != nodes.x.shape[:1]:
        raise ValueError(
            f"{name}_beta has shape {tuple(beta.shape)}, expected ({nodes.x.size(0)},)"
        )
    if weight.dim() != 2 or weight.size(1) != nodes.x.size(1):
        raise ValueError(
            f"{name}_weight has shape {tuple(weight.shape)}, expected (num_perspectives, "
            f"{nodes.x.size(1)})"
        )
