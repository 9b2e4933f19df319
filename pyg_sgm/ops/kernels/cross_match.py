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

# Own nodes and columns at a time, by the bytes of a number: as many as registers hold.
BLOCKS = {4: (16, 16), 2: (32, 32)}
NUM_WARPS = 8
MAX_OTHER, MAX_PERSPECTIVES = 128, 64  # what a block holds
# The kernel's arguments that are not of the type of the nodes.
INTEGERS = {"own_ptr", "other_ptr"}
SUMS = {"own_inverse", "other_inverse", "own_share", "out"}


@triton.jit
def match_kernel(
    own,
    own_ptr,
    own_inverse,
    own_share,
    own_square,
    other,
    other_ptr,
    other_inverse,
    out,
    num_perspectives,
    num_pairs_to_next_own,
    num_pairs_to_next_other,
    dim,
    tiny,
    ATTENTION: tl.constexpr,
    BLOCK_OWN: tl.constexpr,
    BLOCK_OTHER: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_L: tl.constexpr,
):
    """One direction of one pair: what the nodes of a graph see of another, and their matching."""
    graph, other_graph = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    start, end = tl.load(own_ptr + graph), tl.load(own_ptr + graph + 1)
    other_start = tl.load(other_ptr + other_graph)
    other_row = other_start + tl.arange(0, BLOCK_OTHER)
    other_real = other_row < tl.load(other_ptr + other_graph + 1)
    level = tl.arange(0, BLOCK_L)
    kept = level < num_perspectives
    total = tl.zeros([BLOCK_L], tl.float32)
    for first in range(start, end, BLOCK_OWN):
        row = first + tl.arange(0, BLOCK_OWN)
        real = row < end
        alpha = tl.zeros([BLOCK_OWN, BLOCK_OTHER], tl.float32)
        for d in range(0, dim, BLOCK_D):
            column = (d + tl.arange(0, BLOCK_D))[None, :]
            inside = column < dim
            tile = tl.load(own + row[:, None] * dim + column, real[:, None] & inside, 0.0)
            other_tile = tl.load(
                other + other_row[:, None] * dim + column, other_real[:, None] & inside, 0.0
            )
            alpha = tl.dot(tile, tl.trans(other_tile), alpha, input_precision="tf32x3")
        if ATTENTION:
            alpha *= tl.load(own_inverse + row, real, 0.0)[:, None]
            alpha *= tl.load(other_inverse + other_row, other_real, 0.0)[None, :]
            alpha = tl.maximum(alpha, 0.0)
        else:
            alpha = tl.full([BLOCK_OWN, BLOCK_OTHER], 1.0, tl.float32)
        alpha = alpha.to(own.dtype.element_ty)
        product = tl.zeros([BLOCK_OWN, BLOCK_L], tl.float32)
        length = tl.zeros([BLOCK_OWN, BLOCK_L], tl.float32)
        for d in range(0, dim, BLOCK_D):
            column = (d + tl.arange(0, BLOCK_D))[None, :]
            inside = column < dim
            tile = tl.load(own + row[:, None] * dim + column, real[:, None] & inside, 0.0)
            other_tile = tl.load(
                other + other_row[:, None] * dim + column, other_real[:, None] & inside, 0.0
            )
            square = tl.load(
                own_square + level[:, None] * dim + column, kept[:, None] & inside, 0.0
            )
            square = tl.trans(square)  # [BLOCK_D, BLOCK_L]
            seen = tl.dot(alpha, other_tile, input_precision="tf32x3")
            both = (seen * tile).to(alpha.dtype)
            product = tl.dot(both, square, product, input_precision="tf32x3")
            length = tl.dot((seen * seen).to(alpha.dtype), square, length, input_precision="tf32x3")
        share = tl.load(
            own_share + row[:, None] * num_perspectives + level[None, :],
            real[:, None] & kept[None, :],
            0.0,
        )
        seen_at_all = length > tiny
        cosine = tl.where(seen_at_all, product / tl.sqrt(tl.where(seen_at_all, length, 1.0)), 0.0)
        # A comparison is false for NaN, which has to be seen in the result.
        cosine = tl.where(length == length, cosine, length)
        total += tl.sum(cosine * share, 0)
    pair = graph * num_pairs_to_next_own + other_graph * num_pairs_to_next_other
    tl.store(out + pair * num_perspectives + level, total, kept)


def fits(x: Packed, y: Packed, num_perspectives: int) -> bool:
    """Whether the kernel holds the largest graphs and all perspectives."""
    sizes = torch.cat([x.sizes, y.sizes])
    return (
        sizes.numel() > 0 and int(sizes.max()) <= MAX_OTHER and num_perspectives <= MAX_PERSPECTIVES
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
    block_own, block_d = BLOCKS[x.x.itemsize]
    matches = x.x.new_zeros(2, len(x), len(y), num_perspectives, dtype=torch.float32)
    x_side, y_side = _side(x, x_beta, x_square), _side(y, y_beta, y_square)
    # Pairs lie in the order of the images, and of the texts within.
    for own, other, out, to_next_own, to_next_other in (
        (x_side, y_side, matches[0], len(y), 1),
        (y_side, x_side, matches[1], 1, len(y)),
    ):
        sizes = other[1].diff()
        if not (own[0].numel() and other[0].numel()):
            continue
        match_kernel[(own[1].numel() - 1, other[1].numel() - 1)](
            *(*own, *other[:3], out),
            *(num_perspectives, to_next_own, to_next_other, x.x.size(1), TINY**2),
            ATTENTION=attention,
            BLOCK_OWN=block_own,
            BLOCK_OTHER=_block(int(sizes.max())),
            BLOCK_D=block_d,
            BLOCK_L=_block(num_perspectives),
            num_warps=NUM_WARPS,
        )
    return matches[0], matches[1]


def _side(nodes: Packed, beta: Tensor, square: Tensor) -> tuple[Tensor, ...]:
    """Nodes, boundaries, inverse lengths, beta over the lengths under every perspective."""
    x = nodes.x.float()
    inverse = inverse_root(x.square().sum(1))
    share = beta.float()[:, None] * inverse_root(x.square() @ square.float().t())
    return nodes.x.contiguous(), nodes.ptr, inverse, share.contiguous(), square.contiguous()


def _block(size: int) -> int:
    """The block that holds ``size``: a power of two, as the tensor cores want it."""
    return max(16, 1 << (size - 1).bit_length())
