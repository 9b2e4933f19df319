import torch

from pyg_sgm.nn import PackedGRU
from pyg_sgm.ops._gru import gru


def packed(lengths, dim, **kwargs):
    ptr = torch.tensor([0, *lengths]).cumsum(0)
    return torch.randn(sum(lengths), dim, **kwargs), ptr


def test_equals_torch_sequence_by_sequence():
    torch.manual_seed(0)
    encoder = PackedGRU(3, 4).double()
    x, ptr = packed([3, 0, 5, 1, 5], 3, dtype=torch.float64)
    states, last = encoder(x, ptr)
    for i in range(5):
        rows = slice(ptr[i], ptr[i + 1])
        if ptr[i] == ptr[i + 1]:
            assert (last[i] == 0).all()
            continue
        out, final = encoder.rnn(x[rows])
        torch.testing.assert_close(states[rows], (out[:, :4] + out[:, 4:]) / 2)
        torch.testing.assert_close(last[i], final.mean(dim=0))


def test_gradients():
    torch.manual_seed(0)
    gates, weight, bias = (
        torch.randn(2, *shape, dtype=torch.float64, requires_grad=True)
        for shape in [(6, 9), (9, 3), (9,)]
    )
    assert torch.autograd.gradcheck(lambda *args: gru(*args, [3, 2, 1]), (gates, weight, bias))  # type: ignore[call-arg]
    encoder = PackedGRU(2, 3).double()
    x, ptr = packed([2, 0, 3], 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: encoder(x, ptr), (x,))


def test_no_sequence_and_no_step():
    encoder = PackedGRU(2, 3)
    for lengths in ([], [0, 0]):
        x, ptr = packed(lengths, 2)
        states, last = encoder(x, ptr)
        assert states.shape == (0, 3)
        assert last.shape == (len(lengths), 3)


def test_half_precision_stays_close():
    torch.manual_seed(0)
    encoder = PackedGRU(8, 8)
    x, ptr = packed([20, 7], 8)
    with torch.autocast("cpu", torch.bfloat16):
        states, last = encoder(x, ptr)
    exact, exact_last = encoder(x, ptr)
    assert states.dtype == torch.bfloat16
    torch.testing.assert_close(states.float(), exact, atol=0.02, rtol=0)
    torch.testing.assert_close(last.float(), exact_last, atol=0.02, rtol=0)
