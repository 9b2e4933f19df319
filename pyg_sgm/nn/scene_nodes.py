"""Objects and candidate relations of photos, from features of several networks and boxes."""

import math

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.nn.conv.pair_conv import PairConv
from pyg_sgm.nn.geometry import (
    GEOMETRY_CHANNELS,
    PAIR_CHANNELS,
    box_geometry,
    pair_geometry,
    union_box,
)
from pyg_sgm.ops import l2_normalize, segment_mean


class SceneNodes(nn.Module):
    r"""Objects as sums of linear layers on feature, geometry and label, and relations as triplets
    of their subject, their predicate and their object

    .. math::
        \mathbf{x}_o &= \mathbf{W}_v \hat{\mathbf{v}}_o + \mathbf{W}_g \mathbf{g}_o
        + \mathbf{W}_e \mathbf{e}_o + \mathbf{s}_o \\
        \mathbf{p}_r &= \operatorname{PairConv}(\bar{\mathbf{x}}_{s(r)}, \bar{\mathbf{x}}_{o(r)},
        [\bar{\mathbf{u}}_r, \mathbf{g}_r, \mathbf{e}_r]) + \mathbf{s}_r, \qquad
        \mathbf{u}_r = \mathbf{W}_v \hat{\mathbf{v}}_r + \mathbf{W}_g \mathbf{g}_{s \cup o} \\
        \mathbf{x}_r &= [\bar{\mathbf{x}}_{s(r)}, \bar{\mathbf{p}}_r, \bar{\mathbf{x}}_{o(r)}]

    where :math:`\hat{\mathbf{v}}` has mean 0 and deviation 1 in each channel, over the regions
    that training has seen (channels of different networks differ a hundredfold in size), and bars
    divide by the norm. Relations see what objects are encoded to, not their features, so that few
    photos do not let them learn pairs by heart.

    Args:
        feature_channels (int): Width of the region features, at least 1.
        label_channels (int): Size of the label embeddings.
        out_channels (int): Size of objects; relations have thrice as many.
        relations (bool, optional): If :obj:`False`, there are no relations. (default: :obj:`True`)
        channel_dropout (float, optional): Share of the channels of the region features that are
            zeroed in a whole image at random, and the others grown, in training. (default:
            :obj:`0.0`)
        dropout (float, optional): Dropout of what predicates are made of. (default: :obj:`0.0`)

    Shapes:
        - **input:** image graphs whose objects have ``box``; features of objects and of relations
          ``[num_nodes, feature_channels]``, their label embeddings ``[num_nodes, label_channels]``,
          and shifts :math:`\mathbf{s}` of objects and of predicates ``[num_nodes, out_channels]``
        - **output:** objects ``[num_objects, out_channels]``, relations ``[num_relations,
          3 * out_channels]`` or :obj:`None`, and the mean feature of each image
          ``[num_graphs, feature_channels]``

    Raises:
        ValueError: If objects have no boxes.
    """

    def __init__(
        self,
        feature_channels: int,
        label_channels: int,
        out_channels: int,
        relations: bool = True,
        channel_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(feature_channels, affine=False)
        self.lin_feature = nn.Linear(feature_channels, out_channels)
        self.lin_geometry = nn.Linear(GEOMETRY_CHANNELS, out_channels)
        self.lin_label = nn.Linear(label_channels, out_channels)
        self.predicates = None
        if relations:
            of_pair = out_channels + PAIR_CHANNELS + label_channels
            self.predicates = PairConv(out_channels, of_pair, out_channels)
        self.channel_dropout = channel_dropout
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        batch: HeteroData,
        look: Tensor,
        look_relation: Tensor,
        name: Tensor,
        predicate: Tensor,
        shift: Tensor | float = 0.0,
        predicate_shift: Tensor | float = 0.0,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        objects, relations = batch["object"], batch["relation"]
        if "box" not in objects:
            raise ValueError("image graphs have no boxes")
        if self.predicates is None:
            look_relation = look_relation[:0]
        of_image = torch.cat([objects.batch, relations.batch[: len(look_relation)]])
        looks = self.norm(torch.cat([look, look_relation]))
        if self.training and self.channel_dropout:
            kept = torch.rand(len(objects.ptr) - 1, looks.size(1), device=looks.device)
            scale = (kept >= self.channel_dropout).to(looks.dtype) / (1 - self.channel_dropout)
            looks *= scale[of_image]  # in place: nothing in a step is larger
        mean = segment_mean(looks[: len(look)], objects.ptr)
        seen, seen_relation = self.lin_feature(looks).split([len(look), len(look_relation)])
        x = seen + self.lin_geometry(box_geometry(objects.box)) + self.lin_label(name) + shift
        if self.predicates is None:
            return x, None, mean
        subject_of = batch["object", "subject_of", "relation"].edge_index
        has_object = batch["relation", "has_object", "object"].edge_index
        subject, object = subject_of[0], has_object[1]
        box_s, box_o = objects.box[subject], objects.box[object]
        union = seen_relation + self.lin_geometry(box_geometry(union_box(box_s, box_o)))
        unit = l2_normalize(x)
        inputs = [self._input(l2_normalize(union)), pair_geometry(box_s, box_o), predicate]
        p = self.predicates(self._input(unit), torch.cat(inputs, dim=1), subject_of, has_object)
        p = p + predicate_shift
        return x, torch.cat([unit[subject], l2_normalize(p), unit[object]], dim=1), mean

    def _input(self, unit: Tensor) -> Tensor:
        """Rows of length one as inputs of a layer."""
        scaled: Tensor = self.dropout(unit * (math.sqrt(unit.size(1)) / 4))
        return scaled
