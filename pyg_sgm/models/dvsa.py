"""DVSA: every word picks its best region."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.models.base import GraphSizes
from pyg_sgm.models.bounds import BoundLevel
from pyg_sgm.models.explanation import Explanation, best_matches, named_match
from pyg_sgm.models.regions_words import BASELINE, NodeEncoding, RegionWordMatcher
from pyg_sgm.models.registry import register_model
from pyg_sgm.ops import Packed, l2_normalize, maxsim


@register_model(
    "dvsa",
    recipes={
        "default": BASELINE.with_model_options(normalize=True),
    },
)
class DVSA(RegionWordMatcher[NodeEncoding]):
    r"""The alignment model of the `"Deep Visual-Semantic Alignments for Generating Image
    Descriptions" <https://arxiv.org/abs/1412.2306>`_ paper (its eq. 8)

    .. math:: S = \sum_t \max_i \mathbf{h}_t^\top \mathbf{v}_i

    over the words :math:`t` and the regions :math:`i`. The words are encoded by a bi-GRU in place
    of the paper's plain recurrence.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of regions and words. (default: :obj:`1024`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        normalize (bool, optional): Cosine instead of inner product, and the mean over the words
            instead of the sum, so that all scores lie in one range. (default: :obj:`False`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Example:
        >>> DVSA(GraphSizes(words=10, objects=5, predicates=1, attributes=1), dim=8).config["dim"]
        8
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        embed: int = 300,
        normalize: bool = False,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout)
        self.normalize = normalize

    def encode_image(self, batch: HeteroData) -> NodeEncoding:
        return self._encoding(self.regions(batch))

    def encode_text(self, batch: HeteroData) -> NodeEncoding:
        return self._encoding(self.words(batch)[0])

    def attention_nodes(self, encoding: NodeEncoding) -> Packed:
        return encoding.nodes

    def score(self, image: NodeEncoding, text: NodeEncoding) -> Tensor:
        return maxsim(text.nodes, image.nodes, self._weights(text)).t()

    def bound_levels(self) -> list[BoundLevel]:
        # The other sum has no weights, and is not the mean.
        return [BoundLevel("global", "nodes")] if self.normalize else []

    def explain(
        self,
        image: NodeEncoding,
        text: NodeEncoding,
        image_record: ImageRecord,
        text_record: TextRecord,
    ) -> Explanation:
        """The best match of every word of one text in one image.

        Args:
            image (NodeEncoding): One encoded image.
            text (NodeEncoding): One encoded text.
            image_record (ImageRecord): The image's graph in strings.
            text_record (TextRecord): The text's graph in strings.
        """
        found = best_matches("object", text.nodes, image.nodes, self._weights(text))
        matches = [named_match(match, image_record, text_record) for match in found]
        levels = {"object": float(self.score(image, text))}
        return Explanation(image_record, text_record, levels, matches)

    def _weights(self, text: NodeEncoding) -> Tensor | None:
        return None if self.normalize else torch.ones_like(text.nodes.x[:, 0])

    def _encoding(self, nodes: Packed) -> NodeEncoding:
        return NodeEncoding(Packed(l2_normalize(nodes.x), nodes.ptr) if self.normalize else nodes)
