"""The graph encoder of HOAD: three convolutions and one packed set of nodes."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.utils import scatter

from pyg_sgm.nn.conv.hoad_conv import AttributeConv, ObjectConv, RelationConv
from pyg_sgm.ops import Packed

NodeTypes = Literal["o", "or", "ora"]


class HighOrderEncoder(nn.Module):
    r"""The graph convolutions of HOAD (eq. 1 to 3) over the scene graphs of one modality.

    A graph's output nodes are its objects, its relations, and one attribute node for every object
    that has attributes (in the order of these objects).

    Args:
        channels (int): Size of each node, in and out.
        node_types (str, optional): ``"ora"``; ``"or"``, without attributes; ``"o"``, objects alone,
            which then have nothing to gather and keep their input. (default: :obj:`"ora"`)

    Shapes:
        - **input:** objects, relations and attributes, each :math:`(N, F)`, and for each a shift
          of its output node of the same shape or :obj:`None`; the batch they belong to
        - **output:** :class:`~pyg_sgm.ops.Packed` of :math:`(N_{out}, F)`
    """

    def __init__(self, channels: int, node_types: NodeTypes = "ora") -> None:
        super().__init__()
        self.channels = channels
        self.node_types = node_types
        if "r" in node_types:
            self.relation = RelationConv(channels, channels)
            self.object = ObjectConv(channels, channels)
        if "a" in node_types:
            self.attribute = AttributeConv(channels, channels)

    def forward(
        self,
        batch: HeteroData,
        x_object: Tensor,
        x_relation: Tensor,
        x_attribute: Tensor,
        names: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> Packed:
        subject_of = batch["object", "subject_of", "relation"].edge_index
        has_object = batch["relation", "has_object", "object"].edge_index
        describes = batch["attribute", "describes", "object"].edge_index
        ptr = batch["object"].ptr
        graph = Packed(x_object, ptr).batch  # [num_objects]
        outputs, graphs = [x_object], [graph]
        if "r" in self.node_types:
            outputs = [
                self.object((x_object, x_relation), subject_of, has_object),
                self.relation((x_object, x_relation), subject_of, has_object),
            ]
            graphs.append(Packed(x_relation, batch["relation"].ptr).batch)
        owners = describes[1][:0]
        if "a" in self.node_types:
            owners = describes[1].unique()  # objects that have attributes; waits for their number
            outputs.append(self.attribute((x_attribute, x_object), describes)[owners])
            graphs.append(graph[owners])
        if names is not None:
            shifts = self._shifts(names, subject_of, has_object, describes, owners)
            outputs = [out + shift for out, shift in zip(outputs, shifts, strict=True)]
        return pack_by_graph(outputs, graphs, ptr.numel() - 1)

    def _shifts(
        self,
        names: tuple[Tensor, Tensor, Tensor],
        subject_of: Tensor,
        has_object: Tensor,
        describes: Tensor,
        owners: Tensor,
    ) -> list[Tensor]:
        """What every output node is called: the mean of the names that it is made of."""
        object, relation, attribute = names
        shifts = [object]
        if "r" in self.node_types:
            shifts.append((object[subject_of[0]] + relation + object[has_object[1]]) / 3)
        if "a" in self.node_types:
            mean = scatter(attribute[describes[0]], describes[1], 0, object.size(0), "mean")
            shifts.append((object[owners] + mean[owners]) / 2)
        return shifts

    def extra_repr(self) -> str:
        return f"{self.channels}, {self.node_types!r}"


def pack_by_graph(parts: list[Tensor], graphs: list[Tensor], num_graphs: int) -> Packed:
    """Nodes of several kinds as one packed set; within a graph the kinds keep their order.

    Args:
        parts (list of Tensor): Nodes of each kind, ``[num_nodes, dim]``.
        graphs (list of Tensor): Graph of each of them, ascending within a kind, ``[num_nodes]``.
        num_graphs (int): Number of graphs.
    """
    graph, order = torch.cat(graphs).sort(stable=True)
    ptr = torch.searchsorted(graph, torch.arange(num_graphs + 1, device=graph.device))
    return Packed(torch.cat(parts)[order], ptr)
