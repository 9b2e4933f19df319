"""All-pairs similarity of node sets by a smooth maximum."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.ops._blocks import (
    MAX_MEMORY,
    Block,
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


@renamed_arguments(sharpness="inverse_temperature")
def lsesim(query: Packed, reference: Packed, inverse_temperature: float = 6.0) -> Tensor:
    r"""Similarity of every graph of a query side to every graph of a reference side, a smooth
    :func:`maxsim`

    .. math::
        s_{ij} = \frac{1}{N_i} \sum_{t \in i} \frac{1}{\lambda}
                 \log \sum_{v \in j} \exp(\lambda \langle q_t, r_v \rangle)

    the pooling of HOAD's first-order branch. It expects rows of length one, so that the inner
    product is a cosine. A graph without nodes, on either side, gives 0.

    Args:
        query (Packed): Nodes that search (words of the texts).
        reference (Packed): Nodes that are searched (regions of the images).
        inverse_temperature (float, optional): The factor :math:`\lambda`. (default: :obj:`6.0`)

    Shapes:
        - **input:** query of :math:`(N_q, F)`, reference of :math:`(N_r, F)`
        - **output:** :math:`(|\mathcal{G}_q|, |\mathcal{G}_r|)`

    Raises:
        ValueError: If the tensors lie on two devices or do not fit together.

    Example:
        >>> import torch
        >>> image = Packed(torch.eye(2), torch.tensor([0, 1, 2]))
        >>> text = Packed(torch.tensor([[1.0, 0.0]]), torch.tensor([0, 1]))
        >>> lsesim(text, image)
        tensor([[1., 0.]])
    """
    check_sides(query, reference)
    return _all_pairs(query, reference, inverse_temperature, None, None)


def maxsim_or_null(
    query: Packed,
    reference: Packed,
    null: Tensor,
    temperature: float = 0.05,
    weight: Tensor | None = None,
) -> Tensor:
    r""":func:`maxsim` in which a node may choose a null match of similarity :math:`n` instead of
    the best of wrong ones, and then adds nothing

    .. math::
        s_{ij} = \sum_{t \in i} w_t \left( \tau \log \Big( e^{n / \tau}
                 + e^{\max_{v \in j} \langle q_t, r_v \rangle / \tau} \Big) - n \right)

    with :math:`w_t = 1 / N_i` where no weight is given. The choice is smooth, so that a null match
    above all similarities still learns. A graph without nodes, on either side, gives 0.

    Args:
        query (Packed): Nodes that search (triplets of the texts).
        reference (Packed): Nodes that are searched (relations of the images).
        null (Tensor): The similarity :math:`n`, a scalar.
        temperature (float, optional): :math:`\tau`. (default: :obj:`0.05`)
        weight (Tensor, optional): Weight of every node of the query. (default: :obj:`None`)

    Shapes:
        - **input:** query of :math:`(N_q, F)`, reference of :math:`(N_r, F)`, weight
          :math:`(N_q)`
        - **output:** :math:`(|\mathcal{G}_q|, |\mathcal{G}_r|)`

    Raises:
        ValueError: If the tensors lie on two devices or do not fit together.

    Example:
        >>> import torch
        >>> image = Packed(torch.eye(2), torch.tensor([0, 1, 2]))
        >>> text = Packed(torch.tensor([[1.0, 0.0]]), torch.tensor([0, 1]))
        >>> maxsim_or_null(text, image, null=torch.tensor(0.5)).round(decimals=3)
        tensor([[0.5000, 0.0000]])
    """
    check_sides(query, reference)
    x, y, dtype = reference.x, query.x, product_dtype(query.x, reference.x)
    if not are_few(x, y, dtype, MAX_MEMORY, weight, null):
        return _all_pairs(query, reference, 1 / temperature, weight, null)
    if weight is None:
        share = query.sizes.to(sum_dtype(dtype)).reciprocal()
        weight = share.repeat_interleave(query.sizes, output_size=len(y))
    with torch.autocast(x.device.type, enabled=False):
        best = row_maxima(all_products(x.to(dtype), y.to(dtype)), reference.ptr)
        best = best.to(sum_dtype(dtype))
        added = temperature * F.softplus((best - null.to(best.dtype)) / temperature)
        return column_sums(added * weight.to(best.dtype), query.ptr).t()


def _all_pairs(
    query: Packed,
    reference: Packed,
    inverse_temperature: float,
    weight: Tensor | None,
    null: Tensor | None,
) -> Tensor:
    y, y_ptr, x, x_ptr = query.x, query.ptr, reference.x, reference.ptr
    keep_freed_memory(x)
    dtype = product_dtype(x, y)
    x_side, y_side = SortedGraphs(x_ptr), SortedGraphs(y_ptr)
    rows, columns = (1024, 2048) if x.device.type == "cpu" else (4096, 8192)
    scores = x.new_zeros(x_ptr.numel() - 1, y_ptr.numel() - 1, dtype=sum_dtype(dtype))
    x_blocks, y_blocks = x_side.blocks(rows), y_side.blocks(columns)
    if not (x_blocks and y_blocks):
        return scores.t()
    parts = []
    with torch.autocast(x.device.type, enabled=False):
        for c in y_blocks:
            y_c = y_side.take(y, c).to(dtype)
            weight_c = None if weight is None else y_side.take(weight, c).to(scores.dtype)
            column = []
            for b in x_blocks:
                x_b = x_side.take(x, b).to(dtype)
                # The products are made again in the backward pass, not kept.
                arguments = (x_b, y_c, b, c, inverse_temperature, weight_c, null)
                column.append(checkpoint(_pooled, *arguments, use_reentrant=False))
            parts.append(torch.cat(column))
    scores[x_side.order[:, None], y_side.order] = torch.cat(parts, 1)
    return scores.t()


def _pooled(
    x: Tensor,
    y: Tensor,
    b: Block,
    c: Block,
    inverse_temperature: float,
    weight: Tensor | None,
    null: Tensor | None,
) -> Tensor:
    """Scores ``[b_graphs, c_graphs]`` of a block."""
    product = row_products(x, y).to(sum_dtype(x.dtype)) * inverse_temperature  # [b_nodes, c_nodes]
    views = by_size(product, b.runs)
    if null is None:
        pooled = torch.cat([view.logsumexp(1) for view in views])
    else:
        floor = null.to(product.dtype) * inverse_temperature
        pooled = F.softplus(torch.cat([view.amax(1) for view in views]) - floor)
    if weight is None:
        of_graphs = [view.mean(2) for view in by_size(pooled, c.runs, dim=1)]
    else:
        of_graphs = [view.sum(2) for view in by_size(pooled * weight, c.runs, dim=1)]
    return torch.cat(of_graphs, 1) / inverse_temperature
