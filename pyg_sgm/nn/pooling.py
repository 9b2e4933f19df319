"""Pooling of nodes to graphs."""

import torch.nn.functional as F
from torch import Tensor, nn

from pyg_sgm.ops import Packed, segment_softmax, segment_sum


class AttentionPooling(nn.Module):
    r"""Embedding of a whole graph: its nodes pooled by attention, projected, of length one

    .. math::
        \mathbf{g} = \frac{\mathbf{z}}{\|\mathbf{z}\|}, \qquad
        \mathbf{z} = \mathbf{W} \sum_i \operatorname{softmax}_i(\mathbf{a}^\top \mathbf{x}_i)
        \, \mathbf{x}_i + \mathbf{b} + \mathbf{s}

    Args:
        in_channels (int): Size of each node.
        out_channels (int): Size of the embedding.
        dropout (float, optional): Dropout of the pooled nodes. (default: :obj:`0.0`)

    Shapes:
        - **input:** nodes of :math:`(N, F_{in})`, and, if given, a shift :math:`\mathbf{s}`
          :math:`(|\mathcal{G}|, F_{out})`
        - **output:** :math:`(|\mathcal{G}|, F_{out})`

    Example:
        >>> import torch
        >>> pool = AttentionPooling(8, 16)
        >>> pool(Packed(torch.rand(5, 8), torch.tensor([0, 2, 5]))).shape
        torch.Size([2, 16])
    """

    def __init__(self, in_channels: int, out_channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.attention = nn.Linear(in_channels, 1)
        self.lin = nn.Linear(in_channels, out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, nodes: Packed, shift: Tensor | float = 0.0) -> Tensor:
        weight = segment_softmax(self.attention(nodes.x), nodes.ptr)  # [num_nodes, 1]
        pooled = segment_sum(weight * nodes.x, nodes.ptr)  # [num_graphs, in_channels]
        return F.normalize(self.lin(self.dropout(pooled)) + shift, dim=-1)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"
