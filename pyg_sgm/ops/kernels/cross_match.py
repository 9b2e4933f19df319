"""HOAD's comparison of two graphs in one kernel: attention, what the nodes see of each other, the
perspectives and the weighted sums of a pair never leave the chip.
"""

# Triton reads the annotations of a kernel as its own, so its arguments go without.
# mypy: disable-error-code="no-untyped-def"

import torch
import triton
import triton.language as tl
from torch import Tensor

from pyg_sgm.ops._attention import TINY, inverse_root
from pyg_sgm.ops._packed import Packed
from pyg_sgm.ops.kernels._tiles import add_rows, in_panels, start

# Own nodes and columns at a time, the most nodes of the other graph and perspectives: as many as
# the registers of Ampere and Hopper hold.
BLOCK_OWN, BLOCK_D, MAX_NODES, MAX_PERSPECTIVES = 128, 32, 128, 64
NUM_WARPS, NUM_STAGES = 8, 3
PANEL = 8  # other graphs that are worked on side by side
# The kernel's arguments that are not of the type of the nodes.
INTEGERS = {"own_graph", "other_ptr"}
SUMS = {"own_inverse", "other_inverse", "own_share", "out"}


# Numbers that a kernel is not to be compiled anew for.
COUNTS = ["num_rows", "num_tiles", "num_others", "num_pairs_to_next_own", "num_pairs_to_next_other"]


