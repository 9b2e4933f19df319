"""Products of rows with rows, the arithmetic that all scorers are made of."""

from collections.abc import Callable

import torch
from torch import Tensor

# PyTorch hands float32 products on a CPU to its BLAS, which is half as fast as oneDNN on some
# processors (MKL on AMD's). Without the operator, or gradients needed, it is torch.mm.
_onednn: Callable[..., Tensor] | None = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def row_products(x: Tensor, y: Tensor) -> Tensor:
    r"""Inner products of all rows of ``x`` with all rows of ``y``, :math:`X Y^\top`.

    Args:
        x (Tensor): ``[num_x, dim]``.
        y (Tensor): ``[num_y, dim]``.

    Shapes:
        - **output:** :math:`(N_x, N_y)`

    Example:
        >>> import torch
        >>> row_products(torch.eye(2), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
        tensor([[1., 3., 5.],
                [2., 4., 6.]])
    """
    if (
        _onednn is None
        or x.device.type != "cpu"
        or x.dtype != torch.float32
        or not torch.backends.mkldnn.is_available()
        or (torch.is_grad_enabled() and (x.requires_grad or y.requires_grad))
    ):
        return x @ y.t()
    return _onednn(x, y, None, "none", [], "")
