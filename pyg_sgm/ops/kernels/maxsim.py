"""MaxSim in one kernel: products, maxima and means of a tile never leave the chip."""

# Triton reads the annotations of a kernel as its own, so its arguments go without.
# mypy: disable-error-code="no-untyped-def"

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyg_sgm.ops.kernels._tiles import add_rows, in_panels, start


class Blocks(NamedTuple):
    """Nodes of the texts, nodes of the images and columns of a tile, and how it is worked on."""

    y: int
    x: int
    d: int
    num_warps: int
    num_stages: int


class Tiles(NamedTuple):
    """Whole images side by side, small ones first, in tiles of so many columns."""

    slots: list[tuple[int, int]]  # an image, and its first column in its tile
    starts: list[int]  # the first slot of each tile, and their number
    most: int  # slots of a tile
    largest: int  # nodes of an image
    keep: bool  # the winners, for the gradients


# By the bytes of a number, and whether the winners are kept for the gradients: what the registers
# and the shared memory of Ampere and Hopper hold.
BLOCKS = {
    (2, False): Blocks(128, 256, 64, 8, 3),
    (2, True): Blocks(128, 128, 64, 8, 3),
    (4, False): Blocks(64, 128, 32, 8, 3),
    (4, True): Blocks(64, 128, 32, 8, 3),
}
GROUP = 4  # images are filled up to a multiple of so many nodes, whose maximum is found first
PANEL = 8  # tiles of texts that are worked on side by side
BLOCK_X, BLOCK_Y, BLOCK_D, NUM_WARPS = 64, 64, 32, 8  # of the gradients
# The kernels' arguments that are not of the type of the nodes.
INTEGERS = {"x_ptr", "text_of_row", "slot_image", "slot_column", "tile_slot"}
SUMS = {"weight", "scores", "grad", "pull"}


