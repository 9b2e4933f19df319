"""The best matches of few nodes among many: no node is moved, and nothing is sorted."""

import torch
from torch import Tensor

from pyg_sgm.ops._products import row_products

FEW = 32  # nodes of a side, up to which it costs less to reduce the products than to move nodes
VERY_FEW = 8  # up to which PyTorch's product is the faster one


def are_few(
    x: Tensor, y: Tensor, dtype: torch.dtype, max_memory: int, *others: Tensor | None
) -> bool:
    """Whether one side has few nodes, on a CPU, nobody asks for gradients, and memory suffices.

    Args:
        x (Tensor): The nodes of one side.
        y (Tensor): Those of the other.
        dtype (torch.dtype): The type in which they are multiplied.
        max_memory (int): Bytes to use.
        others (Tensor, optional): What else gradients may be asked for.
    """
    moved = sum(t.numel() for t in (x, y) if t.dtype != dtype)
    needed = dtype.itemsize * (2 * x.size(0) * y.size(0) + moved)
    return (
        x.device.type == "cpu"
        and min(x.size(0), y.size(0)) <= FEW
        and needed <= max_memory
        and not (torch.is_grad_enabled() and any(_learns(t) for t in (x, y, *others)))
    )


def _learns(value: Tensor | None) -> bool:
    return value is not None and value.requires_grad


def all_products(x: Tensor, y: Tensor) -> Tensor:
    """Inner products of many nodes with few, or of few with many, ``[num_x, num_y]``.

    Args:
        x (Tensor): ``[num_x, dim]``.
        y (Tensor): ``[num_y, dim]``.
    """
    many, few = (x, y) if len(x) > len(y) else (y, x)
    product = many @ few.t() if len(few) <= VERY_FEW else row_products(many, few)
    return product if many is x else product.t()


def row_maxima(product: Tensor, ptr: Tensor) -> Tensor:
    r"""Maximum over the rows of every graph, ``[num_graphs, num_columns]``; :math:`-\infty` of a
    graph without rows. NaN is the greatest.

    Args:
        product (Tensor): ``[num_rows, num_columns]``.
        ptr (LongTensor): ``[num_graphs + 1]``.
    """
    return torch.segment_reduce(product.contiguous(), "max", offsets=ptr, axis=0)


def column_sums(values: Tensor, ptr: Tensor) -> Tensor:
    """Sum over the columns of every graph, ``[num_rows, num_graphs]``.

    Args:
        values (Tensor): ``[num_rows, num_columns]``.
        ptr (LongTensor): ``[num_graphs + 1]``.
    """
    return torch.segment_reduce(values.t().contiguous(), "sum", offsets=ptr, axis=0).t()
