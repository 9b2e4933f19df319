"""maxsim against a reference pair by pair."""

import pytest
import torch
from packed_graphs import ragged
from torch import Tensor

from pyg_sgm.ops import maxsim


def reference(
    x: Tensor, x_ptr: Tensor, y: Tensor, y_ptr: Tensor, weight: Tensor | None = None
) -> Tensor:
    out = torch.zeros(len(x_ptr) - 1, len(y_ptr) - 1, dtype=torch.float64)
    for i in range(len(x_ptr) - 1):
        for j in range(len(y_ptr) - 1):
            nodes = x[x_ptr[i] : x_ptr[i + 1]].double()
            words = range(int(y_ptr[j]), int(y_ptr[j + 1]))
            if len(nodes) == 0:
                continue
            for t in words:
                w = 1 / len(words) if weight is None else float(weight[t])
                out[i, j] += w * max(float(node @ y[t].double()) for node in nodes)
    return out


X_SIZES = [3, 0, 5, 1, 3, 7, 0, 2]
Y_SIZES = [2, 4, 0, 1, 9, 4]


@pytest.mark.parametrize("weighted", [False, True])
def test_equals_reference(weighted: bool) -> None:
    x, x_ptr = ragged(X_SIZES, 16, 0, torch.float32)
    y, y_ptr = ragged(Y_SIZES, 16, 1, torch.float32)
    weight = torch.randn(len(y)) if weighted else None
    out = maxsim(x, x_ptr, y, y_ptr, weight)
    expected = reference(x, x_ptr, y, y_ptr, weight)
    torch.testing.assert_close(out.double(), expected, atol=1e-5, rtol=1e-5)


def test_gradcheck() -> None:
    x, x_ptr = ragged(X_SIZES, 4, 0, torch.float64)
    y, y_ptr = ragged(Y_SIZES, 4, 1, torch.float64)
    weight = torch.rand(len(y), dtype=torch.float64)
    inputs = [t.requires_grad_() for t in (x, y, weight)]
    assert torch.autograd.gradcheck(lambda x, y, w: maxsim(x, x_ptr, y, y_ptr, w), inputs)
