"""GSMN: nodes of both graphs match, then their neighborhoods."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.models.base import Encoding, GraphSizes, check_positive
from pyg_sgm.models.regions_words import BASELINE, RegionWordMatcher, hardest_negatives
from pyg_sgm.models.registry import register_model
from pyg_sgm.nn.graph_match import RegionNeighbors, WordNeighbors, block_cosine
from pyg_sgm.ops import Packed, PaddedGraphs, l2_normalize, pair_block_scores


@dataclass(frozen=True)
class GSMNEncoding(Encoding):
    """Encoded graphs of either modality.

    Args:
        nodes (Packed): Regions of images, words of texts, of length one.
        centers (Packed, optional): Centers of the regions' boxes, ``x [num_regions, 2]``; of texts
            :obj:`None`. (default: :obj:`None`)
    """

    nodes: Packed
    centers: Packed | None = None


@register_model(
    "gsmn",
    recipes={
        "default": BASELINE.replace(epochs=8, images_per_batch=32),
        # On Flickr30k.
        "paper": hardest_negatives({"dim": 1024, "embed": 300}).replace(
            images_per_batch=64, loss_options={"margin": 0.2, "warmup_calls": 200}
        ),
    },
)
class GSMN(RegionWordMatcher[GSMNEncoding]):
    r"""The model of the `"Graph Structured Network for Image-Text Matching"
    <https://arxiv.org/abs/2004.00277>`_ paper. Nodes match by what they attend to on the other
    side, block by block of their channels

    .. math::
        \mathbf{c}_i = \sum_j \operatorname{softmax}_j (\lambda \mathbf{u}_i^\top \mathbf{v}_j) \,
        \mathbf{v}_j, \qquad
        \mathbf{x}_i = \big\Vert_b \cos(\mathbf{u}_{ib}, \mathbf{c}_{ib})

    in both directions; each side's matches are gathered in its graph
    (:class:`~pyg_sgm.nn.WordNeighbors`, :class:`~pyg_sgm.nn.RegionNeighbors`), and

    .. math::
        S = \frac{1}{M} \sum_i \mathbf{w}_u^\top \tanh(\mathbf{W}_u \hat{\mathbf{x}}_i) +
        \frac{1}{N} \sum_j \mathbf{w}_v^\top \tanh(\mathbf{W}_v \hat{\mathbf{x}}_j)

    with biases. A pair of which one side has no nodes has :math:`S = 0`. The text graph is the
    paper's dense one, in which all words are neighbors. Left out is the sparse one, which asks for
    a parse of grammatical dependencies that data here do not have.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features. Images have boxes.
        dim (int, optional): Size of regions and words, a multiple of ``num_blocks``. (default:
            :obj:`1024`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        num_blocks (int, optional): Parts of the channels that match by themselves. (default:
            :obj:`16`)
        hidden (int, optional): Size of gathered matches, a multiple of ``num_kernels``. (default:
            :obj:`32`)
        num_kernels (int, optional): Kernels over the image graph. (default: :obj:`8`)
        sharpness (float, optional): :math:`\lambda`, on both sides and within the text. (default:
            :obj:`20.0`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Raises:
        ValueError: If a size is no multiple of what it should be one of, or images have no boxes.

    Example:
        >>> sizes = GraphSizes(words=10, objects=5, predicates=1, attributes=1)
        >>> GSMN(sizes, dim=32).config["num_blocks"]
        16
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        embed: int = 300,
        num_blocks: int = 16,
        hidden: int = 32,
        num_kernels: int = 8,
        sharpness: float = 20.0,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout)
        check_positive(num_blocks=num_blocks, hidden=hidden, num_kernels=num_kernels)
        if dim % num_blocks:
            raise ValueError(f"dim must be a multiple of num_blocks, {num_blocks}: {dim}")
        if hidden % num_kernels:
            raise ValueError(f"hidden must be a multiple of num_kernels, {num_kernels}: {hidden}")
        self.num_blocks = num_blocks
        self.sharpness = sharpness
        self.text_structure = WordNeighbors(num_blocks, hidden, sharpness)
        self.image_structure = RegionNeighbors(num_blocks, hidden, num_kernels)
        self.text_head, self.image_head = (
            nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))
            for _ in range(2)
        )

    def encode_image(self, batch: HeteroData) -> GSMNEncoding:
        if "box" not in batch["object"]:
            raise ValueError("image graphs have no boxes, by which GSMN knows what is near")
        box = batch["object"].box
        nodes = self._nodes(self.regions(batch))
        return GSMNEncoding(nodes, Packed((box[:, :2] + box[:, 2:]) / 2, nodes.ptr))

    def encode_text(self, batch: HeteroData) -> GSMNEncoding:
        return GSMNEncoding(self._nodes(self.words(batch)[0]))

    def attention_nodes(self, encoding: GSMNEncoding) -> Packed:
        return encoding.nodes

    def score(self, image: GSMNEncoding, text: GSMNEncoding) -> Tensor:
        centers = image.centers
        assert centers is not None

        def of_block(x: PaddedGraphs, y: PaddedGraphs) -> Tensor:
            (g, n, dim), (c, m, _) = x.nodes.shape, y.nodes.shape
            logits = self.sharpness * (y.nodes.view(c * m, dim) @ x.nodes.mT).view(g, c, m, n)
            lowest = torch.finfo(logits.dtype).min
            of_words = logits.masked_fill(~x.mask[:, None, None], lowest).softmax(-1)
            seen = (of_words.view(g, c * m, n) @ x.nodes).view(g, c, m, dim)
            matches = block_cosine(y.nodes, seen, self.num_blocks)
            by_words = self.text_structure(matches, y.nodes, y.mask)
            by_words = _mean(self.text_head(by_words).squeeze(-1), y.mask)

            of_regions = logits.mT.masked_fill(~y.mask[:, None], lowest).softmax(-1)
            seen = of_regions @ y.nodes  # [g, c, n, dim]
            matches = block_cosine(x.nodes[:, None], seen, self.num_blocks)
            where = centers.padded(x.graphs, n)[0]
            by_regions = self.image_structure(matches, where, x.mask)
            by_regions = _mean(self.image_head(by_regions).squeeze(-1), x.mask[:, None])
            filled = x.mask.any(1)[:, None] & y.mask.any(1)
            return (by_words + by_regions).masked_fill(~filled, 0)

        return pair_block_scores(of_block, image.nodes, text.nodes, image.nodes.x.size(1))

    def _nodes(self, nodes: Packed) -> Packed:
        return Packed(l2_normalize(nodes.x), nodes.ptr)


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over what is real in the last dimension; 0 of nothing."""
    return (x * mask).sum(-1) / mask.sum(-1).clamp(min=1)
