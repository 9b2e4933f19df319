"""Recurrence of a GRU over packed sequences."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def gru(gates: Tensor, weight: Tensor, bias: Tensor, alive: list[int]) -> Tensor:
    r"""States of gated recurrent units, from input projections that are already computed

    .. math::
        \mathbf{r}_i &= \sigma(\mathbf{g}^r_i + \mathbf{U}_r \mathbf{h}_{i-1} + \mathbf{b}_r) \\
        \mathbf{z}_i &= \sigma(\mathbf{g}^z_i + \mathbf{U}_z \mathbf{h}_{i-1} + \mathbf{b}_z) \\
        \mathbf{n}_i &= \tanh(\mathbf{g}^n_i + \mathbf{r}_i \circ (\mathbf{U}_n \mathbf{h}_{i-1}
        + \mathbf{b}_n)) \\
        \mathbf{h}_i &= (1 - \mathbf{z}_i) \circ \mathbf{n}_i + \mathbf{z}_i \circ \mathbf{h}_{i-1}

    Sequences are packed by step: first the first steps of all sequences, longest sequence first,
    then the second steps of those that have one, and so on. Several units (the two directions,
    say) run in one loop. :func:`torch.gru` over packed sequences copies the gradient of the whole
    input at every step on the CPU; here each step touches its own rows only, and the weights get
    their gradient from one matrix product at the end.

    Args:
        gates (Tensor): :math:`\mathbf{g} = [\mathbf{g}^r, \mathbf{g}^z, \mathbf{g}^n]`, the
            projections of the inputs with their biases.
        weight (Tensor): :math:`\mathbf{U}`, rows in the same order.
        bias (Tensor): :math:`\mathbf{b}`.
        alive (list[int]): Number of sequences that have a first step, a second step, and so on.

    Shapes:
        - **input:** gates :math:`(D, N, 3F)`, weight :math:`(D, 3F, F)`, bias :math:`(D, 3F)` for
          :math:`D` units
        - **output:** :math:`(D, N, F)`, in the precision of gates

    Example:
        >>> import torch
        >>> states = gru(torch.rand(2, 5, 12), torch.rand(2, 12, 4), torch.zeros(2, 12), [3, 2])
        >>> states.shape
        torch.Size([2, 5, 4])
    """
    return _GRU.apply(gates, weight, bias, alive)


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, alive: list[int]) -> Tensor:
        units, num_steps, dim = gates.size(0), gates.size(1), weight.size(2)
        # Products run in the precision of the gates, the state is carried in at least float32.
        product = gates.dtype
        carry = torch.promote_types(product, torch.float32)
        u, b = weight.to(product).mT, bias.to(product)[:, None]
        before, r, z, n, inner = (
            torch.empty(units, num_steps, dim, dtype=carry, device=gates.device) for _ in range(5)
        )
        out = torch.empty_like(before)
        h = before.new_zeros(units, alive[0] if alive else 0, dim)
        start = 0
        for size in alive:
            rows = slice(start, start + size)
            h = h[:, :size]
            before[:, rows] = h
            hidden = torch.baddbmm(b, h.to(product), u).to(carry)  # [units, size, 3 * dim]
            g = gates[:, rows].to(carry)
            rt, zt = (g[..., : 2 * dim] + hidden[..., : 2 * dim]).sigmoid_().chunk(2, dim=-1)
            nt = torch.addcmul(g[..., 2 * dim :], rt, hidden[..., 2 * dim :]).tanh_()
            h = torch.lerp(nt, h, zt)
            r[:, rows], z[:, rows], n[:, rows] = rt, zt, nt
            inner[:, rows] = hidden[..., 2 * dim :]
            out[:, rows] = h
            start += size
        ctx.alive, ctx.product = alive, product
        ctx.save_for_backward(weight, before, r, z, n, inner)
        return out.to(product)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        weight, before, r, z, n, inner = ctx.saved_tensors
        u = weight.to(ctx.product)
        d_gates = before.new_empty(*before.shape[:2], 3 * before.size(2))
        d_hidden = torch.empty_like(d_gates)
        # All that needs no recurrence is done for all steps at once.
        to_n = (1 - z) * (1 - n * n)
        to_z = (before - n) * z * (1 - z)
        to_r = inner * r * (1 - r)
        dh = before.new_zeros(before.size(0), 0, before.size(2))
        end = before.size(1)
        for size in reversed(ctx.alive):
            rows = slice(end - size, end)
            total = grad[:, rows].to(before.dtype)
            if dh.size(1):
                total = torch.cat([total[:, : dh.size(1)] + dh, total[:, dh.size(1) :]], dim=1)
            dn = total * to_n[:, rows]
            dz = total * to_z[:, rows]
            dr = dn * to_r[:, rows]
            d_gates[:, rows] = torch.cat([dr, dz, dn], dim=-1)
            step = torch.cat([dr, dz, dn * r[:, rows]], dim=-1)
            d_hidden[:, rows] = step
            dh = torch.addcmul(torch.bmm(step.to(ctx.product), u).to(total), total, z[:, rows])
            end -= size
        d_weight = torch.bmm(d_hidden.mT.to(ctx.product), before.to(ctx.product))
        return (
            d_gates.to(ctx.product),
            d_weight.to(weight.dtype),
            d_hidden.sum(dim=1).to(weight.dtype),
            None,
        )
