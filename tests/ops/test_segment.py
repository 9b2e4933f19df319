"""Segment operations against loops over groups."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyg_sgm.ops import (
    segment_logsumexp,
    segment_max,
    segment_mean,
    segment_softmax,
    segment_sum,
)

PTR = torch.tensor([0, 2, 2, 5, 6, 6])
Operation = Callable[[Tensor, Tensor], Tensor]
CASES: list[tuple[Operation, Callable[[Tensor], Tensor], float]] = [
    (segment_sum, lambda v: v.sum(0), 0.0),
    (segment_mean, lambda v: v.mean(0), 0.0),
    (segment_max, lambda v: v.max(0).values, -torch.inf),
    (segment_logsumexp, lambda v: v.exp().sum(0).log(), -torch.inf),
]


@pytest.mark.parametrize("shape", [(6,), (6, 3)])
@pytest.mark.parametrize(("operation", "reduce", "empty"), CASES)
def test_equals_loop(
    operation: Operation, reduce: Callable[[Tensor], Tensor], empty: float, shape: tuple[int, ...]
) -> None:
    x = torch.randn(shape, dtype=torch.float64) - 3.0
    out = operation(x, PTR)
    for g in range(len(PTR) - 1):
        group = x[PTR[g] : PTR[g + 1]]
        expected = reduce(group) if len(group) else torch.full(shape[1:], empty).double()
        torch.testing.assert_close(out[g], expected)


@pytest.mark.parametrize("operation", [segment_sum, segment_mean, segment_max, segment_logsumexp])
def test_gradcheck(operation: Operation) -> None:
    x = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    filled = torch.tensor([0, 2, 3])
    assert torch.autograd.gradcheck(lambda x: operation(x, PTR)[filled], [x])
    # The infinity of an empty group sends no NaN back.
    out = operation(x, PTR)
    (grad,) = torch.autograd.grad(out[out.isfinite()].sum(), x)
    assert grad.isfinite().all()


def test_softmax() -> None:
    x = torch.randn(6, dtype=torch.float64, requires_grad=True)
    out = segment_softmax(x, PTR)
    for g in range(len(PTR) - 1):
        group = slice(PTR[g], PTR[g + 1])
        torch.testing.assert_close(out[group], x[group].softmax(0))
    assert torch.autograd.gradcheck(lambda x: segment_softmax(x, PTR), [x])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    x, ptr = torch.ones(5000, dtype=dtype), torch.tensor([0, 1000, 5000])
    for operation in (segment_sum, segment_mean, segment_logsumexp, segment_softmax):
        assert torch.equal(operation(x, ptr), operation(x.double(), ptr).to(dtype))


def test_maximum_of_infinities() -> None:
    inf = torch.inf
    x = torch.tensor([-inf, -inf, 1.0, inf, -2.0, -inf, torch.finfo(torch.float).min])
    out = segment_max(x, torch.tensor([0, 2, 4, 6, 7, 7]))
    assert out.tolist() == [-inf, inf, -2.0, torch.finfo(torch.float).min, -inf]


def test_logsumexp_of_large_values() -> None:
    x = torch.tensor([1000.0, 1000.0])
    out = segment_logsumexp(x, torch.tensor([0, 2]))
    torch.testing.assert_close(out, torch.tensor([1000.0]) + torch.tensor(2.0).log())
