"""Graph convolutions of HOAD."""

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import degree


class RelationConv(MessagePassing):
    r"""The relation convolution of the "Visual-Semantic Matching by Exploring High-Order Attention
    and Distraction" paper (CVPR 2020, eq. 1)

    .. math::
        \mathbf{x}_{r_{ij}} = g_r([\mathbf{n}_{o_i}, \mathbf{n}_{o_j}, \mathbf{n}_{r_{ij}}])

    of a relation with its subject and its object; :math:`g_r` is a perceptron of two layers.

    Args:
        in_channels (int or tuple): Size of each node; a tuple is of objects and of relations.
        out_channels (int): Size of each updated relation.
        **kwargs (optional): Further arguments of
            :class:`torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **input:** x, a tuple of objects :math:`(|\mathcal{O}|, F_o)` and relations
          :math:`(|\mathcal{R}|, F_r)`; the edges (object, subject_of, relation) and (relation,
          has_object, object), each :math:`(2, |\mathcal{R}|)`
        - **output:** :math:`(|\mathcal{R}|, F_{out})`

    Example:
        >>> import torch
        >>> conv = RelationConv(16, 32)
        >>> man_rides_horse = torch.tensor([[0], [0]]), torch.tensor([[0], [1]])
        >>> conv((torch.rand(2, 16), torch.rand(1, 16)), *man_rides_horse).shape
        torch.Size([1, 32])
    """

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, **kwargs: Any
    ) -> None:
        super().__init__(**{"aggr": "sum", **kwargs})
        self.in_channels = in_channels
        self.out_channels = out_channels
        channels_object, channels_relation = _pair(in_channels)
        self.mlp = _mlp(2 * channels_object + channels_relation, out_channels)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        _reset(self.mlp)

    def forward(self, x: tuple[Tensor, Tensor], subject_of: Tensor, has_object: Tensor) -> Tensor:
        x_object, x_relation = x
        size = (x_object.size(0), x_relation.size(0))
        subject = self.propagate(subject_of, x=x_object, size=size)  # [num_relations, channels]
        object = self.propagate(has_object.flip(0), x=x_object, size=size)
        out: Tensor = self.mlp(torch.cat([subject, object, x_relation], dim=-1))
        return out

    def message(self, x_j: Tensor) -> Tensor:
        return x_j

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.in_channels}, {self.out_channels})"


class AttributeConv(MessagePassing):
    r"""The attribute convolution of the "Visual-Semantic Matching by Exploring High-Order Attention
    and Distraction" paper (CVPR 2020, eq. 2)

    .. math::
        \mathbf{x}_{a_i} = \frac{1}{N_{a_i}} \sum_{l=1}^{N_{a_i}}
        g_a([\mathbf{n}_{o_i}, \mathbf{n}_{a_{i,l}}])

    one vector for all attributes of an object; :math:`g_a` is a perceptron of two layers. An object
    without attributes gets zeros.

    Args:
        in_channels (int or tuple): Size of each node; a tuple is of attributes and of objects.
        out_channels (int): Size of each result.
        **kwargs (optional): Further arguments of
            :class:`torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **input:** x, a tuple of attributes :math:`(|\mathcal{A}|, F_a)` and objects
          :math:`(|\mathcal{O}|, F_o)`; the edges (attribute, describes, object)
          :math:`(2, |\mathcal{A}|)`
        - **output:** :math:`(|\mathcal{O}|, F_{out})`

    Example:
        >>> import torch
        >>> conv = AttributeConv(16, 32)
        >>> describes = torch.tensor([[0, 1], [1, 1]])
        >>> conv((torch.rand(2, 16), torch.rand(3, 16)), describes)[0].abs().sum()
        tensor(0., grad_fn=<SumBackward0>)
    """

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, **kwargs: Any
    ) -> None:
        super().__init__(**{"aggr": "mean", **kwargs})
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.mlp = _mlp(sum(_pair(in_channels)), out_channels)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        _reset(self.mlp)

    def forward(self, x: tuple[Tensor, Tensor], describes: Tensor) -> Tensor:
        out: Tensor = self.propagate(describes, x=x, size=(x[0].size(0), x[1].size(0)))
        return out

    def message(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        out: Tensor = self.mlp(torch.cat([x_i, x_j], dim=-1))
        return out

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.in_channels}, {self.out_channels})"


