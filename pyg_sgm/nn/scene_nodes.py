"""Objects and candidate relations of photos, from features of several networks and boxes."""

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.nn.conv.pair_conv import PairConv
from pyg_sgm.nn.geometry import GEOMETRY_CHANNELS, PAIR_CHANNELS, box_geometry, pair_geometry
from pyg_sgm.ops import segment_mean


class SceneNodes(nn.Module):
    r"""Objects as sums of linear layers on feature, geometry and label, and relations by
    :class:`~pyg_sgm.nn.conv.PairConv` on both of them, the union and the geometry of the pair

    .. math::
        \mathbf{x}_o &= \mathbf{W}_v \hat{\mathbf{v}}_o + \mathbf{W}_g \mathbf{g}_o
        + \mathbf{W}_e \mathbf{e}_o \\
        \mathbf{x}_r &= \operatorname{PairConv}([\hat{\mathbf{v}}, \mathbf{e}]_{s(r)},
        [\hat{\mathbf{v}}, \mathbf{e}]_{o(r)}, [\hat{\mathbf{v}}_r, \mathbf{g}_{s(r), o(r)},
        \mathbf{e}_r])

    where :math:`\hat{\mathbf{v}}` has mean 0 and deviation 1 in each channel, over the regions
    that training has seen: channels of different networks differ a hundredfold in size.

    Args:
        feature_channels (int): Width of the region features, at least 1.
        label_channels (int): Size of the label embeddings.
        hidden_channels (int): Size between the layers of relations.
        out_channels (int): Size of both results.
        relations (bool): If :obj:`False`, there are no relations. (default: :obj:`True`)
        channel_dropout (float): Share of the channels of the region features that are zeroed in a
            whole image at random, and the others grown, in training. (default: :obj:`0.0`)
        dropout (float): Dropout between the layers of relations. (default: :obj:`0.0`)

    Shapes:
        - **input:** image graphs whose objects and relations have features ``x``, and objects
          ``box``; label embeddings of objects and relations
        - **output:** objects ``[num_objects, out_channels]``, relations ``[num_relations,
          out_channels]`` or :obj:`None`, and the mean feature of each image
          ``[num_graphs, feature_channels]``

    Raises:
        ValueError: If objects have no boxes.
    """

    def __init__(
        self,
        feature_channels: int,
        label_channels: int,
        hidden_channels: int,
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
        self.pairs = None
        if relations:
            self.pairs = PairConv(
                feature_channels + label_channels,
                feature_channels + PAIR_CHANNELS + label_channels,
                hidden_channels,
                out_channels,
                dropout,
            )
        self.channel_dropout = channel_dropout

    def forward(
        self,
        batch: HeteroData,
        look: Tensor,
        look_relation: Tensor,
        name: Tensor,
        predicate: Tensor,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        objects, relations = batch["object"], batch["relation"]
        if "box" not in objects:
            raise ValueError("image graphs have no boxes")
        if self.pairs is None:
            look = self.norm(look)
        else:
            look, look_relation = self.norm(torch.cat([look, look_relation])).split(
                [len(look), len(look_relation)]
            )
        if self.training and self.channel_dropout:
            kept = torch.rand(len(objects.ptr) - 1, look.size(1), device=look.device)
            scale = (kept >= self.channel_dropout).to(look.dtype) / (1 - self.channel_dropout)
            look = look * scale[objects.batch]
            if self.pairs is not None:
                look_relation = look_relation * scale[relations.batch]
        mean = segment_mean(look, objects.ptr)
        x = self.lin_feature(look) + self.lin_geometry(box_geometry(objects.box))
        x = x + self.lin_label(name)
        if self.pairs is None:
            return x, None, mean
        subject_of = batch["object", "subject_of", "relation"].edge_index
        has_object = batch["relation", "has_object", "object"].edge_index
        geometry = pair_geometry(objects.box[subject_of[0]], objects.box[has_object[1]])
        r = self.pairs(
            torch.cat([look, name], dim=1),
            torch.cat([look_relation, geometry, predicate], dim=1),
            subject_of,
            has_object,
        )
        return x, r, mean