@triton.jit
def larger(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit(do_not_specialize=["num_texts", "num_rows", "num_x_tiles", "num_y_tiles"])
def forward_kernel(
    x,
    x_ptr,
    y,
    text_of_row,
    weight,
    slot_image,
    slot_column,
    tile_slot,
    scores,
    winners,
    num_texts,
    num_rows,
    num_x_tiles,
    num_y_tiles,
    dim,
    KEEP: tl.constexpr,
    WHOLE_D: tl.constexpr,
    GROUP: tl.constexpr,
    PANEL: tl.constexpr,
    SLOTS: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Some nodes of the texts against a tile of whole images."""
    y_tile, x_tile = in_panels(tl.program_id(0), num_y_tiles, num_x_tiles, PANEL)
    row = y_tile * BLOCK_Y + tl.arange(0, BLOCK_Y)
    real = row < num_rows
    y_row = tl.minimum(row, num_rows - 1).to(tl.int64)
    # Columns are the nodes of the images of the tile. Behind its last node an image goes on with
    # copies of it, which change no maximum.
    column = tl.arange(0, BLOCK_X)
    slot_start, slot_end = tl.load(tile_slot + x_tile), tl.load(tile_slot + x_tile + 1)
    x_row = tl.zeros([BLOCK_X], tl.int64)
    for slot in range(slot_start, slot_end):
        image = tl.load(slot_image + slot)
        start, end = tl.load(x_ptr + image), tl.load(x_ptr + image + 1)
        position = column - tl.load(slot_column + slot)
        x_row = tl.where(position >= 0, tl.minimum(start + position, end - 1), x_row)

    product = tl.zeros([BLOCK_Y, BLOCK_X], tl.float32)
    d = tl.arange(0, BLOCK_D)
    y_at = y + y_row[:, None] * dim + d[None, :]
    x_at = x + x_row[None, :] * dim + d[:, None]
    for first in range(0, dim, BLOCK_D):
        if WHOLE_D:
            y_part, x_part = tl.load(y_at), tl.load(x_at)
        else:
            inside = d < dim - first
            y_part = tl.load(y_at, inside[None, :], 0.0)
            x_part = tl.load(x_at, inside[:, None], 0.0)
        product = tl.dot(y_part, x_part, product, input_precision="tf32x3")
        y_at += BLOCK_D
        x_at += BLOCK_D

    # A maximum of the group of columns, then of the groups of each image.
    groups = tl.reduce(tl.reshape(product, [BLOCK_Y, BLOCK_X // GROUP, GROUP]), 2, larger)
    group = tl.arange(0, BLOCK_X // GROUP) * GROUP
    share = tl.load(weight + y_row, real, 0.0)
    values = tl.zeros([BLOCK_Y, SLOTS], tl.float32)
    for slot in range(slot_start, slot_end):
        image = tl.load(slot_image + slot)
        size = (tl.load(x_ptr + image + 1) - tl.load(x_ptr + image)).to(tl.int32)
        first_column = tl.load(slot_column + slot).to(tl.int32)
        mine = (group >= first_column) & (group < first_column + size)
        best = tl.reduce(tl.where(mine[None, :], groups, float("-inf")), 1, larger)
        here = tl.arange(0, SLOTS) == slot - slot_start
        values = tl.where(here[None, :], (best * share)[:, None], values)
        if KEEP:
            position = column - first_column
            own = (position >= 0) & (position < size)
            won = own[None, :] & (product == best[:, None])
            winner = tl.maximum(tl.max(tl.where(won, position[None, :], -1), 1), 0)
            tl.store(winners + image * num_rows + row, winner, real)
    slots = slot_start + tl.arange(0, SLOTS)
    image = tl.load(slot_image + slots, slots < slot_end, 0)
    add_rows(values, text_of_row, row, num_rows, scores, 1, image * num_texts, slots < slot_end)


@triton.jit(do_not_specialize=["num_texts", "num_rows"])
def x_grad_kernel(
    x_ptr,
    y,
    text_of_row,
    weight,
    grad,
    winners,
    x_grad,
    num_texts,
    num_rows,
    dim,
    BLOCK_X: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Some nodes and columns of one image: the sum of what they won over all nodes of the texts."""
    image = tl.program_id(2).to(tl.int64)
    start, end = tl.load(x_ptr + image), tl.load(x_ptr + image + 1)
    position = tl.program_id(0) * BLOCK_X + tl.arange(0, BLOCK_X)
    column = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    total = tl.zeros([BLOCK_X, BLOCK_D], tl.float32)
    for first in range(0, num_rows, BLOCK_Y):
        row = (first + tl.arange(0, BLOCK_Y)).to(tl.int64)
        real = row < num_rows
        text = tl.load(text_of_row + row, real, 0)
        share = tl.load(grad + image * num_texts + text, real, 0.0)
        share *= tl.load(weight + row, real, 0.0)
        winner = tl.load(winners + image * num_rows + row, real, -1)
        chosen = tl.where(position[:, None] == winner[None, :], share[None, :], 0.0)
        y_tile = tl.load(
            y + row[:, None] * dim + column[None, :], real[:, None] & (column < dim)[None, :], 0.0
        )
        total = tl.dot(chosen.to(y_tile.dtype), y_tile, total, input_precision="tf32x3")
    x_row = start + position
    inside = (x_row < end)[:, None] & (column < dim)[None, :]
    tl.store(x_grad + x_row[:, None] * dim + column[None, :], total, inside)


@triton.jit(do_not_specialize=["num_images", "num_texts", "num_rows"])
def y_grad_kernel(
    x,
    x_ptr,
    text_of_row,
    grad,
    winners,
    pull,
    num_images,
    num_texts,
    num_rows,
    dim,
    BLOCK_X: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Some nodes of the texts and columns: the sum of their winners over all images."""
    row = (tl.program_id(0) * BLOCK_X + tl.arange(0, BLOCK_X)).to(tl.int64)
    column = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    real = row < num_rows
    text = tl.load(text_of_row + row, real, 0)
    inside = real[:, None] & (column < dim)[None, :]
    total = tl.zeros([BLOCK_X, BLOCK_D], tl.float32)
    for image in range(0, num_images):
        start, end = tl.load(x_ptr + image), tl.load(x_ptr + image + 1)
        if start < end:
            winner = tl.load(winners + row, real, 0)
            share = tl.load(grad + text, real, 0.0)
            x_tile = tl.load(x + (start + winner)[:, None] * dim + column[None, :], inside, 0.0)
            total += share[:, None] * x_tile.to(tl.float32)
        winners += num_rows
        grad += num_texts
    tl.store(pull + row[:, None] * dim + column[None, :], total, inside)


def tiles(x_ptr: Tensor, y_ptr: Tensor, itemsize: int, keep: bool) -> Tiles | None:
    """How the images are put into tiles, :obj:`None` if an image or a text is larger than one.

    It copies the sizes of the images to the host.
    """
    blocks = BLOCKS[itemsize, keep]
    nothing = y_ptr.new_zeros(1)
    largest_text = torch.cat([nothing, y_ptr.diff()]).amax(0, keepdim=True)
    largest, *sizes = torch.cat([largest_text, x_ptr.diff()]).tolist()
    if max([0, *sizes]) > blocks.x or largest > blocks.y:
        return None
    slots: list[tuple[int, int]] = []
    starts = [0]
    most = column = 0
    for image in sorted(range(len(sizes)), key=sizes.__getitem__):
        if not sizes[image]:
            continue
        columns = triton.cdiv(sizes[image], GROUP) * GROUP
        if column + columns > blocks.x:
            starts.append(len(slots))
            column = 0
        slots.append((image, column))
        column += columns
        most = max(most, len(slots) - starts[-1])
    return Tiles(slots, [*starts, len(slots)], most, max([0, *sizes]), keep)


class MaxSim(torch.autograd.Function):
    """The kernels as one differentiable operation; ``x`` and ``y`` of one type, sums in float32."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        x_ptr: Tensor,
        y: Tensor,
        y_ptr: Tensor,
        weight: Tensor,
        tiles: Tiles,
    ) -> Tensor:
        x, x_ptr, y, weight = (t.contiguous() for t in (x, x_ptr, y, weight))
        num_images, num_texts = x_ptr.numel() - 1, y_ptr.numel() - 1
        scores = x.new_zeros(num_images, num_texts, dtype=torch.float32)
        winners_shape = (num_images, y.size(0)) if tiles.keep else (1, 1)
        winners = torch.empty(winners_shape, dtype=torch.int32, device=x.device)
        texts = torch.arange(num_texts, device=y.device)
        text = texts.repeat_interleave(y_ptr.diff(), output_size=y.size(0))
        if x.numel() and y.numel():
            blocks = BLOCKS[x.itemsize, tiles.keep]
            image, column = torch.tensor(tiles.slots, device=x.device).t().contiguous()
            num_x_tiles, num_y_tiles = len(tiles.starts) - 1, triton.cdiv(y.size(0), blocks.y)
            start(
                *(forward_kernel, (num_x_tiles * num_y_tiles,), x),
                *(x, x_ptr, y, text, weight, image, column),
                *(torch.tensor(tiles.starts, device=x.device), scores, winners),
                *(num_texts, y.size(0), num_x_tiles, num_y_tiles, x.size(1)),
                KEEP=tiles.keep,
                WHOLE_D=x.size(1) % blocks.d == 0,
                GROUP=GROUP,
                PANEL=PANEL,
                SLOTS=triton.next_power_of_2(tiles.most),
                BLOCK_Y=blocks.y,
                BLOCK_X=blocks.x,
                BLOCK_D=blocks.d,
                num_warps=blocks.num_warps,
                num_stages=blocks.num_stages,
            )
        ctx.largest = tiles.largest
        ctx.save_for_backward(x, x_ptr, y, text, weight, winners)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, x_ptr, y, text, weight, winners = ctx.saved_tensors
        grad = grad.contiguous()
        num_images, num_texts = grad.shape
        x_grad = torch.zeros_like(x)
        pull = torch.zeros_like(y, dtype=torch.float32)
        if x.numel() and y.numel():
            columns = triton.cdiv(x.size(1), BLOCK_D)
            start(
                *(x_grad_kernel, (triton.cdiv(ctx.largest, BLOCK_X), columns, num_images), x),
                *(x_ptr, y, text, weight, grad, winners, x_grad),
                *(num_texts, y.size(0), x.size(1)),
                BLOCK_X=BLOCK_X,
                BLOCK_Y=BLOCK_Y,
                BLOCK_D=BLOCK_D,
                num_warps=NUM_WARPS,
            )
            start(
                *(y_grad_kernel, (triton.cdiv(y.size(0), BLOCK_X), columns), x),
                *(x, x_ptr, text, grad, winners, pull),
                *(num_images, num_texts, y.size(0), x.size(1)),
                BLOCK_X=BLOCK_X,
                BLOCK_D=BLOCK_D,
                num_warps=NUM_WARPS,
            )
        y_grad = (pull * weight[:, None]).to(y.dtype)
        return x_grad, None, y_grad, None, (pull * y).sum(1), None
