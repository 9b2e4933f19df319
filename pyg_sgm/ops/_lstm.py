"""Recurrence of an LSTM over packed sequences."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def lstm(gates: Tensor, weight: Tensor, bias: Tensor, batch_sizes: list[int]) -> Tensor:
    r"""States of long short-term memories, from input projections that are already computed

    .. math::
        [\mathbf{i}, \mathbf{f}, \tilde{\mathbf{c}}, \mathbf{o}] &= \mathbf{g}_i
        + \mathbf{U} \mathbf{h}_{i-1} + \mathbf{b} \\
        \mathbf{c}_i &= \sigma(\mathbf{f}) \circ \mathbf{c}_{i-1}
        + \sigma(\mathbf{i}) \circ \tanh(\tilde{\mathbf{c}}) \\
        \mathbf{h}_i &= \sigma(\mathbf{o}) \circ \tanh(\mathbf{c}_i)

    The order of the rows, the several units of one loop and the reason for not taking
    :func:`torch.lstm` are those of :func:`pyg_sgm.ops.gru`.

    Args:
        gates (Tensor): :math:`\mathbf{g}`, the projections of the inputs with their biases.
        weight (Tensor): :math:`\mathbf{U}`, rows in the same order.
        bias (Tensor): :math:`\mathbf{b}`.
        batch_sizes (list[int]): Number of sequences that have a first step, a second step, and so
            on.

    Shapes:
        - **input:** gates :math:`(D, N, 4F)`, weight :math:`(D, 4F, F)`, bias :math:`(D, 4F)` for
          :math:`D` units
        - **output:** :math:`(D, N, F)`, in the precision of gates

    Example:
        >>> import torch
        >>> states = lstm(torch.rand(2, 5, 16), torch.rand(2, 16, 4), torch.zeros(2, 16), [3, 2])
        >>> states.shape
        torch.Size([2, 5, 4])
    """
    apply: Callable[..., Tensor] = _LSTM.apply
    return apply(gates, weight, bias, batch_sizes)


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, batch_sizes: list[int]
    ) -> Tensor:
        units, num_steps, dim = gates.size(0), gates.size(1), weight.size(2)
        # Products run in the precision of the gates, the state is carried in at least float32.
        product = gates.dtype
        carry = torch.promote_types(product, torch.float32)
        u, b = weight.to(product).mT, bias.to(product)[:, None]
        h_before, c_before, c_after, out = (
            torch.empty(units, num_steps, dim, dtype=carry, device=gates.device) for _ in range(4)
        )
        opened = torch.empty(units, num_steps, 4 * dim, dtype=carry, device=gates.device)
        h = out.new_zeros(units, batch_sizes[0] if batch_sizes else 0, dim)
        c = h
        start = 0
        for size in batch_sizes:
            rows = slice(start, start + size)
            h, c = h[:, :size], c[:, :size]
            h_before[:, rows], c_before[:, rows] = h, c
            step = torch.baddbmm(b, h.to(product), u).to(carry) + gates[:, rows]
            step[..., : 2 * dim].sigmoid_()
            step[..., 2 * dim : 3 * dim].tanh_()
            step[..., 3 * dim :].sigmoid_()
            i, f, g, o = step.chunk(4, dim=-1)
            c = torch.addcmul(f * c, i, g)
            h = o * c.tanh()
            opened[:, rows], c_after[:, rows], out[:, rows] = step, c, h
            start += size
        ctx.batch_sizes, ctx.product = batch_sizes, product
        ctx.save_for_backward(weight, h_before, c_before, c_after, opened)
        return out.to(product)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        weight, h_before, c_before, c_after, opened = ctx.saved_tensors
        u = weight.to(ctx.product)
        # All that needs no recurrence is done for all steps at once.
        i, f, g, o = opened.chunk(4, dim=-1)
        t = c_after.tanh()
        to_o = t * o * (1 - o)
        to_c = o * (1 - t * t)
        to_gates = torch.cat([g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g)], dim=-1)
        d_gates = torch.empty_like(opened)
        dh = dc = grad.new_zeros(grad.size(0), 0, h_before.size(2), dtype=h_before.dtype)
        end = h_before.size(1)
        for size in reversed(ctx.batch_sizes):
            rows = slice(end - size, end)
            d_h, left = grad[:, rows].to(h_before.dtype, copy=True), dh.size(1)
            d_h[:, :left] += dh
            d_c = d_h * to_c[:, rows]
            d_c[:, :left] += dc
            step = torch.cat([to_gates[:, rows] * d_c.repeat(1, 1, 3), d_h * to_o[:, rows]], dim=-1)
            d_gates[:, rows] = step
            dh = torch.bmm(step.to(ctx.product), u).to(d_h)
            dc = d_c * f[:, rows]
            end -= size
        d_weight = torch.bmm(d_gates.mT.to(ctx.product), h_before.to(ctx.product))
        return (
            d_gates.to(ctx.product),
            d_weight.to(weight.dtype),
            d_gates.sum(dim=1).to(weight.dtype),
            None,
        )
