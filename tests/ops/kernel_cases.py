"""Triton kernels against the PyTorch path.

`test_kernels.py` runs this file in a process of its own, since Triton decides at its first import
whether kernels are compiled or interpreted.
"""

import pytest
import torch
from packed_graphs import ragged
from torch import Tensor

from pyg_sgm.ops import maxsim
from pyg_sgm.ops.kernels.maxsim import MaxSim

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.float16: 0.02}
if DEVICE == "cuda":  # the interpreter multiplies the bits of bfloat16
    TOLERANCE[torch.bfloat16] = 0.1


def random_sizes(count: int, high: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, high, (count,), generator=generator).tolist()


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize(("x_high", "y_high", "dim"), [(40, 9, 24), (6, 90, 70), (1, 4, 8)])
def test_maxsim(dtype: torch.dtype, x_high: int, y_high: int, dim: int) -> None:
    x, x_ptr = ragged(random_sizes(5, x_high, 0), dim, 0, dtype)
    y, y_ptr = ragged(random_sizes(7, y_high, 1), dim, 1, dtype)
    weight = torch.rand(len(y), generator=torch.Generator().manual_seed(2))
    spread = torch.linspace(-1, 1, 35).view(5, 7)

    def run(function, dtype: torch.dtype, device: str) -> list[Tensor]:  # type: ignore[no-untyped-def]
        inputs = [t.to(device, dtype).requires_grad_() for t in (x, y)]
        w = weight.to(device).requires_grad_()
        scores = function(inputs[0], x_ptr.to(device), inputs[1], y_ptr.to(device), w)
        gradients = torch.autograd.grad((scores * spread.to(device)).sum(), [*inputs, w])
        return [t.detach().cpu().float() for t in (scores, *gradients)]

    kernel = run(MaxSim.apply, dtype, DEVICE)
    # The same rounded values with exact products.
    expected = run(maxsim, torch.float32, "cpu")
    for a, b in zip(kernel, expected, strict=True):
        torch.testing.assert_close(a, b, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_nan_is_not_passed_over() -> None:
    x, x_ptr = ragged([2, 3], 8, 0, torch.float32)
    y, y_ptr = ragged([2, 1], 8, 1, torch.float32)
    y[0] = torch.nan
    scores = MaxSim.apply(*(t.to(DEVICE) for t in (x, x_ptr, y, y_ptr, torch.ones(3))))
    assert scores.isnan().tolist() == [[True, False], [True, False]]
