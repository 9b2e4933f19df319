"""maxsim against a reference pair by pair."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.ops import Packed, maxsim, maxsim_both
from tests.helpers.packed import ragged


def scores_of(
    x: Tensor, x_ptr: Tensor, y: Tensor, y_ptr: Tensor, *args: Any, **options: Any
) -> Tensor:
    """Scores ``[num_x, num_y]`` of ``y``, which searches ``x``."""
    return maxsim(Packed(y, y_ptr), Packed(x, x_ptr), *args, **options).t()


def reference(
    x: Tensor, x_ptr: Tensor, y: Tensor, y_ptr: Tensor, weight: Tensor | None = None
) -> Tensor:
    x, y = x.detach(), y.detach()
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
@pytest.mark.parametrize("sorts", [False, True])
@pytest.mark.parametrize(
    ("x_sizes", "y_sizes"),
    [(X_SIZES, Y_SIZES), (X_SIZES * 9, [2, 0, 1]), (X_SIZES * 9, Y_SIZES), ([3, 0], Y_SIZES * 9)],
)
def test_equals_reference(
    x_sizes: list[int], y_sizes: list[int], sorts: bool, weighted: bool
) -> None:
    x, x_ptr = ragged(x_sizes, 16, 0, torch.float32)
    y, y_ptr = ragged(y_sizes, 16, 1, torch.float32)
    x.requires_grad_(sorts)  # few nodes are reduced as they lie, unless there are gradients
    weight = torch.randn(len(y)) if weighted else None
    out = scores_of(x, x_ptr, y, y_ptr, weight).detach()
    expected = reference(x, x_ptr, y, y_ptr, weight)
    torch.testing.assert_close(out.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sorts", [False, True])
@pytest.mark.parametrize("y_sizes", [[2, 0, 1], Y_SIZES * 3])
def test_both_ways_at_once(y_sizes: list[int], sorts: bool) -> None:
    x, x_ptr = ragged(X_SIZES * 9, 16, 0)
    y, y_ptr = ragged(y_sizes, 16, 1)
    x.requires_grad_(sorts)
    weight = torch.rand(len(y), dtype=torch.float64)
    of_y, of_x = maxsim_both(Packed(y, y_ptr), Packed(x, x_ptr), weight)
    torch.testing.assert_close(of_y.detach().t(), reference(x, x_ptr, y, y_ptr, weight))
    torch.testing.assert_close(of_x.detach().t(), reference(y, y_ptr, x, x_ptr))


def test_gradcheck() -> None:
    x, x_ptr = ragged(X_SIZES, 4, 0, torch.float64)
    y, y_ptr = ragged(Y_SIZES, 4, 1, torch.float64)
    weight = torch.rand(len(y), dtype=torch.float64)
    inputs = [t.requires_grad_() for t in (x, y, weight)]
    assert torch.autograd.gradcheck(lambda x, y, w: scores_of(x, x_ptr, y, y_ptr, w), inputs)


HALF = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.bfloat16, 0.1), (torch.float16, 0.02)]
)


@HALF
def test_half_precision_without_gradients(dtype: torch.dtype, tolerance: float) -> None:
    x, x_ptr = ragged(X_SIZES, 16, 0, dtype)
    y, y_ptr = ragged(Y_SIZES, 16, 1, dtype)
    out = scores_of(x, x_ptr, y, y_ptr)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), reference(x, x_ptr, y, y_ptr), atol=tolerance, rtol=0)


@HALF
def test_half_precision_sums_in_float32(dtype: torch.dtype, tolerance: float) -> None:
    x, x_ptr = ragged(X_SIZES, 16, 0, dtype)
    y, y_ptr = ragged(Y_SIZES, 16, 1, dtype)
    inputs = [x.requires_grad_(), y.requires_grad_()]
    out = scores_of(x, x_ptr, y, y_ptr)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), reference(x, x_ptr, y, y_ptr), atol=tolerance, rtol=0)
    for grad, tensor in zip(torch.autograd.grad(out.sum(), inputs), inputs, strict=True):
        assert grad.dtype == dtype
        assert grad.isfinite().all()
        assert grad.shape == tensor.shape


def gradients(*args: Tensor, **options: int) -> tuple[Tensor, ...]:
    x, x_ptr, y, y_ptr, weight = args
    inputs = [t.clone().requires_grad_() for t in (x, y, weight)]
    scores = scores_of(inputs[0], x_ptr, inputs[1], y_ptr, inputs[2], **options)
    spread = torch.linspace(-1, 1, scores.numel(), dtype=scores.dtype).view_as(scores)
    return scores, *torch.autograd.grad((scores * spread).sum(), inputs)


def test_blocks_equal_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    x_sizes = torch.randint(0, 12, (40,), generator=generator).tolist()
    y_sizes = torch.randint(0, 9, (50,), generator=generator).tolist()
    x, x_ptr = ragged(x_sizes, 8, 0)
    y, y_ptr = ragged(y_sizes, 8, 1)
    weight = torch.rand(len(y), generator=generator, dtype=torch.float64)
    whole = gradients(x, x_ptr, y, y_ptr, weight)
    # Enough for blocks of one or two graphs; not enough to keep the winners.
    pieces = gradients(x, x_ptr, y, y_ptr, weight, max_memory=8_000)
    for a, b in zip(whole, pieces, strict=True):
        torch.testing.assert_close(a, b)


def test_too_little_memory_says_how_much_is_needed() -> None:
    x, x_ptr = ragged(X_SIZES, 16, 0)
    y, y_ptr = ragged(Y_SIZES, 16, 1)
    with pytest.raises(ValueError, match=r"max_memory=100 is too small .* (\d+) bytes") as error:
        scores_of(x, x_ptr, y, y_ptr, max_memory=100)
    needed = int(str(error.value).split(": ")[1].split()[0])
    torch.testing.assert_close(
        scores_of(x, x_ptr, y, y_ptr, max_memory=needed), scores_of(x, x_ptr, y, y_ptr)
    )


def test_order_of_graphs_and_nodes_does_not_matter() -> None:
    x, x_ptr = ragged(X_SIZES, 16, 0)
    y, y_ptr = ragged(Y_SIZES, 16, 1)
    images, texts = Packed(x, x_ptr), Packed(y, y_ptr)
    i, j = torch.randperm(len(X_SIZES)), torch.randperm(len(Y_SIZES))
    a, b = images.select(i), texts.select(j)
    torch.testing.assert_close(
        scores_of(a.x, a.ptr, b.x, b.ptr), scores_of(x, x_ptr, y, y_ptr)[i][:, j]
    )
    flipped = x.clone()
    flipped[3:8] = x[3:8].flip(0)
    torch.testing.assert_close(scores_of(flipped, x_ptr, y, y_ptr), scores_of(x, x_ptr, y, y_ptr))


def test_negative_similarities_win_over_nothing() -> None:
    x, y = torch.ones(3, 2), -torch.ones(2, 2)
    scores = scores_of(x, torch.tensor([0, 1, 3]), y, torch.tensor([0, 2]))
    assert scores.tolist() == [[-2.0], [-2.0]]


@pytest.mark.parametrize(("x_sizes", "y_sizes"), [([], []), ([2], []), ([], [3]), ([0, 0], [0])])
def test_empty_collections(x_sizes: list[int], y_sizes: list[int]) -> None:
    x, x_ptr = ragged(x_sizes, 4, 0)
    y, y_ptr = ragged(y_sizes, 4, 1)
    assert not scores_of(x, x_ptr.long(), y, y_ptr.long()).any()
    x.requires_grad_()
    scores = scores_of(x, x_ptr.long(), y, y_ptr.long())
    assert scores.tolist() == torch.zeros(len(x_sizes), len(y_sizes)).tolist()
    scores.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() == 0


@pytest.mark.parametrize("sorts", [False, True])
def test_nan_stays_with_its_graphs(sorts: bool) -> None:
    x, x_ptr = ragged([2, 3], 4, 0)
    y, y_ptr = ragged([2, 1], 4, 1)
    y[0] = torch.nan
    x.requires_grad_(sorts)
    assert scores_of(x, x_ptr, y, y_ptr).isnan().tolist() == [[True, False], [True, False]]
    x, y = ragged([3, 2], 4, 0)[0], ragged([2, 1], 4, 1)[0]
    x[2] = torch.nan
    x.requires_grad_(sorts)
    found = scores_of(x, torch.tensor([0, 3, 5]), y, y_ptr)
    assert found.isnan().tolist() == [[True, True], [False, False]]


def test_inputs_that_do_not_fit() -> None:
    x, ptr = ragged([2, 3], 4, 0)
    with pytest.raises(ValueError, match="one width"):
        scores_of(x, ptr, x[:, :3], ptr)
    with pytest.raises(ValueError, match="ptr ends at 5, there are 4 nodes"):
        scores_of(x[:4], ptr, x, ptr)
    with pytest.raises(ValueError, match="weight has shape"):
        scores_of(x, ptr, x, ptr, weight=torch.ones(4))
    with pytest.raises(ValueError, match="one device"):
        scores_of(x, ptr, x.to("meta"), ptr)


def test_autocast_multiplies_in_half_precision() -> None:
    x, x_ptr = ragged(X_SIZES, 16, 0, torch.float32)
    y, y_ptr = ragged(Y_SIZES, 16, 1, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = scores_of(x, x_ptr, y, y_ptr)
    torch.testing.assert_close(
        mixed, scores_of(x.bfloat16(), x_ptr, y.bfloat16(), y_ptr), atol=0, rtol=0
    )
