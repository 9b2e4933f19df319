"""MaxSim in one kernel: products, maxima and means of a tile never leave the chip."""

# Triton reads the annotations of a kernel as its own, so its arguments go without.
# mypy: disable-error-code="no-untyped-def"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from pyg_sgm.ops._blocks import SortedGraphs

BLOCK_X, BLOCK_Y, BLOCK_D, NUM_WARPS = 32, 64, 32, 8
# The kernels' arguments that are not of the type of the nodes.
INTEGERS = {
    *("x_ptr", "row_of_node", "text_of_node", "text_of_row"),
    *("tile_node", "tile_text", "text_number"),
}
SUMS = {"weight", "scores", "grad", "pull"}


@triton.jit
def forward_kernel(
    x,
    x_ptr,
    y,
    row_of_node,
    text_of_node,
    weight,
    tile_node,
    tile_text,
    text_number,
    scores,
    winners,
    num_texts,
    num_rows,
    dim,
    KEEP: tl.constexpr,
    BLOCK_X: tl.constexpr,
    BLOCK_Y: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """One image against one tile of whole texts, whose nodes lie in the order of their sizes."""
    tile, image = tl.program_id(0), tl.program_id(1).to(tl.int64)
    x_start, x_end = tl.load(x_ptr + image), tl.load(x_ptr + image + 1)
    node_start, node_end = tl.load(tile_node + tile), tl.load(tile_node + tile + 1)
    text_start, text_end = tl.load(tile_text + tile), tl.load(tile_text + tile + 1)
    text = text_start + tl.arange(0, BLOCK_Y)  # a tile has no more texts than nodes, or one
    total = tl.zeros([BLOCK_Y], tl.float32)
    for first in range(node_start, node_end, BLOCK_Y):
        node = first + tl.arange(0, BLOCK_Y)
        real = node < node_end
        row = tl.load(row_of_node + node, real, 0)
        best = tl.full([BLOCK_Y], float("-inf"), tl.float32)
        winner = tl.zeros([BLOCK_Y], tl.int32)
        not_a_number = tl.zeros([BLOCK_Y], tl.int32)
        for x_first in range(x_start, x_end, BLOCK_X):
            x_row = x_first + tl.arange(0, BLOCK_X)
            product = tl.zeros([BLOCK_Y, BLOCK_X], tl.float32)
            for d in range(0, dim, BLOCK_D):
                column = d + tl.arange(0, BLOCK_D)
                inside = column[None, :] < dim
                y_tile = tl.load(
                    y + row[:, None] * dim + column[None, :], real[:, None] & inside, 0.0
                )
                x_tile = tl.load(
                    x + x_row[:, None] * dim + column[None, :],
                    (x_row < x_end)[:, None] & inside,
                    0.0,
                )
                product = tl.dot(y_tile, tl.trans(x_tile), product, input_precision="tf32x3")
            product = tl.where((x_row < x_end)[None, :], product, float("-inf"))
            # A maximum passes over NaN, so it is looked for apart.
            not_a_number |= tl.max((product != product).to(tl.int32), 1)
            top = tl.max(product, 1)
            position = (x_first - x_start).to(tl.int32) + tl.argmax(product, 1)
            winner = tl.where(top > best, position, winner)
            best = tl.maximum(best, top)
        best = tl.where(not_a_number > 0, float("nan"), best)
        value = tl.where(real, best * tl.load(weight + row, real, 0.0), 0.0)
        text_of = tl.load(text_of_node + node, real, -1)
        total += tl.sum(tl.where(text_of[:, None] == text[None, :], value[:, None], 0.0), 0)
        if KEEP:
            tl.store(winners + image * num_rows + row, winner, real)
    number = tl.load(text_number + text, text < text_end, 0)
    text_end = tl.where(x_start < x_end, text_end, text_start)  # without nodes the score stays 0
    tl.store(scores + image * num_texts + number, total, text < text_end)


@triton.jit
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


@triton.jit
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


class MaxSim(torch.autograd.Function):
    """The kernels as one differentiable operation; ``x`` and ``y`` of one type, sums in float32."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, x_ptr: Tensor, y: Tensor, y_ptr: Tensor, weight: Tensor
    ) -> Tensor:
        x, y = x.contiguous(), y.contiguous()
        num_images, num_texts = x_ptr.numel() - 1, y_ptr.numel() - 1
        scores = x.new_zeros(num_images, num_texts, dtype=torch.float32)
        keep = any(ctx.needs_input_grad)
        winners = torch.empty(
            (num_images, y.size(0)) if keep else (1, 1), dtype=torch.int32, device=x.device
        )
        texts = SortedGraphs(y_ptr)
        tiles = texts.blocks(BLOCK_Y)
        if tiles and num_images:
            ends = torch.tensor([(b.nodes.stop, b.graphs.stop) for b in tiles], device=x.device)
            tile_node, tile_text = torch.cat([ends.new_zeros(1, 2), ends]).t().contiguous()
            rows = texts.rows
            if rows is None:
                rows = torch.arange(y.size(0), device=x.device)
            text = torch.arange(len(texts.order), device=x.device).repeat_interleave(texts.sizes)
            forward_kernel[(len(tiles), num_images)](
                *(x, x_ptr, y, rows, text, weight, tile_node, tile_text, texts.order),
                *(scores, winners, num_texts, y.size(0), x.size(1)),
                KEEP=keep,
                BLOCK_X=BLOCK_X,
                BLOCK_Y=BLOCK_Y,
                BLOCK_D=BLOCK_D,
                num_warps=NUM_WARPS,
            )
        ctx.save_for_backward(x, x_ptr, y, y_ptr, weight, winners)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, x_ptr, y, y_ptr, weight, winners = ctx.saved_tensors
        grad = grad.contiguous()
        num_images, num_texts = grad.shape
        x_grad = torch.zeros_like(x)
        pull = torch.zeros_like(y, dtype=torch.float32)
        if x.numel() and y.numel():
            texts = torch.arange(num_texts, device=y.device)
            text = texts.repeat_interleave(y_ptr[1:] - y_ptr[:-1])
            largest = int((x_ptr[1:] - x_ptr[:-1]).max())
            columns = triton.cdiv(x.size(1), BLOCK_D)
            x_grad_kernel[(triton.cdiv(largest, BLOCK_X), columns, num_images)](
                *(x_ptr, y, text, weight, grad, winners, x_grad),
                *(num_texts, y.size(0), x.size(1)),
                BLOCK_X=BLOCK_X,
                BLOCK_Y=BLOCK_Y,
                BLOCK_D=BLOCK_D,
                num_warps=NUM_WARPS,
            )
            y_grad_kernel[(triton.cdiv(y.size(0), BLOCK_X), columns)](
                *(x, x_ptr, text, grad, winners, pull),
                *(num_images, num_texts, y.size(0), x.size(1)),
                BLOCK_X=BLOCK_X,
                BLOCK_D=BLOCK_D,
                num_warps=NUM_WARPS,
            )
        y_grad = (pull * weight[:, None]).to(y.dtype)
        return x_grad, None, y_grad, None, (pull * y).sum(1)
