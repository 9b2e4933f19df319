"""Graph convolution of SGM."""

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing


class MGCNConv(MessagePassing):
    r"""A layer of the multi-modal graph convolution network of the `"Cross-modal Scene Graph
    Matching for Relationship-aware Image-Text Retrieval" <https://arxiv.org/abs/1910.05134>`_
    paper (eq. 3)

    .. math::
        \mathbf{h}'_{o} &= \tanh(\mathbf{W}_o \mathbf{h}_o + \mathbf{b}_o) \\
        \mathbf{h}'_{r} &= \tanh(\mathbf{W}_r [\mathbf{h}_{s(r)}, \mathbf{h}_r, \mathbf{h}_{o(r)}]
        + \mathbf{b}_r)

    Objects update from themselves alone, so that no neighbor blurs them; a relation gathers its
    subject :math:`s(r)` and its object :math:`o(r)`.

    Args:
        in_channels (int): Size of each node.
        out_channels (int): Size of each updated node.
        **kwargs (optional): Further arguments of
            :class:`torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **input:** x_object :math:`(|\mathcal{O}|, F_{in})`, x_relation
          :math:`(|\mathcal{R}|, F_{in})`, the edges (object, subject_of, relation) and
          (relation, has_object, object), each :math:`(2, |\mathcal{R}|)`
        - **output:** :math:`(|\mathcal{O}|, F_{out})` and :math:`(|\mathcal{R}|, F_{out})`

    Example:
        >>> import torch
        >>> conv = MGCNConv(16, 32)
        >>> man_rides_horse = torch.tensor([[0], [0]]), torch.tensor([[0], [1]])
        >>> objects, relations = conv(torch.rand(2, 16), torch.rand(1, 16), *man_rides_horse)
        >>> objects.shape, relations.shape
        (torch.Size([2, 32]), torch.Size([1, 32]))
    """

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__(**{"aggr": "sum", **kwargs})
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.lin_object = nn.Linear(in_channels, out_channels)
        self.lin_relation = nn.Linear(3 * in_channels, out_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.lin_object.reset_parameters()
        self.lin_relation.reset_parameters()

    def forward(
        self, x_object: Tensor, x_relation: Tensor, subject_of: Tensor, has_object: Tensor
    ) -> tuple[Tensor, Tensor]:
        size = (x_object.size(0), x_relation.size(0))
        subject = self.propagate(subject_of, x=x_object, size=size)  # [num_relations, in_channels]
        object = self.propagate(has_object.flip(0), x=x_object, size=size)
        relation = self.lin_relation(torch.cat([subject, x_relation, object], dim=-1))
        return torch.tanh(self.lin_object(x_object)), torch.tanh(relation)

    def message(self, x_j: Tensor) -> Tensor:
        return x_j

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.in_channels}, {self.out_channels})"
