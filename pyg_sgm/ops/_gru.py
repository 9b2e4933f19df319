"""Recurrence of a GRU over packed sequences."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def gru(gates: Tensor, weight: Tensor, bias: Tensor, batch_sizes: list[int]) -> Tensor:
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
        batch_sizes (list[int]): Number of sequences that have a first step, a second step, and so
            on.

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
    apply: Callable[..., Tensor] = _GRU.apply
    return apply(gates, weight, bias, batch_sizes)


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, batch_sizes: list[int]
    ) -> Tensor:
        units, num_steps, dim = gates.size(0), gates.size(1), weight.size(2)
        # Products and gates have the precision of the input, the state is carried in at least
        # float32.
        product, carry = gates.dtype, _carry(gates.dtype)
        u, b = weight.to(product).mT, bias.to(product)[:, None]
        r_z_inner, n, out = (
            gates.new_empty(units, num_steps, width) for width in (3 * dim, dim, dim)
        )
        h = gates.new_zeros(units, batch_sizes[0] if batch_sizes else 0, dim, dtype=carry)
        before = h.to(product)
        start = 0
        for size in batch_sizes:
            rows = slice(start, start + size)
            hidden, g = r_z_inner[:, rows], gates[:, rows]
            torch.baddbmm(b, before[:, :size], u, out=hidden)
            hidden[..., : 2 * dim].add_(g[..., : 2 * dim]).sigmoid_()
            r, z, inner = hidden.chunk(3, dim=-1)
            n[:, rows] = torch.addcmul(g[..., 2 * dim :], r, inner).tanh_()
            h = torch.lerp(n[:, rows].to(carry), h[:, :size], z.to(carry))
            out[:, rows] = h
            before = out[:, rows]
            start += size
        ctx.batch_sizes = batch_sizes
        ctx.save_for_backward(weight, r_z_inner, n, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        weight, r_z_inner, n, out = ctx.saved_tensors
        product, carry, dim = out.dtype, _carry(out.dtype), out.size(2)
        u, before = weight.to(product), _before(out, ctx.batch_sizes)
        # All that needs no recurrence is done for all steps at once.
        r, z, inner = (part.to(carry) for part in r_z_inner.chunk(3, dim=-1))
        state = n.to(carry)
        to_n = (1 - z) * (1 - state * state)
        to_z = (before - state) * z * (1 - z)
        to_r = inner * r * (1 - r)
        d_gates, d_hidden = torch.empty_like(r_z_inner), torch.empty_like(r_z_inner)
        dh = z.new_zeros(z.size(0), 0, dim)
        end = z.size(1)
        for size in reversed(ctx.batch_sizes):
            rows = slice(end - size, end)
            total = grad[:, rows].to(carry, copy=True)
            total[:, : dh.size(1)] += dh
            dn = total * to_n[:, rows]
            step = d_hidden[:, rows]
            step[..., :dim] = dn * to_r[:, rows]
            step[..., dim : 2 * dim] = total * to_z[:, rows]
            step[..., 2 * dim :] = dn * r[:, rows]
            d_gates[:, rows, 2 * dim :] = dn
            dh = torch.addcmul(torch.bmm(step, u).to(carry), total, z[:, rows])
            end -= size
        d_gates[..., : 2 * dim] = d_hidden[..., : 2 * dim]
        d_weight = torch.bmm(d_hidden.mT, before)
        d_bias = d_hidden.sum(dim=1, dtype=carry)
        return d_gates, d_weight.to(weight.dtype), d_bias.to(weight.dtype), None


def _carry(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _before(out: Tensor, batch_sizes: list[int]) -> Tensor:
    """The state before every step: that of the same sequence one step earlier, zero at first."""
    before = torch.zeros_like(out)
    start = 0
    for last, size in pairwise(batch_sizes):
        before[:, start + last : start + last + size] = out[:, start : start + size]
        start += last
    return before
