"""The best matches of few nodes among many: no node is moved, and nothing is sorted."""

import torch
from torch import Tensor

from pyg_sgm.ops._products import row_products

FEW = 32  # nodes of a side, up to which it costs less to reduce the products than to move nodes
VERY_FEW = 8  # up to which PyTorch's product is the faster one


def are_few(x: Tensor, y: Tensor, dtype: torch.dtype, max_memory: int, *others: Tensor) -> bool:
    """Whether one side has few nodes, on a CPU, nobody asks for gradients, and memory suffices.

    Args:
        x (Tensor): The nodes of one side.
        y (Tensor): Those of the other.
        dtype (torch.dtype): The type in which they are multiplied.
        max_memory (int): Bytes to use.
        others (Tensor): What else gradients may be asked for.
    """
    moved = sum(t.numel() for t in (x, y) if t.dtype != dtype)
    needed = dtype.itemsize * (2 * x.size(0) * y.size(0) + moved)
    return (
        x.device.type == "cpu"
        and min(x.size(0), y.size(0)) <= FEW
        and needed <= max_memory
        and not (torch.is_grad_enabled() and any(t.requires_grad for t in (x, y, *others)))
    )


def best_matches(x: Tensor, x_ptr: Tensor, y: Tensor) -> Tensor:
    r"""The greatest inner product of every node of ``y`` with a node of every graph of ``x``,
    ``[num_graphs, num_y]``; :math:`-\infty` with a graph without nodes. NaN is the greatest.

    Args:
        x (Tensor): ``[num_x, dim]``.
        x_ptr (LongTensor): ``[num_graphs + 1]``.
        y (Tensor): ``[num_y, dim]``.
    """
    many, few = (x, y) if len(x) > len(y) else (y, x)
    product = many @ few.t() if len(few) <= VERY_FEW else row_products(many, few)
    product = product if many is x else product.t().contiguous()  # [num_x, num_y]
    return torch.segment_reduce(product, "max", offsets=x_ptr, axis=0)


def column_sums(values: Tensor, ptr: Tensor) -> Tensor:
    """Sum over the columns of every graph, ``[num_rows, num_graphs]``.

    Args:
        values (Tensor): ``[num_rows, num_columns]``.
        ptr (LongTensor): ``[num_graphs + 1]``.
    """
    return torch.segment_reduce(values.t().contiguous(), "sum", offsets=ptr, axis=0).t()
