"""What the kernels share: the order of their tiles, and sums over the rows of each graph in one."""


# Triton reads the annotations of a kernel as its own, so its arguments go without.
# mypy: disable-error-code="no-untyped-def"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor


def start(kernel: Any, grid: tuple[int, ...], like: Tensor, *values: Any, **options: Any) -> None:
    """Starts a kernel on the card of a tensor; by itself Triton takes the current one."""
    with torch.cuda.device_of(like):
        kernel[grid](*values, **options)


@triton.jit
def sum_since_start(a, a_starts, b, b_starts):
    return tl.where(b_starts > 0, b, a + b), a_starts | b_starts


@triton.jit
def in_panels(number, num_first, num_second, PANEL: tl.constexpr):
    """Places of a program on two axes: consecutive programs take a panel of the first one with the
    same of the second, so that what they read is in the cache."""
    panel = number // (PANEL * num_second)
    height = tl.minimum(num_first - panel * PANEL, PANEL)
    within = number % (PANEL * num_second)
    return panel * PANEL + within % height, within // height


@triton.jit
def add_rows(values, graph_of_row, row, num_rows, out, graph_stride, column, kept):
    """Adds ``values [rows, columns]`` to ``out``, summed over the consecutive rows of each graph,
    which lie ``graph_stride`` apart.

    A graph that no tile holds whole gets several parts. They are two if none is larger than a tile,
    and the sum of two numbers is the same in any order.
    """
    real = row < num_rows
    graph = tl.load(graph_of_row + row, real, -1)
    before = tl.load(graph_of_row + row - 1, real & (row > 0), -1)
    after = tl.load(graph_of_row + row + 1, row + 1 < num_rows, -1)
    last = real & ((graph != after) | (row == tl.max(row, 0)))
    starts = tl.zeros(values.shape, tl.int32) + (graph != before).to(tl.int32)[:, None]
    total, _ = tl.associative_scan((values, starts), 0, sum_since_start)
    at = graph[:, None] * graph_stride + column[None, :]
    tl.atomic_add(out + at, total, last[:, None] & kept[None, :])
