"""All-pairs similarity of node sets by their best matches."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

from pyg_sgm.ops import kernels
from pyg_sgm.ops._blocks import (
    MAX_MEMORY,
    Block,
    Runs,
    SortedGraphs,
    by_size,
    check_sides,
    keep_freed_memory,
    product_dtype,
    sum_dtype,
)
from pyg_sgm.ops._few import all_products, are_few, column_sums, row_maxima
from pyg_sgm.ops._packed import Packed
from pyg_sgm.ops._products import row_products


def maxsim(
    query: Packed,
    reference: Packed,
    weight: Tensor | None = None,
    max_memory: int = MAX_MEMORY,
) -> Tensor:
    r"""Similarity of every graph of a query side to every graph of a reference side, by the best
    match of each node of the query (SGM, eq. 6 and 7)

    .. math:: s_{ij} = \sum_{t \in i} w_t \max_{v \in j} \langle q_t, r_v \rangle

    with :math:`w_t = 1 / N_i` where no weight is given, that is the mean over the nodes of graph
    :math:`i`. A graph without nodes, on either side, gives 0.

    The products are made block by block and reduced at once. Gradients flow through the best
    match; of the forward pass only its index is kept, and computed again where even that is large.
    In half precision the products are rounded, the sums are not: the result is float32. Where the
    device has no half-precision product (float16 on a CPU), the blocks are computed in float32.

    Args:
        query (Packed): Nodes that search (words or triplets of the texts).
        reference (Packed): Nodes that are searched (objects or relations of the images).
        weight (Tensor, optional): Weight of every node of the query. (default: :obj:`None`)
        max_memory (int, optional): Bytes to use beside the inputs and the result. (default: 512
            MiB)

    Shapes:
        - **input:** query of :math:`(N_q, F)`, reference of :math:`(N_r, F)`, weight
          :math:`(N_q)`
        - **output:** :math:`(|\mathcal{G}_q|, |\mathcal{G}_r|)`

    Raises:
        ValueError: If the tensors lie on two devices or do not fit together, or if ``max_memory``
            does not hold one pair of graphs.

    Example:
        >>> import torch
        >>> image = Packed(torch.eye(3), torch.tensor([0, 2, 3]))
        >>> text = Packed(torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.0, -2.0]]), torch.tensor([0, 2]))
        >>> maxsim(text, image)
        tensor([[ 0.5000, -1.0000]])
    """
    check_sides(query, reference)
    y, y_ptr, x, x_ptr = query.x, query.ptr, reference.x, reference.ptr
    keep_freed_memory(x)
    dtype = product_dtype(x, y)
    weight = _weights(query, weight, dtype)
    with torch.autocast(x.device.type, enabled=False):
        if kernels.available(x, dtype):
            from pyg_sgm.ops.kernels.maxsim import MaxSim, tiles

            keep = torch.is_grad_enabled() and any(t.requires_grad for t in (x, y, weight))
            if (plan := tiles(x_ptr, y_ptr, dtype.itemsize, keep)) is not None:
                kernel: Callable[..., Tensor] = MaxSim.apply
                return kernel(x.to(dtype), x_ptr, y.to(dtype), y_ptr, weight, plan).t()
        if are_few(x, y, dtype, max_memory, weight):
            return _of_products(all_products(x.to(dtype), y.to(dtype)), reference, query, weight)
        blocks: Callable[..., Tensor] = _MaxSim.apply
        return blocks(x, x_ptr, y, y_ptr, weight, dtype, max_memory).t()


def maxsim_both(
    a: Packed,
    b: Packed,
    a_weight: Tensor | None = None,
    b_weight: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Both :func:`maxsim` of two sides, ``maxsim(a, b, a_weight)`` and ``maxsim(b, a, b_weight)``,
    which share their inner products where one side has few nodes.

    Args:
        a (Packed): Nodes of one side.
        b (Packed): Nodes of the other.
        a_weight (Tensor, optional): Weight of every node of ``a``. (default: :obj:`None`)
        b_weight (Tensor, optional): Weight of every node of ``b``. (default: :obj:`None`)

    Shapes:
        - **input:** a of :math:`(N_a, F)`, b of :math:`(N_b, F)`, weights :math:`(N_a)` and
          :math:`(N_b)`
        - **output:** :math:`(|\mathcal{G}_a|, |\mathcal{G}_b|)` and
          :math:`(|\mathcal{G}_b|, |\mathcal{G}_a|)`

    Raises:
        ValueError: As :func:`maxsim`.

    Example:
        >>> import torch
        >>> image = Packed(torch.eye(3), torch.tensor([0, 2, 3]))
        >>> text = Packed(torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.0, -2.0]]), torch.tensor([0, 2]))
        >>> of_words, of_objects = maxsim_both(text, image)
        >>> of_objects
        tensor([[0.7500],
                [0.0000]])
    """
    dtype = product_dtype(a.x, b.x)
    if not are_few(a.x, b.x, dtype, MAX_MEMORY, a_weight, b_weight):
        return maxsim(a, b, a_weight), maxsim(b, a, b_weight)
    check_sides(a, b)
    weights = _weights(a, a_weight, dtype), _weights(b, b_weight, dtype)
    with torch.autocast(a.x.device.type, enabled=False):
        product = all_products(b.x.to(dtype), a.x.to(dtype))
        return (
            _of_products(product, b, a, weights[0]),
            _of_products(product.t(), a, b, weights[1]),
        )


