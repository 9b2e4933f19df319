"""SCAN: stacked cross attention between regions and words."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.models.base import GraphSizes
from pyg_sgm.models.explanation import Attention, Node, graph_nodes
from pyg_sgm.models.regions_words import (
    BASELINE,
    NodeEncoding,
    RegionWordMatcher,
    hardest_negatives,
)
from pyg_sgm.models.registry import register_model
from pyg_sgm.ops import Packed, l2_normalize, stacked_attention, stacked_weights
from pyg_sgm.ops._stacked import Pooling

Direction = Literal["text-image", "image-text"]


@register_model(
    "scan",
    recipes={
        "default": BASELINE,
        "paper": hardest_negatives({"dim": 1024, "embed": 300}),
    },
)
class SCAN(RegionWordMatcher[NodeEncoding]):
    r"""The model of the `"Stacked Cross Attention for Image-Text Matching"
    <https://arxiv.org/abs/1803.08024>`_ paper: every word is compared with the regions that it
    attends to, or every region with the words; see :func:`pyg_sgm.ops.stacked_attention`.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of regions and words. (default: :obj:`1024`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        direction (str, optional): ``"text-image"``, words attend to regions; ``"image-text"``,
            regions attend to words. (default: :obj:`"text-image"`)
        pooling (str, optional): ``"lse"`` or ``"average"``. (default: :obj:`"lse"`)
        inverse_temperature (float, optional): Inverse temperature of the attention. (default:
            :obj:`9.0`)
        pooling_inverse_temperature (float, optional): Of the LogSumExp pooling. (default:
            :obj:`6.0`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Raises:
        ValueError: If ``direction`` or ``pooling`` is unknown.

    Example:
        >>> SCAN(GraphSizes(words=10, objects=5, predicates=1, attributes=1), dim=8).config["dim"]
        8
    """

    renamed_options: ClassVar = {
        **RegionWordMatcher.renamed_options,
        "sharpness": "inverse_temperature",
        "pooling_sharpness": "pooling_inverse_temperature",
    }

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        embed: int = 300,
        direction: Direction = "text-image",
        pooling: Pooling = "lse",
        inverse_temperature: float = 9.0,
        pooling_inverse_temperature: float = 6.0,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout)
        if direction not in get_args(Direction):
            raise ValueError(f"direction {direction!r}; known: {', '.join(get_args(Direction))}")
        if pooling not in get_args(Pooling):
            raise ValueError(f"pooling {pooling!r}; known: {', '.join(get_args(Pooling))}")
        self.direction = direction
        self.pooling: Pooling = pooling
        self.inverse_temperature = inverse_temperature
        self.pooling_inverse_temperature = pooling_inverse_temperature

    def encode_image(self, batch: HeteroData) -> NodeEncoding:
        regions = self.regions(batch)
        return NodeEncoding(Packed(l2_normalize(regions.x), regions.ptr))

    def encode_text(self, batch: HeteroData) -> NodeEncoding:
        words, _ = self.words(batch)
        return NodeEncoding(Packed(l2_normalize(words.x), words.ptr))

    def attention_nodes(self, encoding: NodeEncoding) -> Packed:
        return encoding.nodes

    def score(self, image: NodeEncoding, text: NodeEncoding) -> Tensor:
        options = (self.inverse_temperature, self.pooling, self.pooling_inverse_temperature)
        if self.direction == "image-text":
            return stacked_attention(image.nodes, text.nodes, *options)
        return stacked_attention(text.nodes, image.nodes, *options).t()

    def explain(
        self,
        image: NodeEncoding,
        text: NodeEncoding,
        image_record: ImageRecord,
        text_record: TextRecord,
    ) -> Attention:
        """What every word of one text attends to in one image; or every region in the text,
        where ``direction`` is ``"image-text"``.

        Args:
            image (NodeEncoding): One encoded image.
            text (NodeEncoding): One encoded text.
            image_record (ImageRecord): The image's graph in strings.
            text_record (TextRecord): The text's graph in strings.
        """
        x, y = image.nodes.x, text.nodes.x
        if self.direction == "image-text":
            weights = stacked_weights(x, y, self.inverse_temperature).t()
        else:
            weights = stacked_weights(y, x, self.inverse_temperature)
        return Attention(
            image_record,
            text_record,
            graph_nodes(image_record, "o"),
            [Node("word", (), word) for word in text_record.words],
            weights.cpu(),
            torch.full((len(x),), 1 / max(1, len(x))),
            torch.full((len(y),), 1 / max(1, len(y))),
            float(self.score(image, text)),
        )