class ObjectConv(MessagePassing):
    r"""The object convolution of the "Visual-Semantic Matching by Exploring High-Order Attention
    and Distraction" paper (CVPR 2020, eq. 3)

    .. math::
        \mathbf{x}_{o_i} = \frac{1}{N_{r_i}} \Big[
        \sum_{j} g_s([\mathbf{n}_{o_i}, \mathbf{n}_{o_j}, \mathbf{n}_{r_{ij}}]) +
        \sum_{k} g_o([\mathbf{n}_{o_k}, \mathbf{n}_{o_i}, \mathbf{n}_{r_{ki}}]) \Big]

    over the relations whose subject, and those whose object, :math:`o_i` is; :math:`g_s` and
    :math:`g_o` are perceptrons of two layers. An object in no relation, for which the formula
    divides by zero, keeps its input (projected where ``out_channels`` is another size).

    Args:
        in_channels (int or tuple): Size of each node; a tuple is of objects and of relations.
        out_channels (int): Size of each updated object.
        **kwargs (optional): Further arguments of
            :class:`torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **input:** x, a tuple of objects :math:`(|\mathcal{O}|, F_o)` and relations
          :math:`(|\mathcal{R}|, F_r)`; the edges (object, subject_of, relation) and (relation,
          has_object, object), each :math:`(2, |\mathcal{R}|)`
        - **output:** :math:`(|\mathcal{O}|, F_{out})`

    Example:
        >>> import torch
        >>> conv = ObjectConv(16, 16)
        >>> man_rides_horse = torch.tensor([[0], [0]]), torch.tensor([[0], [1]])
        >>> x = torch.rand(3, 16)
        >>> out = conv((x, torch.rand(1, 16)), *man_rides_horse)
        >>> (out == x).all(dim=1)
        tensor([False, False,  True])
    """

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, **kwargs: Any
    ) -> None:
        super().__init__(**{"aggr": "sum", **kwargs})
        self.in_channels = in_channels
        self.out_channels = out_channels
        channels_object, channels_relation = _pair(in_channels)
        self.mlp_subject = _mlp(2 * channels_object + channels_relation, out_channels)
        self.mlp_object = _mlp(2 * channels_object + channels_relation, out_channels)
        self.lin_alone: nn.Module = nn.Identity()
        if channels_object != out_channels:
            self.lin_alone = nn.Linear(channels_object, out_channels)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        _reset(self.mlp_subject)
        _reset(self.mlp_object)
        if isinstance(self.lin_alone, nn.Linear):
            self.lin_alone.reset_parameters()

    def forward(self, x: tuple[Tensor, Tensor], subject_of: Tensor, has_object: Tensor) -> Tensor:
        x_object, x_relation = x
        size = (x_object.size(0), x_relation.size(0))
        of_subject, of_object = subject_of.flip(0), has_object  # from relations to objects
        subject = self.propagate(subject_of, x=x_object, size=size)  # [num_relations, channels]
        object = self.propagate(has_object.flip(0), x=x_object, size=size)
        triplet = torch.cat([subject, object, x_relation], dim=-1)
        total = self.propagate(of_subject, x=self.mlp_subject(triplet), size=size[::-1])
        total = total + self.propagate(of_object, x=self.mlp_object(triplet), size=size[::-1])
        count = degree(torch.cat([of_subject[1], of_object[1]]), size[0], total.dtype)[:, None]
        return torch.where(count > 0, total / count.clamp(min=1), self.lin_alone(x_object))

    def message(self, x_j: Tensor) -> Tensor:
        return x_j

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.in_channels}, {self.out_channels})"


def _pair(channels: int | tuple[int, int]) -> tuple[int, int]:
    return (channels, channels) if isinstance(channels, int) else channels


def _mlp(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_channels, out_channels), nn.ReLU(), nn.Linear(out_channels, out_channels)
    )


def _reset(mlp: nn.Sequential) -> None:
    for layer in mlp:
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
