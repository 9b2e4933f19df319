"""Triton kernels against the PyTorch path.

`test_kernels.py` runs this file in a process of its own, since Triton decides at its first import
whether kernels are compiled or interpreted.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.ops import Packed, cross_match, cross_match_pairs, maxsim
from pyg_sgm.ops.kernels.cross_match import match
from pyg_sgm.ops.kernels.maxsim import MaxSim, tiles
from tests.helpers.packed import ragged

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.float16: 0.02}
if DEVICE == "cuda":  # the interpreter multiplies the bits of bfloat16
    TOLERANCE[torch.bfloat16] = 0.1


def random_sizes(count: int, high: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, high, (count,), generator=generator).tolist()


def spy(name: str, taken: list[str]) -> Callable[..., Any]:
    """A kernel that notes its name when it is called."""
    kernel = {"cross_match.match": match, "maxsim.MaxSim.apply": MaxSim.apply}[name]

    def called(*arguments: Any) -> Any:
        taken.append(name)
        return kernel(*arguments)

    return called


def kernel_of(x: Tensor, x_ptr: Tensor, y: Tensor, y_ptr: Tensor, weight: Tensor) -> Tensor:
    plan = tiles(x_ptr, y_ptr, x.itemsize, x.requires_grad)
    assert plan is not None
    scores: Tensor = MaxSim.apply(x, x_ptr, y, y_ptr, weight, plan)
    return scores


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize(("x_high", "y_high", "dim"), [(90, 9, 24), (6, 60, 64), (1, 4, 8)])
def test_maxsim(dtype: torch.dtype, x_high: int, y_high: int, dim: int) -> None:
    x, x_ptr = ragged(random_sizes(4, x_high, 0), dim, 0, dtype)
    y, y_ptr = ragged(random_sizes(4, y_high, 1), dim, 1, dtype)
    weight = torch.rand(len(y), generator=torch.Generator().manual_seed(2))
    spread = torch.linspace(-1, 1, 16).view(4, 4)

    def run(function, dtype: torch.dtype, device: str) -> list[Tensor]:  # type: ignore[no-untyped-def]
        inputs = [t.to(device, dtype).requires_grad_() for t in (x, y)]
        w = weight.to(device).requires_grad_()
        scores = function(inputs[0], x_ptr.to(device), inputs[1], y_ptr.to(device), w)
        gradients = torch.autograd.grad((scores * spread.to(device)).sum(), [*inputs, w])
        return [t.detach().cpu().float() for t in (scores, *gradients)]

    kernel = run(kernel_of, dtype, DEVICE)
    # The same rounded values with exact products.
    expected = run(
        lambda x, x_ptr, y, y_ptr, w: maxsim(Packed(y, y_ptr), Packed(x, x_ptr), w).t(),
        torch.float32,
        "cpu",
    )
    for a, b in zip(kernel, expected, strict=True):
        torch.testing.assert_close(a, b, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_kernels_start_on_the_card_of_their_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def device_of(x: Tensor) -> AbstractContextManager[None]:
        found.append(x.device)
        return nullcontext()

    monkeypatch.setattr("torch.cuda.device_of", device_of)
    x, x_ptr = (t.to(DEVICE) for t in ragged([2], 8, 0, torch.float32))
    weight = torch.rand(2, device=DEVICE)
    kernel_of(x.requires_grad_(), x_ptr, x, x_ptr, weight).sum().backward()
    assert found == [x.device] * 3
    nodes, square = Packed(x.detach(), x_ptr), torch.rand(2, 8, device=DEVICE)
    match(nodes, nodes, weight, weight, square, square, True)
    assert found == [x.device] * 5


def test_strides_do_not_matter() -> None:
    x, x_ptr = ragged([2, 3], 8, 0, torch.float32)
    y, y_ptr = ragged([2, 1], 8, 1, torch.float32)
    tensors = [t.to(DEVICE) for t in (x, x_ptr, y, y_ptr, torch.rand(3))]
    apart = [torch.stack([t, t], -1)[..., 0] for t in tensors]
    assert torch.equal(kernel_of(*apart), kernel_of(*tensors))
    beta, weight = torch.ones(5, device=DEVICE), torch.rand(2, 8, device=DEVICE)

    def matches(x: Tensor, x_ptr: Tensor, y: Tensor, y_ptr: Tensor, _: Tensor) -> Tensor:
        sides = Packed(x, x_ptr), Packed(y, y_ptr), beta, beta[:3], weight, weight
        return torch.stack(match(*sides, True))

    assert torch.equal(matches(*apart), matches(*tensors))


def test_nan_is_not_passed_over() -> None:
    x, x_ptr = ragged([2, 3], 8, 0, torch.float32)
    y, y_ptr = ragged([2, 1], 8, 1, torch.float32)
    y[0] = torch.nan
    scores = kernel_of(*(t.to(DEVICE) for t in (x, x_ptr, y, y_ptr, torch.ones(3))))
    assert scores.isnan().tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("dtype", [dtype for dtype in TOLERANCE if dtype.itemsize == 2])
def test_cross_match(dtype: torch.dtype, attention: bool) -> None:
    dim, perspectives = 40, 5
    generator = torch.Generator().manual_seed(2)
    x = Packed(*ragged([40, 0, 3], dim, 0, dtype))
    y = Packed(*ragged([2, 0, 18, 7], dim, 1, dtype))
    x.x[0] = 0
    betas = [torch.rand(len(side.x), generator=generator) for side in (x, y)]
    weights = torch.rand(2, perspectives, dim, generator=generator).to(dtype)
    x_index, y_index = torch.cartesian_prod(torch.arange(3), torch.arange(4)).unbind(1)
    exact = [Packed(side.x.float(), side.ptr) for side in (x, y)]
    expected = cross_match_pairs(*exact, x_index, y_index, *betas, *weights.float(), attention)  # type: ignore[call-arg]
    nodes = [side.to(DEVICE) for side in (x, y)]
    betas = [beta.to(DEVICE) for beta in betas]
    out = match(*nodes, *betas, *weights.to(DEVICE).square(), attention)  # type: ignore[call-arg]
    for a, b in zip(out, expected, strict=True):
        tolerance = 10 * TOLERANCE[dtype]
        torch.testing.assert_close(a.cpu().flatten(0, 1), b, atol=tolerance, rtol=tolerance)


def test_what_many_nodes_see_is_finite() -> None:
    """Of like nodes the sum grows with their number, and its square more so."""
    x, y = Packed(*ragged([100, 1], 16, 0)), Packed(*ragged([60, 2], 16, 1))
    x, y = (Packed((8 * (side.x + 2)).half(), side.ptr).to(DEVICE) for side in (x, y))
    square = torch.rand(4, 16, generator=torch.Generator().manual_seed(2)).to(DEVICE, torch.float16)
    beta = torch.ones(101, device=DEVICE), torch.ones(62, device=DEVICE)
    exact = [Packed(side.x.float(), side.ptr) for side in (x, y)]
    i, j = torch.cartesian_prod(*[torch.arange(2, device=DEVICE)] * 2).unbind(1)
    root = square.float().sqrt()
    expected = cross_match_pairs(*exact, i, j, *beta, root, root)  # type: ignore[call-arg]
    for a, b in zip(match(x, y, *beta, square, square, True), expected, strict=True):
        torch.testing.assert_close(a.flatten(0, 1), b, atol=0, rtol=0.01)


def test_a_graph_that_no_tile_holds_whole() -> None:
    generator = torch.Generator().manual_seed(2)
    x = Packed(*ragged([90, 100, 3], 16, 0, torch.float16)).to(DEVICE)
    y = Packed(*ragged([120, 1, 128], 16, 1, torch.float16)).to(DEVICE)
    weight = torch.rand(249, generator=generator).to(DEVICE)
    beta = torch.rand(193, generator=generator).to(DEVICE)
    square = torch.rand(4, 16, generator=generator).to(DEVICE, torch.float16)
    exact = [Packed(side.x.float(), side.ptr) for side in (x, y)]
    expected = maxsim(exact[1].to("cpu"), exact[0].to("cpu"), weight.cpu()).t()
    scores = kernel_of(x.x, x.ptr, y.x, y.ptr, weight)
    torch.testing.assert_close(scores.cpu(), expected, atol=0.05, rtol=0.01)
    x_index, y_index = torch.cartesian_prod(*[torch.arange(3, device=DEVICE)] * 2).unbind(1)
    root = square.float().sqrt()
    sides = beta, weight, root, root
    pairs = cross_match_pairs(*exact, x_index, y_index, *sides)  # type: ignore[call-arg]
    for a, b in zip(match(x, y, beta, weight, square, square, True), pairs, strict=True):
        torch.testing.assert_close(a.flatten(0, 1), b, atol=0.2, rtol=0.02)


def test_the_operations_take_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    x = Packed(*ragged([20, 0, 3], 24, 0, torch.float16)).to(DEVICE)
    y = Packed(*ragged([2, 0, 7], 24, 1, torch.float16)).to(DEVICE)
    weight = torch.rand(2, 5, 24, device=DEVICE)
    side = torch.rand(len(x.x), device=DEVICE), torch.rand(len(y.x), device=DEVICE), *weight

    def scores() -> list[Tensor]:
        with torch.inference_mode():
            few = cross_match(x, y, *side, lambda a, b: (a + b).sum(-1), max_memory=200_000)  # type: ignore[call-arg]
            return [few, maxsim(y, x)]

    monkeypatch.setenv("PYG_SGM_KERNELS", "0")
    expected = scores()
    monkeypatch.setattr("pyg_sgm.ops.kernels.available", lambda *_: True)
    # A CPU multiplies no float16, so that its blocks are float32.
    for module in ("_cross_match", "_maxsim"):
        monkeypatch.setattr(f"pyg_sgm.ops.{module}.product_dtype", lambda *_: torch.float16)
    taken = []
    for name in ("cross_match.match", "maxsim.MaxSim.apply"):
        monkeypatch.setattr(f"pyg_sgm.ops.kernels.{name}", spy(name, taken))
    for a, b in zip(scores(), expected, strict=True):
        torch.testing.assert_close(a, b, atol=0.05, rtol=0.01)
    assert taken == ["cross_match.match", "maxsim.MaxSim.apply"]
