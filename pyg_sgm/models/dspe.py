"""DSPE: two branches, whose texts of one image stay neighbors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.data import PairBatch
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
    "dspe",
    recipes={
        "default": BASELINE,
        # All negatives at margin 0.1; the paper's optimizer is plain SGD.
        "paper": hardest_negatives({"dim": 512, "embed": 300}).replace(
            captions_per_image=2,
            weight_decay=5e-4,
            loss_options={"margin": 0.1, "hardest": False},
        ),
    },
)
class DSPE(GlobalMatcher[GlobalEncoding]):
    r"""The two-branch network of the `"Learning Deep Structure-Preserving Image-Text Embeddings"
    <https://arxiv.org/abs/1511.06078>`_ paper

    .. math::
        S = \cos(\mathbf{f}, \mathbf{h}), \qquad
        \mathbf{f} = \operatorname{BN}(\mathbf{W}_2 \operatorname{ReLU}(\mathbf{W}_1 \mathbf{v}))

    and :math:`\mathbf{h}` likewise of the words. To the ranking loss of the scores, training adds
    that texts of one image are nearer to one another than to those of others,

    .. math::
        L = \frac{1}{T} \sum_{i} \sum_{j \in N(i)} \sum_{k \notin N(i)} \big[ m -
        \cos(\mathbf{h}_i, \mathbf{h}_j) + \cos(\mathbf{h}_i, \mathbf{h}_k) \big]_+

    over the other texts :math:`N(i)` of the image of text :math:`i`. The paper has distances in
    place of cosines; among vectors of length one both have the same order. Images have no such
    term, as there, for no text has two of them. Left out are its features (of one network for the
    whole image, Fisher vectors of words): :math:`\mathbf{v}` is the mean region, and a text the
    mean embedding of its words.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of both layers. (default: :obj:`512`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        neighborhood (float, optional): Weight of the term of neighbors. (default: :obj:`0.2`)
        margin (float, optional): :math:`m`. (default: :obj:`0.1`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Example:
        >>> DSPE(GraphSizes(words=10, objects=5, predicates=1, attributes=1), dim=8).config["dim"]
        8
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 512,
        embed: int = 300,
        neighborhood: float = 0.2,
        margin: float = 0.1,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout, WordMean)
        self.neighborhood = neighborhood
        self.margin = margin
        self.image_branch = nn.Sequential(nn.ReLU(), nn.Linear(dim, dim), nn.BatchNorm1d(dim))
        self.text_branch = nn.Sequential(nn.ReLU(), nn.Linear(dim, dim), nn.BatchNorm1d(dim))

    def encode_image(self, batch: HeteroData) -> GlobalEncoding:
        regions = self.regions(batch)
        whole = segment_mean(regions.x, regions.ptr)  # the first layer is linear
        return GlobalEncoding(l2_normalize(self.image_branch(whole)))

    def encode_text(self, batch: HeteroData) -> GlobalEncoding:
        return GlobalEncoding(l2_normalize(self.text_branch(self.words(batch)[1])))

    def side_loss(
        self, image: GlobalEncoding, text: GlobalEncoding, batch: PairBatch
    ) -> Tensor | None:
        return self.neighborhood * neighbor_loss(text.summary, batch.image_of_text, self.margin)


class WordMean(nn.Module):
    """A linear layer on words, and its mean over each sentence.

    Args:
        in_channels (int): Size of the embeddings of words.
        out_channels (int): Size of the result.

    Shapes:
        - **input:** embeddings of words ``[num_words, in_channels]``, boundaries of sentences
        - **output:** words and sentences, of size ``out_channels``
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.lin = nn.Linear(in_channels, out_channels)

    def forward(self, x: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
        words = self.lin(x)
        return words, segment_mean(words, ptr)


def neighbor_loss(x: Tensor, group: Tensor, margin: float) -> Tensor:
    """The term of neighbors of :class:`DSPE`.

    Args:
        x (Tensor): Vectors of length one, ``[num_texts, dim]``.
        group (Tensor): The image of each, ``[num_texts]``.
        margin (float): How much nearer neighbors should be.
    """
    cosine = x @ x.t()
    same = group[:, None] == group
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
    most = int((same & ~itself).sum(1).max()) if len(x) else 0  # neighbors of any text
    is_near, near = (same & ~itself).to(x.dtype).topk(most, dim=1)  # [num_texts, most]
    cost = (margin - cosine.gather(1, near)[:, :, None] + cosine[:, None]).relu()
    counts = is_near.bool()[:, :, None] & ~same[:, None]
    return cost.masked_fill(~counts, 0).sum() / max(1, len(x))
