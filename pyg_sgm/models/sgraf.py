"""SGRAF: vectors of similarity that reason with one another, or are filtered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.models.base import MAX_LAYERS, Encoding, GraphSizes, check_positive
from pyg_sgm.models.regions_words import BASELINE, RegionWordMatcher, hardest_negatives
from pyg_sgm.models.registry import register_model
from pyg_sgm.nn.similarity import (
    ContextPooling,
    SimilarityFiltration,
    SimilarityReasoning,
    SimilarityVector,
    attended,
)
from pyg_sgm.ops import Packed, PaddedGraphs, l2_normalize, pair_block_scores

Module = Literal["sgr", "saf", "both"]


@dataclass(frozen=True)
class SGRAFEncoding(Encoding):
    """Encoded graphs of either modality.

    Args:
        nodes (Packed): Regions of images, words of texts, of length one.
        summary (Tensor): A vector of length one for each graph, ``[num_graphs, dim]``.
    """

    nodes: Packed
    summary: Tensor


@register_model(
    "sgraf",
    recipes={
        "default": BASELINE.replace(epochs=8, images_per_batch=32).with_model_options(
            similarity=64
        ),
        # On Flickr30k.
        "paper": hardest_negatives({"dim": 1024, "embed": 300}).replace(epochs=40, step_epochs=30),
    },
)
class SGRAF(RegionWordMatcher[SGRAFEncoding]):
    r"""The model of the `"Similarity Reasoning and Filtration for Image-Text Matching"
    <https://arxiv.org/abs/2101.01368>`_ paper: a pair has a vector of similarity for the whole
    (:class:`~pyg_sgm.nn.ContextPooling` of both sides) and one for each word with what it attends
    to in the image (:class:`~pyg_sgm.nn.SimilarityVector`), and its score is

    .. math:: S = \operatorname{SGR}(\mathbf{s}_g, \mathbf{s}_1, \dots, \mathbf{s}_M), \qquad
        \operatorname{SAF}(\mathbf{s}_g, \mathbf{s}_1, \dots, \mathbf{s}_M)

    or their sum (:class:`~pyg_sgm.nn.SimilarityReasoning`,
    :class:`~pyg_sgm.nn.SimilarityFiltration`). The paper trains both by themselves and adds the
    scores, which ``pyg-sgm evaluate RUN RUN`` does; with ``"both"`` they share what goes before
    them. Left out is the batch normalization in attention and filtration: its statistics would run
    over pairs, and a pair would score otherwise among others.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of regions and words. (default: :obj:`1024`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        similarity (int, optional): Size of a vector of similarity. (default: :obj:`256`)
        module (str, optional): ``"sgr"``, ``"saf"`` or ``"both"``. (default: :obj:`"both"`)
        num_steps (int, optional): Steps of the reasoning, at least 1. (default: :obj:`3`)
        sharpness (float, optional): Inverse temperature of the attention. (default: :obj:`9.0`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Raises:
        ValueError: If ``module`` is unknown, or ``num_steps`` out of range.

    Example:
        >>> sizes = GraphSizes(words=10, objects=5, predicates=1, attributes=1)
        >>> SGRAF(sizes, dim=8, module="saf").config["similarity"]
        256
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        embed: int = 300,
        similarity: int = 256,
        module: Module = "both",
        num_steps: int = 3,
        sharpness: float = 9.0,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout)
        check_positive(similarity=similarity)
        if module not in get_args(Module):
            raise ValueError(f"module {module!r}; known: {', '.join(get_args(Module))}")
        if not 1 <= num_steps <= MAX_LAYERS:
            raise ValueError(f"num_steps must lie in 1 to {MAX_LAYERS}, got {num_steps}")
        self.sharpness = sharpness
        self.image_summary = ContextPooling(dim)
        self.text_summary = ContextPooling(dim)
        self.local_similarity = SimilarityVector(dim, similarity)
        self.global_similarity = SimilarityVector(dim, similarity)
        self.reasoning = SimilarityReasoning(similarity, num_steps) if module != "saf" else None
        self.filtration = SimilarityFiltration(similarity) if module != "sgr" else None

    def encode_image(self, batch: HeteroData) -> SGRAFEncoding:
        regions = self.regions(batch)
        nodes = Packed(l2_normalize(regions.x), regions.ptr)
        return SGRAFEncoding(nodes, self.image_summary(nodes))

    def encode_text(self, batch: HeteroData) -> SGRAFEncoding:
        words, _ = self.words(batch)
        nodes = Packed(l2_normalize(words.x), words.ptr)
        return SGRAFEncoding(nodes, self.text_summary(nodes))

    def attention_nodes(self, encoding: SGRAFEncoding) -> Packed:
        return encoding.nodes

    def score(self, image: SGRAFEncoding, text: SGRAFEncoding) -> Tensor:
        def of_block(x: PaddedGraphs, y: PaddedGraphs) -> Tensor:
            whole = self.global_similarity(image.summary[x.graphs][:, None], text.summary[y.graphs])
            seen = attended(x.nodes, y.nodes, x.mask, self.sharpness)
            words = self.local_similarity(seen, y.nodes)
            similarities = torch.cat([whole[:, :, None], words], dim=2)
            # An image without regions has nothing that words could be compared with.
            mask = x.mask.any(1)[:, None, None] & y.mask
            mask = torch.cat([torch.ones_like(mask[..., :1]), mask], dim=-1)
            modules = [m for m in (self.reasoning, self.filtration) if m is not None]
            return torch.stack([module(similarities, mask) for module in modules]).sum(dim=0)

        return pair_block_scores(of_block, image.nodes, text.nodes, image.nodes.x.size(1))
