"""The packed LSTM against torch's, one sequence at a time."""

import pytest
import torch

from pyg_sgm.nn import PackedLSTM
from pyg_sgm.ops._lstm import lstm

LENGTHS = [3, 0, 7, 1, 3]


def ptr_of(lengths: list[int]) -> torch.Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def test_equals_torch() -> None:
    torch.manual_seed(0)
    ptr = ptr_of(LENGTHS)
    encoder = PackedLSTM(5, 6).double()
    x = torch.randn(sum(LENGTHS), 5, dtype=torch.float64, requires_grad=True)
    states, last = encoder(x, ptr)
    expected, expected_last = [], []
    for i, length in enumerate(LENGTHS):
        if length == 0:
            expected_last.append(torch.zeros(6, dtype=torch.float64))
            continue
        out, (h, _) = encoder.rnn(x[ptr[i] : ptr[i + 1]])
        expected.append((out[:, :6] + out[:, 6:]) / 2)
        expected_last.append((h[0] + h[1]) / 2)
    reference, reference_last = torch.cat(expected), torch.stack(expected_last)
    torch.testing.assert_close(states, reference)
    torch.testing.assert_close(last, reference_last)

    pull = torch.randn_like(states)
    leaves = [x, *encoder.parameters()]
    ours = torch.autograd.grad((states * pull).sum() + last.square().sum(), leaves)
    loss = (reference * pull).sum() + reference_last.square().sum()
    for a, b in zip(ours, torch.autograd.grad(loss, leaves), strict=True):
        torch.testing.assert_close(a, b)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    shapes = [(2, 6, 8), (2, 8, 2), (2, 8)]
    inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    assert torch.autograd.gradcheck(lambda g, w, b: lstm(g, w, b, [3, 2, 1]), inputs)


@pytest.mark.parametrize("lengths", [[], [0], [0, 0]])
def test_no_steps(lengths: list[int]) -> None:
    states, last = PackedLSTM(5, 6)(torch.zeros(0, 5), ptr_of(lengths))
    assert states.shape == (0, 6)
    torch.testing.assert_close(last, torch.zeros(len(lengths), 6))


def test_half_precision_is_close() -> None:
    torch.manual_seed(0)
    encoder, x, ptr = PackedLSTM(8, 16), torch.randn(sum(LENGTHS), 8), ptr_of(LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        states, _ = encoder(x, ptr)
    torch.testing.assert_close(states.float(), encoder(x, ptr)[0], atol=2e-2, rtol=0)


def test_repr() -> None:
    assert str(PackedLSTM(5, 6)) == "PackedLSTM(5, 6)"