def _weights(query: Packed, weight: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The weights of the nodes that search, those of the mean where none are given."""
    if weight is None:
        share = query.sizes.to(sum_dtype(dtype)).reciprocal()
        weight = share.repeat_interleave(query.sizes, output_size=query.x.size(0))
    elif weight.shape != query.x.shape[:1] or weight.device != query.x.device:
        raise ValueError(
            f"weight has shape {tuple(weight.shape)} on {weight.device}, expected one weight for "
            f"each of the {query.x.size(0)} nodes of the query on {query.x.device}"
        )
    return weight.to(sum_dtype(dtype))


def _of_products(product: Tensor, searched: Packed, query: Packed, weight: Tensor) -> Tensor:
    """Scores ``[num_query, num_searched]`` of products ``[nodes of searched, of query]``."""
    best = row_maxima(product, searched.ptr).masked_fill((searched.sizes == 0)[:, None], 0)
    return column_sums(best * weight, query.ptr).t()


class _Plan:
    """How the two sides are sorted and cut into blocks."""

    def __init__(
        self, x: Tensor, x_ptr: Tensor, y_ptr: Tensor, dtype: torch.dtype, max_memory: int
    ) -> None:
        self.x, self.y = SortedGraphs(x_ptr), SortedGraphs(y_ptr)
        # A block of products stays in the cache of a CPU, and fills a GPU.
        rows, columns = (1024, 2048) if x.device.type == "cpu" else (4096, 8192)
        rows, columns = max(rows, self.x.largest), max(columns, self.y.largest)
        while (needed := _bytes_of_block(rows, columns, x.size(1), dtype)) > max_memory:
            if (rows, columns) == (self.x.largest, self.y.largest):
                raise ValueError(
                    f"max_memory={max_memory} is too small for one pair of graphs with {rows} and "
                    f"{columns} nodes of dimension {x.size(1)}: {needed} bytes are needed"
                )
            rows, columns = max(rows // 2, self.x.largest), max(columns // 2, self.y.largest)
        self.x_blocks, self.y_blocks = self.x.blocks(rows), self.y.blocks(columns)
        self.dtype = dtype
        self.index_dtype = torch.uint8 if self.x.largest < 256 else torch.int32

    def take_x(self, x: Tensor, block: Block) -> Tensor:
        return self.x.take(x, block).to(self.dtype)

    def take_y(self, y: Tensor, block: Block) -> Tensor:
        return self.y.take(y, block).to(self.dtype)


class _MaxSim(torch.autograd.Function):
    """Scores ``[num_x, num_y]`` of the searched side ``x`` and the searching side ``y``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, x_ptr: Tensor, y: Tensor, y_ptr: Tensor, weight: Tensor, *options: Any
    ) -> Tensor:
        ctx.plan = plan = _Plan(x, x_ptr, y_ptr, *options)
        # What the backward pass needs is the node of each image that won, for every node of y.
        cells = (x_ptr.numel() - 1) * y.size(0) * plan.index_dtype.itemsize
        keep = any(ctx.needs_input_grad) and cells <= options[-1] // 4
        winners: list[Tensor] = []
        scores = weight.new_zeros(x_ptr.numel() - 1, y_ptr.numel() - 1)
        for c in plan.y_blocks:
            y_c = plan.take_y(y, c)  # [c_nodes, dim]
            w_c = plan.y.take(weight, c)
            for b in plan.x_blocks:
                product = row_products(plan.take_x(x, b), y_c)  # [b_nodes, c_nodes]
                best = _maxima(product, b.runs)  # [b_graphs, c_nodes]
                pooled = _sums(best * w_c, c.runs)  # [b_graphs, c_graphs]
                scores[plan.x.graphs(b)[:, None], plan.y.graphs(c)] = pooled
                if keep:
                    winners.append(_winners(product, best, b.runs, plan.index_dtype))
        ctx.save_for_backward(x, y, weight, *winners)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y, weight, *winners = ctx.saved_tensors
        plan: _Plan = ctx.plan
        x_grad, y_grad = (torch.zeros_like(t, dtype=weight.dtype) for t in (x, y))
        weight_grad = torch.zeros_like(weight)
        kept = iter(winners)
        for c in plan.y_blocks:
            y_c = plan.take_y(y, c)
            w_c = plan.y.take(weight, c)
            text = plan.y.graphs(c).repeat_interleave(  # [c_nodes]
                c.sizes(y.device), output_size=c.nodes.stop - c.nodes.start
            )
            pull = torch.zeros_like(y_c, dtype=weight.dtype)  # [c_nodes, dim]
            for b in plan.x_blocks:
                x_b = plan.take_x(x, b)
                if winners:
                    winner = next(kept)
                else:
                    product = row_products(x_b, y_c)
                    best = _maxima(product, b.runs)
                    winner = _winners(product, best, b.runs, plan.index_dtype)
                sizes = b.sizes(x.device)
                row = winner + (sizes.cumsum(0) - sizes)[:, None]  # [b_graphs, c_nodes], of x_b
                share = grad[plan.x.graphs(b)[:, None], text]  # [b_graphs, c_nodes]
                pull += _weighted_rows(x_b, row, share)
                plan.x.add(x_grad, b, _scattered_rows(y_c, row, share * w_c, x_b.size(0)))
            plan.y.add(y_grad, c, pull * w_c[:, None])
            plan.y.add(weight_grad, c, (pull * y_c).sum(1))
        return x_grad.to(x.dtype), None, y_grad.to(y.dtype), None, weight_grad, None, None


