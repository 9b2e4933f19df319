"""lsesim against a reference pair by pair."""

import math

import pytest
import torch

from pyg_sgm.ops import Packed, lsesim, maxsim_or_null
from tests.helpers.packed import ragged

X_SIZES = [3, 0, 5, 1, 3]
Y_SIZES = [2, 4, 0, 1]


def test_equals_reference() -> None:
    x, x_ptr = ragged(X_SIZES, 8, 0)
    y, y_ptr = ragged(Y_SIZES, 8, 1)
    expected = torch.zeros(len(X_SIZES), len(Y_SIZES), dtype=torch.float64)
    for i, n in enumerate(X_SIZES):
        for j, k in enumerate(Y_SIZES):
            for t in range(int(y_ptr[j]), int(y_ptr[j + 1])):
                nodes = x[x_ptr[i] : x_ptr[i + 1]]
                if n:
                    total = sum(math.exp(4.0 * float(node @ y[t])) for node in nodes)
                    expected[i, j] += math.log(total) / 4.0 / k
    torch.testing.assert_close(
        lsesim(Packed(y, y_ptr), Packed(x, x_ptr), inverse_temperature=4.0).t(), expected
    )


@pytest.mark.parametrize("sorts", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_weights_and_null_match_equal_reference(weighted: bool, sorts: bool) -> None:
    x, x_ptr = ragged(X_SIZES, 8, 0)
    y, y_ptr = ragged(Y_SIZES, 8, 1)
    weight = torch.rand(len(y), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    null, t = 0.3, 0.05
    expected = torch.zeros(len(X_SIZES), len(Y_SIZES), dtype=torch.float64)
    for i in range(len(X_SIZES)):
        for j in range(len(Y_SIZES)):
            for w in range(int(y_ptr[j]), int(y_ptr[j + 1])):
                nodes = x[x_ptr[i] : x_ptr[i + 1]]
                best = max((float(node @ y[w]) for node in nodes), default=-math.inf)
                total = math.exp(null / t) + math.exp(best / t)
                share = float(weight[w]) if weighted else 1 / int(y_ptr[j + 1] - y_ptr[j])
                expected[i, j] += share * (t * math.log(total) - null)
    x.requires_grad_(sorts)  # few nodes are reduced as they lie, unless there are gradients
    sides = Packed(y, y_ptr), Packed(x, x_ptr)
    given = weight if weighted else None
    found = maxsim_or_null(*sides, torch.tensor(null).double(), t, given)
    torch.testing.assert_close(found.detach().t(), expected)
    # Far above every match, the null match is what all nodes choose.
    off = maxsim_or_null(*sides, torch.tensor(99.0).double(), t, weight)
    assert off.abs().max() < 1e-9


def test_few_nodes_of_float64_have_weights_of_float64() -> None:
    query, reference = Packed(*ragged([3], 4, 0)), Packed(*ragged([2], 4, 1))
    null = torch.tensor(0.1).double()
    thirds = torch.full((3,), 1 / 3, dtype=torch.float64)
    found = maxsim_or_null(query, reference, null)
    torch.testing.assert_close(
        found, maxsim_or_null(query, reference, null, weight=thirds), atol=0, rtol=1e-14
    )


def test_gradcheck_of_weights_and_null_match() -> None:
    x, x_ptr = ragged(X_SIZES, 4, 0)
    y, y_ptr = ragged(Y_SIZES, 4, 1)
    inputs = [x, y, torch.rand(len(y)).double(), torch.tensor(0.1).double()]
    assert torch.autograd.gradcheck(
        lambda x, y, w, n: maxsim_or_null(Packed(y, y_ptr), Packed(x, x_ptr), n, 0.2, w),
        [value.requires_grad_() for value in inputs],
    )


def test_gradcheck() -> None:
    x, x_ptr = ragged(X_SIZES, 4, 0)
    y, y_ptr = ragged(Y_SIZES, 4, 1)
    inputs = [x.requires_grad_(), y.requires_grad_()]
    assert torch.autograd.gradcheck(
        lambda x, y: lsesim(Packed(y, y_ptr), Packed(x, x_ptr)).t(), inputs
    )


def test_empty_sides() -> None:
    x, x_ptr = ragged([0, 0], 4, 0)
    y, y_ptr = ragged([2, 1], 4, 1)
    assert lsesim(Packed(y, y_ptr), Packed(x, x_ptr)).t().tolist() == [[0, 0], [0, 0]]
    assert lsesim(Packed(x, x_ptr), Packed(y, y_ptr)).t().tolist() == [[0, 0], [0, 0]]
