"""Attention between the nodes of two graphs, and matching under many perspectives (HOAD)."""

import torch
from torch import Tensor
from torch.nn.functional import threshold

TINY = 1e-12  # below this norm a vector counts as zero


def l2_normalize(x: Tensor) -> Tensor:
    r"""Rows of length one. A row of zeros stays zero and takes no gradient.

    Args:
        x (Tensor): ``[..., dim]``.

    Example:
        >>> import torch
        >>> l2_normalize(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    y = wide(x)
    return (y * inverse_root(y.square().sum(-1, keepdim=True))).to(x.dtype)


def wide(x: Tensor) -> Tensor:
    """In float32 if it is in half precision, which squares and sums do not fit."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def inverse_root(square: Tensor) -> Tensor:
    r"""``1 / sqrt(square)``, and 0 with no gradient where ``square`` is no more than rounding."""
    return threshold(square, TINY**2, torch.inf).rsqrt()


def cross_attention(x: Tensor, y: Tensor) -> Tensor:
    r"""Attention between all nodes of one graph and all of another (HOAD, eq. 4 and 5)

    .. math:: \alpha_{ij} = \max(\cos(x_i, y_j), 0)

    A node of zeros attends to nothing, so graphs padded with zeros need no mask.

    Args:
        x (Tensor): Nodes of the first graph, or of a batch of them.
        y (Tensor): Nodes of the second; its leading dimensions broadcast with those of ``x``.

    Shapes:
        - **input:** x :math:`(*, N, F)`, y :math:`(*, M, F)`
        - **output:** :math:`(*, N, M)`

    Example:
        >>> import torch
        >>> cross_attention(torch.eye(2), torch.tensor([[3.0, 4.0], [-1.0, 0.0]]))
        tensor([[0.6000, 0.0000],
                [0.8000, 0.0000]])
    """
    return (l2_normalize(x) @ l2_normalize(y).transpose(-1, -2)).relu()


def multi_perspective_cosine(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    r"""Multi-perspective matching of node with node (HOAD, eq. 7)

    .. math:: m_k = \cos(W_k \circ x, W_k \circ y)

    Where either vector is zero, so is :math:`m_k`.

    Args:
        x (Tensor): Nodes.
        y (Tensor): What each is compared with.
        weight (Tensor): One row a perspective.

    Shapes:
        - **input:** x and y :math:`(*, F)`, weight :math:`(L, F)`
        - **output:** :math:`(*, L)`

    Example:
        >>> import torch
        >>> x, y = torch.tensor([1.0, 1.0]), torch.tensor([1.0, -1.0])
        >>> multi_perspective_cosine(x, y, torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
        tensor([0., 1.])
    """
    dtype, x, y = x.dtype, wide(x), wide(y)
    square = wide(weight).square().t()  # [dim, num_perspectives]
    norms = inverse_root(x.square() @ square) * inverse_root(y.square() @ square)
    return (((x * y) @ square) * norms).to(dtype)
