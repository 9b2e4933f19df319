"""Graph convolution of candidate relations between pairs of regions."""

from typing import Any

from torch import Tensor, nn
from torch_geometric.nn import MessagePassing


class PairConv(MessagePassing):
    r"""A layer on a relation, its subject and its object, which enter by layers of their own

    .. math::
        \mathbf{h}'_{r} = \mathbf{W}_s \mathbf{h}_{s(r)} + \mathbf{W}_o \mathbf{h}_{o(r)}
        + \mathbf{W}_r \mathbf{h}_r + \mathbf{b}

    so that the two directions of a pair differ. The layers of subject and object run once per
    region, not once per pair.

    Args:
        object_channels (int): Size of each object.
        relation_channels (int): Size of each relation.
        out_channels (int): Size of each updated relation.
        **kwargs (optional): Further arguments of
            :class:`torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **input:** x_object :math:`(|\mathcal{O}|, F_o)`, x_relation
          :math:`(|\mathcal{R}|, F_r)`, the edges (object, subject_of, relation) and
          (relation, has_object, object), each :math:`(2, |\mathcal{R}|)`
        - **output:** :math:`(|\mathcal{R}|, F_{out})`

    Example:
        >>> import torch
        >>> conv = PairConv(16, 8, 24)
        >>> man_rides_horse = torch.tensor([[0], [0]]), torch.tensor([[0], [1]])
        >>> conv(torch.rand(2, 16), torch.rand(1, 8), *man_rides_horse).shape
        torch.Size([1, 24])
    """

    def __init__(
        self, object_channels: int, relation_channels: int, out_channels: int, **kwargs: Any
    ) -> None:
        super().__init__(**{"aggr": "sum", **kwargs})
        self.lin_subject = nn.Linear(object_channels, out_channels, bias=False)
        self.lin_object = nn.Linear(object_channels, out_channels, bias=False)
        self.lin_relation = nn.Linear(relation_channels, out_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for lin in (self.lin_subject, self.lin_object, self.lin_relation):
            lin.reset_parameters()

    def forward(
        self, x_object: Tensor, x_relation: Tensor, subject_of: Tensor, has_object: Tensor
    ) -> Tensor:
        size = (x_object.size(0), x_relation.size(0))
        subject = self.propagate(subject_of, x=self.lin_subject(x_object), size=size)
        object = self.propagate(has_object.flip(0), x=self.lin_object(x_object), size=size)
        out: Tensor = subject + object + self.lin_relation(x_relation)
        return out

    def message(self, x_j: Tensor) -> Tensor:
        return x_j
