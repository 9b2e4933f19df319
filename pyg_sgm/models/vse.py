"""VSE++: one vector for an image, one for a text."""

from __future__ import annotations

from torch_geometric.data import HeteroData

from pyg_sgm.models.base import GraphSizes
from pyg_sgm.models.regions_words import (
    BASELINE,
    GlobalEncoding,
    GlobalMatcher,
    hardest_negatives,
)
from pyg_sgm.models.registry import register_model
from pyg_sgm.ops import l2_normalize, segment_mean


@register_model(
    "vse",
    recipes={
        "default": BASELINE,
        "paper": hardest_negatives({"dim": 1024, "embed": 300}),
    },
)
class VSE(GlobalMatcher[GlobalEncoding]):
    r"""The two-tower model of the `"VSE++: Improving Visual-Semantic Embeddings with Hard
    Negatives" <https://arxiv.org/abs/1707.05612>`_ paper

    .. math:: S = \cos(\mathbf{f}, \mathbf{h})

    of the mean region of an image with the last state of a GRU over the words. The paper takes a
    global feature of the image and trains with the hardest negative
    (:class:`~pyg_sgm.losses.TripletLoss`).

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int): Size of both vectors. (default: :obj:`1024`)
        embed (int): Size of label and word embeddings. (default: :obj:`300`)
        shared_label_projection (bool): Adds to every region and word its label embedding through
            one projection that both modalities share. (default: :obj:`False`)
        dropout (float): Dropout of embeddings and of encoded features. (default: :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Example:
        >>> from pyg_sgm.models import GraphSizes
        >>> VSE(GraphSizes(words=10, objects=5, predicates=1, attributes=1), dim=8).config["dim"]
        8
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        embed: int = 300,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout)

    def encode_image(self, batch: HeteroData) -> GlobalEncoding:
        regions = self.regions(batch)
        return GlobalEncoding(l2_normalize(segment_mean(regions.x, regions.ptr)))

    def encode_text(self, batch: HeteroData) -> GlobalEncoding:
        return GlobalEncoding(l2_normalize(self.words(batch)[1]))