def _bytes_of_block(rows: int, columns: int, dim: int, dtype: torch.dtype) -> int:
    """The gathered nodes, their products, and the masks and sums made from these."""
    return dtype.itemsize * dim * (rows + columns) + (dtype.itemsize + 16) * rows * columns


def _maxima(product: Tensor, runs: Runs) -> Tensor:
    """Maximum over the rows of every graph, ``[num_graphs, num_columns]``."""
    return torch.cat([view.amax(1) for view in by_size(product, runs)])


def _winners(product: Tensor, best: Tensor, runs: Runs, dtype: torch.dtype) -> Tensor:
    """Node of every graph that has the maximum, the last among equals. Much faster than argmax."""
    winners = []
    bests = best.split([count for _, count in runs])
    for view, top in zip(by_size(product, runs), bests, strict=True):
        node = torch.arange(view.size(1), dtype=dtype, device=view.device)[:, None]
        winners.append(((view == top[:, None]) * node).amax(1))
    return torch.cat(winners)


def _sums(values: Tensor, runs: Runs) -> Tensor:
    """Sum over the columns of every graph, ``[num_rows, num_graphs]``."""
    return torch.cat([view.sum(2) for view in by_size(values, runs, dim=1)], dim=1)


def _weighted_rows(x: Tensor, row: Tensor, share: Tensor) -> Tensor:
    """For every column of ``row [num_graphs, num_columns]`` the sum of these rows of ``x``."""
    shares = share.t().to(x.dtype).contiguous()
    return embedding_bag(row.t().contiguous(), x, per_sample_weights=shares, mode="sum")


def _scattered_rows(y: Tensor, row: Tensor, share: Tensor, num_rows: int) -> Tensor:
    """Adds ``share * y[column]`` to the row named by every cell of ``row``: the transpose."""
    target, cell = row.flatten().sort()
    offsets = torch.searchsorted(target, torch.arange(num_rows, device=row.device))
    shares = share.flatten()[cell].to(y.dtype)
    columns = cell % y.size(0)
    return embedding_bag(columns, y, offsets, per_sample_weights=shares, mode="sum")
