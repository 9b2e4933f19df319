"""VSE-infinity: how sets become vectors is learned."""

from __future__ import annotations

import torch
from torch import nn
from torch_geometric.data import HeteroData

from pyg_sgm.models.base import GraphSizes
from pyg_sgm.models.regions_words import (
    BASELINE,
    GlobalEncoding,
    GlobalMatcher,
    hardest_negatives,
)
from pyg_sgm.models.registry import register_model
from pyg_sgm.nn import GeneralizedPooling
from pyg_sgm.ops import Packed, l2_normalize


@register_model(
    "vse_infinity",
    recipes={
        "default": BASELINE,
        # With AdamW, as the paper has it.
        "paper": hardest_negatives({"dim": 1024, "embed": 300}).replace(
            epochs=25, lr=5e-4, weight_decay=1e-4
        ),
    },
)
class VSEInfinity(GlobalMatcher[GlobalEncoding]):
    r"""The model of the `"Learning the Best Pooling Strategy for Visual Semantic Embedding"
    <https://arxiv.org/abs/2011.04305>`_ paper

    .. math:: S = \cos(\operatorname{GPO}(\mathbf{V}), \operatorname{GPO}(\mathbf{H}))

    of the regions of an image and the words of a text, each side pooled by a
    :class:`~pyg_sgm.nn.GeneralizedPooling` of its own. In training, a share of both sets is left
    out at random (its size augmentation). Of the paper, the perceptron beside the linear layer on
    regions and the features of a fine-tuned network are left out: features here are given.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of both vectors. (default: :obj:`1024`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        position (int, optional): Size of the encodings of positions, and of the GRU that reads
            them. (default: :obj:`32`)
        node_dropout (float, optional): Share of regions and words that are left out of the pooling
            in training. (default: :obj:`0.2`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Raises:
        ValueError: If ``node_dropout`` does not lie in [0, 1).

    Example:
        >>> sizes = GraphSizes(words=10, objects=5, predicates=1, attributes=1)
        >>> VSEInfinity(sizes, dim=8).image_pool
        GeneralizedPooling(32)
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        embed: int = 300,
        position: int = 32,
        node_dropout: float = 0.2,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout)
        if not 0 <= node_dropout < 1:
            raise ValueError(f"node_dropout must lie in [0, 1), got {node_dropout}")
        self.node_dropout = node_dropout
        self.image_pool = GeneralizedPooling(position)
        self.text_pool = GeneralizedPooling(position)

    def encode_image(self, batch: HeteroData) -> GlobalEncoding:
        return self._encoding(self.regions(batch), self.image_pool)

    def encode_text(self, batch: HeteroData) -> GlobalEncoding:
        return self._encoding(self.words(batch)[0], self.text_pool)

    def _encoding(self, nodes: Packed, pool: nn.Module) -> GlobalEncoding:
        if self.training and self.node_dropout:
            kept = torch.rand(len(nodes.x), device=nodes.x.device) >= self.node_dropout
            count = torch.cat([kept.new_zeros(1, dtype=torch.long), kept.cumsum(0)])
            nodes = Packed(nodes.x[kept], count[nodes.ptr])
        return GlobalEncoding(l2_normalize(pool(nodes)))
