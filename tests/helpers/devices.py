"""Comparing a device and a precision with the CPU in float64."""

import ast
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch_geometric.data import HeteroData

import pyg_sgm
from pyg_sgm.data import PairBatch
from pyg_sgm.models import Matcher

# Largest difference, as a share of the largest value (of at least one): float32 rounds sums of a
# few hundred terms, bfloat16 has eight bits for each factor.
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.05}

Function = Callable[..., Tensor | Sequence[Tensor]]


def assert_near(out: Tensor, expected: Tensor, tolerance: float) -> None:
    """Equal within a share of the largest finite value; infinities are equal to themselves."""
    expected = expected.detach()
    finite = expected[expected.isfinite()].abs()
    scale = max(1.0, float(finite.max())) if len(finite) else 1.0
    torch.testing.assert_close(
        out.detach().cpu().double(), expected.double(), atol=tolerance * scale, rtol=0
    )


def outputs_and_gradients(
    function: Function, inputs: Sequence[Tensor], gradients: bool = True
) -> list[Tensor]:
    """What a function gives, and the gradients of a sum of it with fixed weights."""
    leaves = [t.detach().clone().requires_grad_(gradients) for t in inputs]
    found = function(*leaves)
    out = [found] if isinstance(found, Tensor) else list(found)
    if not gradients:
        return out
    total = torch.zeros((), dtype=torch.float64, device=out[0].device)
    for value in out:
        weight = torch.linspace(-1, 1, value.numel(), dtype=torch.float64, device=value.device)
        finite = value.double().masked_fill(~value.isfinite(), 0)
        total = total + (finite * weight.view_as(value)).sum()
    if not total.requires_grad:  # of graphs without nodes nothing is learned
        return [*out, *(torch.zeros_like(leaf) for leaf in leaves)]
    return [*out, *torch.autograd.grad(total, leaves, materialize_grads=True)]


def assert_as_on_cpu(
    function: Callable[[torch.device], Function],
    inputs: Sequence[Tensor],
    device: torch.device,
    dtype: torch.dtype,
    tolerance: float | None = None,
    gradients: bool = True,
) -> None:
    """A function of floating-point tensors gives on a device in a precision what it gives on the
    CPU in float64 for the same rounded inputs, and so do its gradients.

    ``function`` takes the device that it is to work on and gives the function.
    """
    rounded = [t.to(dtype) for t in inputs]
    cpu = torch.device("cpu")
    expected = outputs_and_gradients(function(cpu), [t.double() for t in rounded], gradients)
    out = outputs_and_gradients(function(device), [t.to(device) for t in rounded], gradients)
    assert len(out) == len(expected)
    for a, b in zip(out, expected, strict=True):
        assert a.device.type == device.type
        assert_near(a, b, TOLERANCE[dtype] if tolerance is None else tolerance)


def batch_to(batch: PairBatch, device: torch.device, dtype: torch.dtype) -> PairBatch:
    """A batch on a device, its floating-point values in a precision."""

    def moved(graphs: HeteroData) -> HeteroData:
        return graphs.clone().apply(
            lambda t: t.to(device, dtype if t.is_floating_point() else t.dtype)
        )

    return PairBatch(
        moved(batch.image),
        moved(batch.text),
        batch.image_of_text.to(device),
        batch.image_index.to(device),
    )


def step_of(
    model: Matcher, batch: PairBatch, loss: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Scores, loss and gradients of one training step."""
    model.zero_grad()
    scores = model.score(model.encode_image(batch.image), model.encode_text(batch.text))
    value = loss(scores.to(torch.promote_types(scores.dtype, torch.float32)), batch.image_of_text)
    value.backward()
    grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return scores.detach(), value.detach(), grads


def sizes_to_ptr(sizes: Sequence[int], device: torch.device) -> Tensor:
    """Boundaries of groups of the given sizes."""
    return torch.tensor([0, *sizes], device=device).cumsum(0)


def batch_sizes(lengths: Sequence[int]) -> list[int]:
    """Sequences that have a first step, a second, and so on."""
    steps = [sum(length > i for length in lengths) for i in range(max(lengths, default=0))]
    assert all(a >= b for a, b in pairwise(steps))
    return steps


@contextmanager
def host_waits(device: torch.device) -> Iterator[Counter[str]]:
    """Counts the places, ``file:function``, at which the host waits for a CUDA device, or on the
    CPU those at which it looks at values of tensors, as it would have to wait for."""
    found: Counter[str] = Counter()
    if device.type == "cpu":
        with _Lists(found), _Looks(found):
            yield found
        return
    torch.cuda.synchronize(device)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for warning in caught:
        if "synchronizing CUDA operation" in str(warning.message):
            found[f"{Path(warning.filename).name}:{_function_at(warning)}"] += 1


PACKAGE = str(Path(pyg_sgm.__file__).parent)
ATEN = torch.ops.aten
LOOKS = {
    *(ATEN._local_scalar_dense, ATEN.equal, ATEN.nonzero, ATEN.masked_select),
    *(ATEN._unique2, ATEN.unique_dim, ATEN.unique_consecutive),
}


class _Looks(TorchDispatchMode):
    """Counts operations whose result, or its shape, depends on values."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operation = func.overloadpacket
        masked = operation in (ATEN.index, ATEN.index_put, ATEN.index_put_) and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        unsized = operation is ATEN.repeat_interleave and kwargs.get("output_size") is None
        if operation in LOOKS or masked or unsized:
            self.found[_place()] += 1
        return func(*args, **kwargs)


class _Lists(TorchFunctionMode):
    """Counts lists made of tensors."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.tolist:
            self.found[_place()] += 1
        return func(*args, **(kwargs or {}))


def _place() -> str:
    """The innermost function of the package that is being called."""
    for frame in reversed(traceback.extract_stack()):
        if frame.filename.startswith(PACKAGE) and not frame.name.startswith("<"):
            return f"{Path(frame.filename).name}:{frame.name}"
    return "elsewhere"


def _function_at(warning: warnings.WarningMessage) -> str:
    """Name of the function that a warning comes from."""
    tree = ast.parse(Path(warning.filename).read_text(encoding="utf-8"))
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.lineno <= warning.lineno <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno).name if around else "<module>"