@triton.jit(do_not_specialize=COUNTS)
def match_kernel(
    own,
    own_graph,
    own_inverse,
    own_share,
    own_square,
    other,
    other_ptr,
    other_inverse,
    out,
    num_rows,
    num_tiles,
    num_others,
    num_perspectives,
    num_pairs_to_next_own,
    num_pairs_to_next_other,
    dim,
    tiny,
    ATTENTION: tl.constexpr,
    PANEL: tl.constexpr,
    BLOCK_OWN: tl.constexpr,
    BLOCK_OTHER: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """One direction: what some nodes see of one graph, and their matching with it, added up over
    the nodes of a graph."""
    other_graph, tile = in_panels(tl.program_id(0), num_others, num_tiles, PANEL)
    other_graph = other_graph.to(tl.int64)
    row = tile * BLOCK_OWN + tl.arange(0, BLOCK_OWN)
    real = row < num_rows
    own_row = tl.minimum(row, num_rows - 1).to(tl.int64)
    start = tl.load(other_ptr + other_graph)
    size = (tl.load(other_ptr + other_graph + 1) - start).to(tl.int32)
    if size == 0:
        return
    position = tl.arange(0, BLOCK_OTHER)
    other_row = start + tl.minimum(position, size - 1)
    level = tl.arange(0, BLOCK_L)
    kept = level < num_perspectives
    d = tl.arange(0, BLOCK_D)
    alpha = tl.zeros([BLOCK_OWN, BLOCK_OTHER], tl.float32)
    if ATTENTION:
        for first in range(0, dim, BLOCK_D):
            inside = d < dim - first
            part = tl.load(own + own_row[:, None] * dim + first + d[None, :], inside[None, :], 0.0)
            other_part = tl.load(
                other + other_row[None, :] * dim + first + d[:, None], inside[:, None], 0.0
            )
            alpha = tl.dot(part, other_part, alpha, input_precision="tf32x3")
        alpha *= tl.load(own_inverse + own_row)[:, None]
        alpha *= tl.load(other_inverse + other_row)[None, :]
        alpha = tl.maximum(alpha, 0.0, propagate_nan=tl.PropagateNan.ALL)
    else:
        alpha += 1.0
    alpha = tl.where((position < size)[None, :], alpha, 0.0)
    if own.dtype.element_ty == tl.float16:
        # A mean instead of a sum, whose square soon is too large for float16.
        total = tl.sum(alpha, 1)
        alpha /= tl.where(total > 0, total, 1.0)[:, None]
    alpha = alpha.to(own.dtype.element_ty)
    product = tl.zeros([BLOCK_OWN, BLOCK_L], tl.float32)
    length = tl.zeros([BLOCK_OWN, BLOCK_L], tl.float32)
    for first in range(0, dim, BLOCK_D):
        inside = d < dim - first
        part = tl.load(own + own_row[:, None] * dim + first + d[None, :], inside[None, :], 0.0)
        other_part = tl.load(
            other + other_row[:, None] * dim + first + d[None, :], inside[None, :], 0.0
        )
        square = tl.load(
            own_square + level[None, :] * dim + first + d[:, None],
            kept[None, :] & inside[:, None],
            0.0,
        )
        seen = tl.dot(alpha, other_part, input_precision="tf32x3")
        both = (seen * part).to(alpha.dtype)
        product = tl.dot(both, square, product, input_precision="tf32x3")
        length = tl.dot((seen * seen).to(alpha.dtype), square, length, input_precision="tf32x3")
    share = tl.load(
        own_share + own_row[:, None] * num_perspectives + level[None, :],
        real[:, None] & kept[None, :],
        0.0,
    )
    seen_at_all = length > tiny
    cosine = tl.where(seen_at_all, product / tl.sqrt(tl.where(seen_at_all, length, 1.0)), 0.0)
    # A comparison is false for NaN, which has to be seen in the result.
    cosine = tl.where(length == length, cosine, length)
    add_rows(
        cosine * share,
        own_graph,
        row,
        num_rows,
        out + other_graph * num_pairs_to_next_other * num_perspectives,
        num_pairs_to_next_own * num_perspectives,
        level,
        kept,
    )


def fits(x: Packed, y: Packed, num_perspectives: int, dtype: torch.dtype) -> bool:
    """Whether the kernel holds the largest graphs and all perspectives, of half precision: wider
    numbers do not fit the registers."""
    sizes = torch.cat([x.sizes, y.sizes])
    return (
        dtype.itemsize == 2
        and sizes.numel() > 0
        and int(sizes.max()) <= MAX_NODES
        and num_perspectives <= MAX_PERSPECTIVES
    )


def match(
    x: Packed,
    y: Packed,
    x_beta: Tensor,
    y_beta: Tensor,
    x_square: Tensor,
    y_square: Tensor,
    attention: bool,
) -> tuple[Tensor, Tensor]:
    """Matching vectors of all pairs, float32 ``[num_images, num_texts, num_perspectives]``.

    Nodes and squared perspectives are of one type.
    """
    num_perspectives = len(x_square)
    matches = x.x.new_zeros(2, len(x), len(y), num_perspectives, dtype=torch.float32)
    # Pairs lie in the order of the images, and of the texts within.
    for out, own, other, beta, square, to_next_own, to_next_other in (
        (matches[0], x, y, x_beta, x_square, len(y), 1),
        (matches[1], y, x, y_beta, y_square, 1, len(y)),
    ):
        if not (own.x.numel() and other.x.numel()):
            continue
        inverse = inverse_root(own.x.float().square().sum(1))
        # Beta over the length under every perspective.
        lengths = own.x.float().square() @ square.float().t()
        share = beta.float()[:, None] * inverse_root(lengths)
        num_tiles = triton.cdiv(own.x.size(0), BLOCK_OWN)
        start(
            *(match_kernel, (num_tiles * len(other),), own.x),
            *(own.x.contiguous(), own.batch, inverse, share, square.contiguous()),
            *(other.x.contiguous(), other.ptr.contiguous()),
            inverse_root(other.x.float().square().sum(1)),
            *(out, own.x.size(0), num_tiles, len(other), num_perspectives),
            *(to_next_own, to_next_other, own.x.size(1), TINY**2),
            ATTENTION=attention,
            PANEL=PANEL,
            BLOCK_OWN=BLOCK_OWN,
            BLOCK_OTHER=_block(int(other.sizes.max())),
            BLOCK_D=BLOCK_D,
            BLOCK_L=_block(num_perspectives),
            num_warps=NUM_WARPS,
            num_stages=NUM_STAGES,
        )
    return matches[0], matches[1]


def _block(size: int) -> int:
    """The block that holds ``size``: a power of two, as the tensor cores want it."""
    return max(16, 1 << (size - 1).bit_length())
