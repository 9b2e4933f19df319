"""Operations on the groups of a packed tensor, in which an empty group never wins.

A thin layer over :mod:`torch_geometric.utils`, which takes torch-scatter where it is installed
and PyTorch's own kernels where it is not. Both give 0 for the maximum of an empty group; 0 would
beat every negative similarity, so here it is :math:`-\\infty`. Half precision is summed in float32.
"""

import torch
from torch import Tensor
from torch_geometric.utils import segment, softmax

from pyg_sgm.ops._attention import wide


def segment_sum(x: Tensor, ptr: Tensor) -> Tensor:
    """Sum over every group of rows; 0 for an empty group.

    Args:
        x (Tensor): ``[num_nodes, ...]``.
        ptr (LongTensor): ``[num_groups + 1]``.

    Example:
        >>> import torch
        >>> segment_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
        tensor([3., 0., 4.])
    """
    return _segment(wide(x), ptr, "sum").to(x.dtype)


def segment_mean(x: Tensor, ptr: Tensor) -> Tensor:
    """Mean over every group of rows; 0 for an empty group.

    Args:
        x (Tensor): ``[num_nodes, ...]``.
        ptr (LongTensor): ``[num_groups + 1]``.

    Example:
        >>> import torch
        >>> segment_mean(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
        tensor([1.5000, 0.0000, 4.0000])
    """
    return _segment(wide(x), ptr, "mean").to(x.dtype)


def segment_max(x: Tensor, ptr: Tensor) -> Tensor:
    r"""Maximum over every group of rows; :math:`-\infty` for an empty group.

    Args:
        x (Tensor): ``[num_nodes, ...]``.
        ptr (LongTensor): ``[num_groups + 1]``.

    Example:
        >>> import torch
        >>> segment_max(torch.tensor([-1.0, -2.0, -4.0]), torch.tensor([0, 2, 2, 3]))
        tensor([-1., -inf, -4.])
    """
    out = _segment(x, ptr, "max")
    # Neither way of finding it knows all infinities: the largest of 2 for infinity, 1 for a number
    # and 0 for minus infinity tells where they go; it is 0 of an empty group.
    kind = _segment((1 + x.isposinf().int() - x.isneginf().int()).to(x.dtype), ptr, "max")
    out = out.masked_fill(kind == 0, -torch.inf)
    return out.masked_fill((kind == 2) & ~out.isnan(), torch.inf)


def segment_logsumexp(x: Tensor, ptr: Tensor) -> Tensor:
    r"""Logarithm of the sum of exponentials of every group; :math:`-\infty` for an empty group.

    Args:
        x (Tensor): ``[num_nodes, ...]``.
        ptr (LongTensor): ``[num_groups + 1]``.

    Example:
        >>> import torch
        >>> segment_logsumexp(torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0, 2, 2, 3]))
        tensor([0.6931, -inf, 1.0000])
    """
    dtype, x = x.dtype, wide(x)
    size = ptr[1:] - ptr[:-1]
    empty = _is_empty(x, ptr)
    # The maximum only keeps exp in range, so no gradient flows through it.
    top = segment_max(x.detach(), ptr).nan_to_num(nan=torch.nan, posinf=0.0, neginf=0.0)
    total = segment_sum((x - top.repeat_interleave(size, dim=0, output_size=len(x))).exp(), ptr)
    return (total.masked_fill(empty, 1.0).log() + top).masked_fill(empty, -torch.inf).to(dtype)


def segment_softmax(x: Tensor, ptr: Tensor) -> Tensor:
    """Softmax within every group of rows.

    Args:
        x (Tensor): ``[num_nodes, ...]``.
        ptr (LongTensor): ``[num_groups + 1]``.

    Example:
        >>> import torch
        >>> segment_softmax(torch.tensor([0.0, 0.0, 5.0]), torch.tensor([0, 2, 2, 3]))
        tensor([0.5000, 0.5000, 1.0000])
    """
    out: Tensor = softmax(wide(x), ptr=ptr)
    return out.to(x.dtype)


def _segment(x: Tensor, ptr: Tensor, reduce: str) -> Tensor:
    out: Tensor = segment(x, ptr, reduce=reduce)
    return out


def _is_empty(x: Tensor, ptr: Tensor) -> Tensor:
    return (ptr[1:] == ptr[:-1]).view(-1, *[1] * (x.dim() - 1))  # [num_groups, 1, ...]
