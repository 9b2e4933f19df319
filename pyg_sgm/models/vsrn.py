"""VSRN: regions reason with one another before they become one vector."""

from __future__ import annotations

import torch
from torch import nn
from torch_geometric.data import HeteroData

from pyg_sgm.models.base import MAX_LAYERS, GraphSizes
from pyg_sgm.models.regions_words import (
    BASELINE,
    GlobalEncoding,
    GlobalMatcher,
    hardest_negatives,
)
from pyg_sgm.models.registry import register_model
from pyg_sgm.ops import Packed, l2_normalize, segment_mean


@register_model(
    "vsrn",
    recipes={
        "default": BASELINE.with_model_options(normalize=True),
        "paper": hardest_negatives({"dim": 2048, "embed": 300, "normalize": True}),
    },
)
class VSRN(GlobalMatcher[GlobalEncoding]):
    r"""The region reasoning of the `"Visual Semantic Reasoning for Image-Text Matching"
    <https://arxiv.org/abs/1909.02701>`_ paper

    .. math::
        \mathbf{V}' = \mathbf{V} + \tfrac{1}{N} (\varphi(\mathbf{V}) \phi(\mathbf{V})^\top)
        \mathbf{V} \mathbf{W}_g \mathbf{W}_r, \qquad S = \cos(\mathbf{f}, \mathbf{h})

    in several layers over the fully connected graph of an image's regions. Of the paper, the
    caption loss and the gated memory over the regions are left out: :math:`\mathbf{f}` is the mean
    of the last layer, :math:`\mathbf{h}` the last state of a bi-GRU over the words.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of regions and of both vectors. (default: :obj:`2048`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        num_layers (int, optional): Layers of reasoning. (default: :obj:`4`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)
        normalize (bool, optional): Regions have length one before they reason. Without it they grow
            with the third power of their length in every layer, which overflows on the features of
            photos; the recipes set it. (default: :obj:`False`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Example:
        >>> VSRN(GraphSizes(words=10, objects=5, predicates=1, attributes=1), dim=8).config["dim"]
        8
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 2048,
        embed: int = 300,
        num_layers: int = 4,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
        normalize: bool = False,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout)
        if not 0 <= num_layers <= MAX_LAYERS:
            raise ValueError(f"num_layers must lie in 0 to {MAX_LAYERS}, got {num_layers}")
        self.layers = nn.ModuleList(RegionReasoning(dim) for _ in range(num_layers))
        self.normalize = normalize

    def encode_image(self, batch: HeteroData) -> GlobalEncoding:
        regions = self.regions(batch)
        if self.normalize:
            regions = Packed(l2_normalize(regions.x), regions.ptr)
        for layer in self.layers:
            regions = layer(regions)
        return GlobalEncoding(l2_normalize(segment_mean(regions.x, regions.ptr)))

    def encode_text(self, batch: HeteroData) -> GlobalEncoding:
        return GlobalEncoding(l2_normalize(self.words(batch)[1]))


class RegionReasoning(nn.Module):
    r"""One layer of :class:`VSRN`.

    Args:
        channels (int): Size of each region.

    Shapes:
        - **input:** regions of :math:`(N, F)`
        - **output:** regions of :math:`(N, F)`
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, regions: Packed) -> Packed:
        sides = (self.query(regions.x), self.key(regions.x), self.value(regions.x))
        largest = int(regions.sizes.max()) if len(regions) else 0
        # Padding is zero, so it takes part in nothing.
        query, key, value = (Packed(side, regions.ptr).padded(size=largest)[0] for side in sides)
        gathered = (query @ key.mT) @ value  # [num_graphs, largest, channels]
        graph = regions.batch
        place = torch.arange(len(graph), device=graph.device) - regions.ptr[graph]  # in its graph
        gathered = gathered[graph, place] / regions.sizes[graph][:, None]
        return Packed(regions.x + self.out(gathered), regions.ptr)

    def extra_repr(self) -> str:
        return f"{self.channels}"
