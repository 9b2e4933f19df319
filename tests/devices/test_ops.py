"""Every operation on every device, against the CPU in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm import ops
from pyg_sgm.ops import Packed
from tests.helpers.devices import (
    TOLERANCE,
    Function,
    assert_as_on_cpu,
    batch_sizes,
    sizes_to_ptr,
)
from tests.helpers.packed import ragged

DIM, PERSPECTIVES = 24, 5
SIZES = {
    "full": ([3, 5, 1, 3, 17, 2], [2, 4, 1, 9, 4]),
    "empties": ([3, 0, 5, 1, 3, 7, 0, 2], [0, 2, 4, 0, 1, 9, 4]),
    "nothing": ([0, 0], [0, 0, 0]),
}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float32", "bfloat16"])
Make = Callable[[Tensor, Tensor], Callable[..., Any]]  # of the boundaries of both sides


def _pairs(x_ptr: Tensor, y_ptr: Tensor) -> tuple[Tensor, Tensor]:
    rows = [torch.arange(len(ptr) - 1, device=ptr.device) for ptr in (x_ptr, y_ptr)]
    x, y = torch.cartesian_prod(*rows).unbind(1)
    return x, y


def _l2(x: Packed, y: Packed) -> tuple[Packed, Packed]:
    return Packed(ops.l2_normalize(x.x), x.ptr), Packed(ops.l2_normalize(y.x), y.ptr)


# Functions of nodes x and y, weights of x and of y, and perspectives of both sides.
CASES: dict[str, Make] = {
    "maxsim": lambda p, q: lambda x, y, b, c, u, v: ops.maxsim(Packed(y, q), Packed(x, p)),
    "maxsim weighted": lambda p, q: (
        lambda x, y, b, c, u, v: ops.maxsim(Packed(y, q), Packed(x, p), c)
    ),
    "lsesim": lambda p, q: lambda x, y, b, c, u, v: ops.lsesim(Packed(y, q), Packed(x, p), 2.0),
    "maxsim_or_null": lambda p, q: (
        lambda x, y, b, c, u, v: ops.maxsim_or_null(
            Packed(y, q), Packed(x, p), u.sum() / 99, 0.5, c
        )
    ),
    "stacked_attention": lambda p, q: (
        lambda x, y, b, c, u, v: ops.stacked_attention(*_l2(Packed(y, q), Packed(x, p)))
    ),
    "stacked_attention average": lambda p, q: (
        lambda x, y, b, c, u, v: ops.stacked_attention(
            *_l2(Packed(x, p), Packed(y, q)), pooling="average"
        )
    ),
    "cross_match": lambda p, q: (
        lambda x, y, b, c, u, v: ops.cross_match(
            Packed(x, p), Packed(y, q), b, c, u, v, lambda m, n: m.sum(-1) - n.square().sum(-1)
        )
    ),
    "cross_match no attention": lambda p, q: (
        lambda x, y, b, c, u, v: ops.cross_match(
            Packed(x, p),
            Packed(y, q),
            *(b, c, u, v),
            lambda m, n: m.sum(-1) - n.square().sum(-1),
            attention=False,
        )
    ),
    "cross_match_pairs": lambda p, q: (
        lambda x, y, b, c, u, v: ops.cross_match_pairs(
            Packed(x, p), Packed(y, q), *_pairs(p, q), b, c, u, v
        )
    ),
    "distraction_pairs": lambda p, q: (
        lambda x, y, b, c, u, v: ops.distraction_pairs(Packed(x, p), Packed(y, q), *_pairs(p, q))
    ),
    "segment_sum": lambda p, q: lambda x, y, b, c, u, v: ops.segment_sum(x, p),
    "segment_mean": lambda p, q: lambda x, y, b, c, u, v: ops.segment_mean(x, p),
    "segment_max": lambda p, q: lambda x, y, b, c, u, v: ops.segment_max(x, p),
    "segment_logsumexp": lambda p, q: lambda x, y, b, c, u, v: ops.segment_logsumexp(x, p),
    "segment_softmax": lambda p, q: lambda x, y, b, c, u, v: ops.segment_softmax(x, p),
    "padded": lambda p, q: lambda x, y, b, c, u, v: Packed(x, p).padded()[0],
    "select": lambda p, q: (
        lambda x, y, b, c, u, v: Packed(x, p).select(torch.tensor([1, 0, 1], device=x.device)).x
    ),
    "join": lambda p, q: lambda x, y, b, c, u, v: Packed(x, p).join(Packed(2 * x, p)).x,
    "cross_attention": lambda p, q: lambda x, y, b, c, u, v: ops.cross_attention(x, y),
    "stacked_weights": lambda p, q: (
        lambda x, y, b, c, u, v: ops.stacked_weights(ops.l2_normalize(x), ops.l2_normalize(y))
    ),
    "multi_perspective_cosine": lambda p, q: (
        lambda x, y, b, c, u, v: ops.multi_perspective_cosine(x, x.flip(0), u)
    ),
    "l2_normalize": lambda p, q: lambda x, y, b, c, u, v: ops.l2_normalize(x),
    "distraction": lambda p, q: (
        lambda x, y, b, c, u, v: ops.distraction(ops.distraction_vector(ops.cross_attention(x, y)))
    ),
}
# With rounded products another node may win, and a cosine near zero has a gradient of any size.
VALUES_ONLY = {
    "maxsim",
    "maxsim weighted",
    "maxsim_or_null",
    "cross_match",
    "cross_match no attention",
    "cross_match_pairs",
    "distraction",
    "distraction_pairs",
    "stacked_attention",
    "stacked_attention average",
    "stacked_weights",
    "multi_perspective_cosine",
}


def inputs_of(x_sizes: list[int], y_sizes: list[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    x, y = ragged(x_sizes, DIM, 0)[0], ragged(y_sizes, DIM, 1)[0]
    shares = [torch.rand(len(side), generator=generator).double() for side in (x, y)]
    weights = torch.rand(2, PERSPECTIVES, DIM, generator=generator).double()
    return [x / DIM**0.5, y / DIM**0.5, *shares, *weights]


@pytest.mark.parametrize("sizes", list(SIZES))
@DTYPES
@pytest.mark.parametrize("name", list(CASES))
def test_values_and_gradients(
    name: str, dtype: torch.dtype, sizes: str, device: torch.device
) -> None:
    x_sizes, y_sizes = SIZES[sizes]

    def function(device: torch.device) -> Function:
        return CASES[name](sizes_to_ptr(x_sizes, device), sizes_to_ptr(y_sizes, device))

    smooth = dtype == torch.float32 or name not in VALUES_ONLY
    assert_as_on_cpu(function, inputs_of(x_sizes, y_sizes), device, dtype, gradients=smooth)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
@DTYPES
def test_recurrences(kind: str, dtype: torch.dtype, device: torch.device) -> None:
    steps = batch_sizes([9, 4, 4, 1])
    gates = {"gru": 3, "lstm": 4}[kind]
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, sum(steps), gates * 6), (2, gates * 6, 6), (2, gates * 6)]
    inputs = [torch.randn(*shape, generator=generator).double() / 2 for shape in shapes]
    recurrence = getattr(ops, kind)
    assert_as_on_cpu(lambda _: lambda g, u, b: recurrence(g, u, b, steps), inputs, device, dtype)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_no_sequence_has_a_step(kind: str, device: torch.device) -> None:
    gates = {"gru": 3, "lstm": 4}[kind]
    g, u, b = (torch.zeros(2, *s, device=device) for s in ((0, gates * 6), (gates * 6, 6), ()))
    out = getattr(ops, kind)(g, u, b.view(2, 1).expand(2, gates * 6), [])
    assert out.shape == (2, 0, 6)
    assert out.device.type == device.type


def test_ranks(device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    image_of_text = torch.cat([torch.arange(30), torch.randint(0, 30, (70,), generator=generator)])
    scores = torch.randint(0, 50, (30, 100), generator=generator).float()  # many are equal
    expected = ops.stream_ranks(lambda i, t: scores[i][:, t], 30, image_of_text, 7)
    on_device, truth = scores.to(device), image_of_text.to(device)
    out = ops.stream_ranks(lambda i, t: on_device[i][:, t], 30, truth, 7, block=(11, 13))
    image_ranks, text_ranks = ops.ranks(on_device, truth)
    for field in ("image_ranks", "text_ranks", "top_text_scores", "top_image_scores"):
        value = getattr(out, field)
        assert value.device.type == device.type
        assert torch.equal(value.cpu(), getattr(expected, field))
    assert torch.equal(image_ranks.cpu(), expected.image_ranks)
    assert torch.equal(text_ranks.cpu(), expected.text_ranks)
    # Among equal scores topk may choose any.
    rows = torch.arange(30)[:, None]
    assert torch.equal(scores[rows, out.top_texts.cpu()], expected.top_text_scores)


def test_rows_of_selected_graphs(device: torch.device) -> None:
    ptr, index = torch.tensor([0, 2, 2, 5]), torch.tensor([2, 0, 1])
    for a, b in zip(
        ops.select_rows(ptr.to(device), index.to(device)), ops.select_rows(ptr, index), strict=True
    ):
        assert a.device.type == device.type
        assert a.tolist() == b.tolist()
    assert ops.is_ptr(ptr.to(device), 5)
    assert not ops.is_ptr(ptr.to(device), 6)


def test_indices_on_the_host(device: torch.device) -> None:
    """Blocks of an evaluation are chosen by indices that were made on the CPU."""
    x, ptr = ragged([3, 0, 5, 1], DIM, 0, torch.float32)
    nodes, index = Packed(x.to(device), ptr.to(device)), torch.tensor([2, 3])
    for wanted in (index, torch.tensor([3, 0])):
        assert torch.equal(nodes.select(wanted).x.cpu(), Packed(x, ptr).select(wanted).x)


@pytest.mark.parametrize("name", ["maxsim", "lsesim", "cross_match", "stacked_attention"])
def test_scoring_is_deterministic(name: str, device: torch.device) -> None:
    x_sizes, y_sizes = SIZES["empties"]
    ptrs = sizes_to_ptr(x_sizes * 9, device), sizes_to_ptr(y_sizes * 9, device)
    inputs = [t.to(device, torch.float32) for t in inputs_of(x_sizes * 9, y_sizes * 9)]
    with torch.no_grad():
        first, second = (CASES[name](*ptrs)(*inputs) for _ in range(2))
    assert torch.equal(first, second)
