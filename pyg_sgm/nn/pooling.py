"""Pooling of nodes to graphs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.utils import cumsum

from pyg_sgm.nn.recurrent import PackedGRU
from pyg_sgm.nn.sequence import sinusoids
from pyg_sgm.ops import Packed, l2_normalize, segment_mean, segment_softmax, segment_sum


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


class GatedPooling(nn.Module):
    r"""Embedding of a whole graph, of length one: the mean of its nodes, each as far as it agrees
    with the whole (`UGraphEmb <https://arxiv.org/abs/1904.01098>`_, `LGSGM
    <https://arxiv.org/abs/2106.02400>`_)

    .. math::
        \mathbf{g} = \frac{\mathbf{z}}{\|\mathbf{z}\|}, \qquad
        \mathbf{z} = \frac{1}{N} \sum_i \sigma(\mathbf{x}_i^\top \mathbf{c}) \, \mathbf{x}_i, \qquad
        \mathbf{c} = \operatorname{ReLU}\Big( \Theta \frac{1}{N} \sum_i \mathbf{x}_i \Big)

    Args:
        channels (int): Size of each node.

    Shapes:
        - **input:** nodes of :math:`(N, F)`
        - **output:** :math:`(|\mathcal{G}|, F)`, 0 for a graph without nodes

    Example:
        >>> import torch
        >>> GatedPooling(8)(Packed(torch.rand(5, 8), torch.tensor([0, 2, 5]))).shape
        torch.Size([2, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lin = nn.Linear(channels, channels, bias=False)

    def forward(self, nodes: Packed) -> Tensor:
        context = self.lin(segment_mean(nodes.x, nodes.ptr)).relu()
        gate = torch.sigmoid((nodes.x * context[nodes.batch]).sum(dim=1, keepdim=True))
        return l2_normalize(segment_mean(gate * nodes.x, nodes.ptr))


class GeneralizedPooling(nn.Module):
    r"""The generalized pooling operator of the `"Learning the Best Pooling Strategy for Visual
    Semantic Embedding" <https://arxiv.org/abs/2011.04305>`_ paper

    .. math::
        \mathbf{g} = \sum_{k=1}^{N} \theta_k \operatorname{max}_k \{\mathbf{x}_n\}, \qquad
        \theta = \operatorname{softmax}_k \big( \mathbf{w}^\top \operatorname{BiGRU}(\mathbf{p}_1,
        \dots, \mathbf{p}_N)_k \big), \qquad
        p_{k, 2j} = \sin \frac{k}{10^{8 j / d}}, \quad p_{k, 2j + 1} = \cos \frac{k}{10^{8 j / d}}

    where :math:`\operatorname{max}_k` is the :math:`k`-th largest value of each channel. The
    weights depend on the size of a set alone; a mean has equal ones, a maximum the first alone. An
    empty graph gives 0.

    Args:
        channels (int, optional): Size :math:`d` of the encodings of positions and of the states of
            the GRU. (default: :obj:`32`)

    Shapes:
        - **input:** nodes of :math:`(N, F)`
        - **output:** :math:`(|\mathcal{G}|, F)`

    Example:
        >>> import torch
        >>> GeneralizedPooling()(Packed(torch.ones(5, 8), torch.tensor([0, 2, 5]))).shape
        torch.Size([2, 8])
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.channels = channels
        self.encoder = PackedGRU(channels, channels)
        self.lin = nn.Linear(channels, 1, bias=False)

    def forward(self, nodes: Packed) -> Tensor:
        sizes, of_graph = nodes.sizes.unique(return_inverse=True)
        # One sequence of positions for each size.
        ptr = cumsum(sizes)
        row = torch.arange(int(ptr[-1]), device=ptr.device)
        place = row - ptr[:-1].repeat_interleave(sizes, output_size=len(row)) + 1
        states, _ = self.encoder(sinusoids(place, self.channels, nodes.x.dtype), ptr)
        share = segment_softmax(self.lin(states), ptr)  # [num_positions, 1]
        weight = Packed(share, ptr).padded()[0][of_graph]  # [num_graphs, largest, 1]
        x, mask = nodes.padded(size=weight.size(1))
        ordered = x.masked_fill(~mask[..., None], -torch.inf).sort(dim=1, descending=True).values
        return (weight * ordered.masked_fill(~mask[..., None], 0)).sum(dim=1)

    def extra_repr(self) -> str:
        return f"{self.channels}"

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.extra_repr()})"
