"""Recurrent encoders of packed sequences."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pyg_sgm.ops._gru import gru
from pyg_sgm.ops._lstm import lstm


class _PackedRNN(nn.Module):
    """Runs a recurrence of :mod:`pyg_sgm.ops` in both directions, and averages them.

    Args:
        rnn (nn.RNNBase): Holds the parameters of both directions.
        recurrence (callable): States of several units from their input projections.
    """

    def __init__(
        self, rnn: nn.RNNBase, recurrence: Callable[[Tensor, Tensor, Tensor, list[int]], Tensor]
    ) -> None:
        super().__init__()
        self.in_channels = rnn.input_size
        self.out_channels = rnn.hidden_size
        self.rnn = rnn
        self._recurrence = recurrence

    def reset_parameters(self) -> None:
        self.rnn.reset_parameters()

    def forward(self, x: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
        length = ptr.diff()  # [num_sequences]
        sequence = torch.arange(length.numel(), device=x.device)
        sequence = sequence.repeat_interleave(length, output_size=x.size(0))  # [num_steps]
        step = torch.arange(x.size(0), device=x.device) - ptr[sequence]
        mirrored = ptr[sequence + 1] - 1 - step  # the same step counted from the end

        # Sort rows by step, and within a step by the length of their sequence, longest first.
        place = torch.empty_like(length)
        place[length.argsort(descending=True, stable=True)] = torch.arange(
            length.numel(), device=x.device
        )
        order = (step * length.numel() + place[sequence]).argsort()  # [num_steps]
        # The loop over steps runs on the host: sequences that have a first step, a second ...
        ended = torch.bincount(length.cpu()).cumsum(0)  # of at most 0 steps, 1 step ...
        batch_sizes = (length.numel() - ended)[:-1].tolist()
        # The backward direction is the forward one over each sequence read from its end.
        orders = torch.stack([order, mirrored[order]])  # [2, num_steps]

        both = zip(*self.rnn.all_weights, strict=True)  # of the two directions
        weight_in, weight, bias_in, bias = (torch.stack(pair) for pair in both)
        # index_select, for the gradient of indexing is far slower on a CPU.
        steps = x.index_select(0, orders.flatten()).unflatten(0, (2, -1))
        gates = torch.baddbmm(bias_in[:, None], steps, weight_in.mT)
        states = self._recurrence(gates, weight, bias, batch_sizes)
        back = torch.empty_like(orders).scatter_(
            1, orders, torch.arange(x.size(0), device=x.device).expand_as(orders)
        )
        forward = states[0].index_select(0, back[0])  # [num_steps, out_channels]
        backward = states[1].index_select(0, back[1])
        if x.size(0) == 0:
            return (forward + backward) / 2, forward.new_zeros(length.numel(), self.out_channels)
        end, first = (ptr[1:] - 1).clamp(min=0), ptr[:-1].clamp(max=x.size(0) - 1)
        last = (forward.index_select(0, end) + backward.index_select(0, first)) / 2
        return (forward + backward) / 2, last.masked_fill((length == 0)[:, None], 0)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.in_channels}, {self.out_channels})"


class PackedGRU(_PackedRNN):
    r"""A bidirectional GRU over many sequences of any length, its two directions averaged, as the
    text encoder of the `"Cross-modal Scene Graph Matching for Relationship-aware Image-Text
    Retrieval" <https://arxiv.org/abs/1910.05134>`_ paper (eq. 4, 5)

    .. math::
        \mathbf{h}_i = \tfrac{1}{2} (\overrightarrow{\mathrm{GRU}}(\mathbf{x})_i
        + \overleftarrow{\mathrm{GRU}}(\mathbf{x})_i), \qquad
        \mathbf{h} = \tfrac{1}{2} (\overrightarrow{\mathrm{GRU}}(\mathbf{x})_{n}
        + \overleftarrow{\mathrm{GRU}}(\mathbf{x})_{1})

    Sequences lie one below the other and are never padded. The parameters are those of a
    bidirectional :class:`torch.nn.GRU`, the recurrence is :func:`pyg_sgm.ops.gru`.

    Args:
        in_channels (int): Size of each step.
        out_channels (int): Size of each state.

    Shapes:
        - **input:** x :math:`(N, F_{in})`, ptr :math:`(S + 1)`
        - **output:** the state of each step :math:`(N, F_{out})`, the last state of each sequence
          :math:`(S, F_{out})`, zero for an empty one

    Example:
        >>> import torch
        >>> encoder = PackedGRU(8, 16)
        >>> states, last = encoder(torch.rand(5, 8), torch.tensor([0, 2, 2, 5]))
        >>> states.shape, last.shape
        (torch.Size([5, 16]), torch.Size([3, 16]))
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.GRU(in_channels, out_channels, bidirectional=True), gru)


class PackedLSTM(_PackedRNN):
    r"""A bidirectional LSTM over many sequences of any length, its two directions averaged: the
    text encoder of HOAD (section 3.1).

    Sequences lie one below the other and are never padded. The parameters are those of a
    bidirectional :class:`torch.nn.LSTM`, the recurrence is :func:`pyg_sgm.ops.lstm`.

    Args:
        in_channels (int): Size of each step.
        out_channels (int): Size of each state.

    Shapes:
        - **input:** x :math:`(N, F_{in})`, ptr :math:`(S + 1)`
        - **output:** the state of each step :math:`(N, F_{out})`, the last state of each sequence
          :math:`(S, F_{out})`, zero for an empty one

    Example:
        >>> import torch
        >>> encoder = PackedLSTM(8, 16)
        >>> states, last = encoder(torch.rand(5, 8), torch.tensor([0, 2, 2, 5]))
        >>> states.shape, last.shape
        (torch.Size([5, 16]), torch.Size([3, 16]))
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.LSTM(in_channels, out_channels, bidirectional=True), lstm)
