"""SCO: concepts of the regions, gated with the whole image, that can tell a sentence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.data import PairBatch
from pyg_sgm.models.base import GraphSizes
from pyg_sgm.models.regions_words import BASELINE, GlobalEncoding, GlobalMatcher, hardest_negatives
from pyg_sgm.models.registry import register_model
from pyg_sgm.nn import PackedLSTM
from pyg_sgm.ops import Packed, l2_normalize, segment_max, segment_mean


@dataclass(frozen=True)
class SCOEncoding(GlobalEncoding):
    """Encoded graphs of either modality.

    Args:
        summary (Tensor): Embedding of each graph, of length one, ``[num_graphs, dim]``.
        concepts (Tensor, optional): In training, how sure an image is of every concept, before the
            sigmoid, ``[num_graphs, num_words]``; else, and of texts, :obj:`None`. (default:
            :obj:`None`)
    """

    concepts: Tensor | None = None


@register_model(
    "sco",
    recipes={
        "default": BASELINE,
        "paper": hardest_negatives({"dim": 1024, "embed": 300}),
    },
)
class SCO(GlobalMatcher[SCOEncoding]):
    r"""The model of the `"Learning Semantic Concepts and Order for Image and Sentence Matching"
    <https://arxiv.org/abs/1712.02036>`_ paper

    .. math::
        S = \cos(\mathbf{v}, \mathbf{h}), \qquad
        \mathbf{v} = \mathbf{t} \circ \hat{\mathbf{p}} + (1 - \mathbf{t}) \circ \hat{\mathbf{x}},
        \qquad \mathbf{t} = \sigma(\mathbf{U}_p \mathbf{p} + \mathbf{U}_x \mathbf{x})

    with :math:`\hat{\mathbf{p}} = \mathbf{W}_p \mathbf{p} / \|\mathbf{W}_p \mathbf{p}\|` of the
    concepts :math:`\mathbf{p} = \max_i \sigma(\mathbf{W}_c \mathbf{v}_i)` that the regions show,
    :math:`\hat{\mathbf{x}}` likewise of the mean region :math:`\mathbf{x}`, and
    :math:`\mathbf{h}` the last state of an LSTM over the words. Training adds that an image tells
    its concepts (binary cross entropy, summed over concepts, mean over images), and that an LSTM
    which starts from :math:`\mathbf{v}` tells its texts in their order (cross entropy of each word
    after those before it). Concepts are the words of the nodes of an image's text graphs. The paper
    learns 256 of them beforehand, with a network of its own; here they are learned along, from the
    features that are given.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of both vectors. (default: :obj:`1024`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        concept_weight (float, optional): Weight of the loss of the concepts. (default: :obj:`0.01`)
        order_weight (float, optional): Weight of the loss of the told texts. (default: :obj:`1.0`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Example:
        >>> SCO(GraphSizes(words=10, objects=5, predicates=1, attributes=1), dim=8).config["dim"]
        8
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        embed: int = 300,
        concept_weight: float = 0.01,
        order_weight: float = 1.0,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout, PackedLSTM)
        self.concept_weight = concept_weight
        self.order_weight = order_weight
        self.concepts = nn.Linear(dim, sizes.words)
        self.of_concepts = nn.Linear(sizes.words, dim, bias=False)
        self.of_context = nn.Linear(dim, dim, bias=False)
        self.gate_concepts = nn.Linear(sizes.words, dim, bias=False)
        self.gate_context = nn.Linear(dim, dim)
        self.teller = nn.LSTM(embed, dim, batch_first=True)
        self.next_word = nn.Linear(dim, sizes.words)

    def encode_image(self, batch: HeteroData) -> SCOEncoding:
        regions = self.regions(batch)
        sure = segment_max(self.concepts(regions.x), regions.ptr)
        shown = torch.sigmoid(sure)  # 0 without regions
        context = segment_mean(regions.x, regions.ptr)
        gate = torch.sigmoid(self.gate_concepts(shown) + self.gate_context(context))
        named = l2_normalize(self.of_concepts(shown))
        whole = gate * named + (1 - gate) * l2_normalize(self.of_context(context))
        return SCOEncoding(l2_normalize(whole), sure if self.training else None)

    def encode_text(self, batch: HeteroData) -> SCOEncoding:
        return SCOEncoding(l2_normalize(self.words(batch)[1]))

    def side_loss(self, image: SCOEncoding, text: SCOEncoding, batch: PairBatch) -> Tensor | None:
        told = self.order_weight * self._order_loss(image.summary[batch.image_of_text], batch.text)
        if image.concepts is None:
            return told
        wanted = torch.zeros_like(image.concepts)
        for node in ("object", "relation", "attribute"):
            nodes = batch.text[node]
            of_word = nodes.batch.repeat_interleave(nodes.length, output_size=len(nodes.token))
            wanted[batch.image_of_text[of_word], nodes.token] = 1
        has_regions = image.concepts.isfinite()
        sure = image.concepts.masked_fill(~has_regions, 0)
        loss = F.binary_cross_entropy_with_logits(sure, wanted, reduction="none")
        return told + self.concept_weight * (loss * has_regions).sum(1).mean()

    def _order_loss(self, start: Tensor, texts: HeteroData) -> Tensor:
        """Mean over all words of what it costs to tell them one after another."""
        ptr = texts["word"].ptr
        steps, mask = Packed(self.word_embedding(texts), ptr).padded()
        if not steps.size(1):
            return start.sum() * 0
        before = F.pad(steps, (0, 0, 1, 0))[:, :-1]  # nothing before the first word
        states, _ = self.teller(before, (start[None], torch.zeros_like(start)[None]))
        return F.cross_entropy(self.next_word(states[mask]), texts["word"].token)
