"""High-order attention and distraction (HOAD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.models.base import Encoding, GraphSizes, Matcher, check_positive
from pyg_sgm.models.explanation import Attention, graph_nodes
from pyg_sgm.models.recipe import Recipe
from pyg_sgm.models.registry import register_model
from pyg_sgm.nn import (
    CrossGraphMatch,
    HighOrderEncoder,
    NodeAttention,
    PackedLSTM,
    RegionInput,
    TokenEmbedding,
    word_input,
)
from pyg_sgm.nn.high_order import NodeTypes
from pyg_sgm.nn.regions import whole_image
from pyg_sgm.ops import Packed, cross_attention, l2_normalize, lsesim, segment_mean


@dataclass(frozen=True)
class HOADEncoding(Encoding):
    """Encoded graphs of either modality.

    Args:
        nodes (Packed): Objects, relations and attributes after the graph convolutions.
        weights (Packed): Weight of every node in its graph (eq. 8), ``x [num_nodes]``.
        terms (Packed, optional): Regions of images, words of texts, of length one, for the
            first-order branch; :obj:`None` without it. (default: :obj:`None`)
    """

    nodes: Packed
    weights: Packed
    terms: Packed | None = None


@register_model(
    "hoad",
    recipes={
        "default": Recipe(
            epochs=8,
            images_per_batch=16,
            captions_per_image=5,
            lr=1e-3,
            weight_decay=1e-2,
            feature_dropout=0.3,
            options={
                "dim": 128,
                "hidden": 128,
                "num_perspectives": 16,
                "first_order": 1.0,
                "region_labels": True,
                "shared_label_projection": True,
                "logits": True,
                "dropout": 0.3,
            },
        ),
        # Section 4.3 of the paper, which does not tell the size of a batch.
        "paper": Recipe(
            epochs=60,
            images_per_batch=64,
            captions_per_image=1,
            lr=1e-3,
            optimizer="adam",
            weight_decay=1e-4,
            schedule="step",
            step_epochs=25,
            warmup=0.0,
            clip=0.0,
            loss="hoad",
            patience=10,
            options={
                "dim": 256,
                "hidden": 1024,
                "embed": 300,
                "num_perspectives": 64,
                "shared_perspectives": True,
                "whole_image": True,
            },
        ),
    },
)
class HOAD(Matcher[HOADEncoding, HOADEncoding]):
    r"""The model of the "Visual-Semantic Matching by Exploring High-Order Attention and
    Distraction" paper (CVPR 2020)

    .. math::
        S = \sigma(\mathrm{MLP}([\bar{\mathbf{m}}^S, \bar{\mathbf{m}}^I])) + \omega \, S^1, \qquad
        S^1 = \frac{1}{N_w} \sum_{t} \frac{1}{\lambda} \log \sum_i
        \exp(\lambda \cos(\mathbf{h}_t, \mathbf{f}_i))

    with the matching vectors :math:`\bar{\mathbf{m}}` of :func:`pyg_sgm.ops.cross_match` on graphs
    after the convolutions of eq. 1 to 3, and the first-order branch :math:`S^1` of the words
    :math:`t` with the regions :math:`i`. A caption without a triplet has no nodes and
    :math:`\bar{\mathbf{m}} = 0`: only :math:`S^1` tells images apart for it.

    The paper leaves some points open. With the defaults, they are: each side has perspectives
    :math:`\mathbf{W}` of its own, where eq. 6 has one (``shared_perspectives``, which the recipe
    ``paper`` sets); the vector :math:`\mathbf{h}_n` of a text, by which eq. 8 weighs its nodes, is
    the mean of the last states of both directions of the bi-LSTM; the global feature of an image is
    the mean of its encoded regions (with ``whole_image``, which ``paper`` sets too, that of the
    whole image); a relation of an image is its label alone, without a feature of the union of its
    boxes; and a text graph is that of one caption, never joined with those of the
    other captions of its image. The recipe ``default`` of the training uses what the options from
    ``region_labels`` on add, found to help on small data; ``paper`` does not.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features. Without region
            features, the geometry of its box and its label are what an object looks like.
        dim (int, optional): Size of the nodes. (default: :obj:`256`)
        hidden (int, optional): Size of the states of the bi-LSTM, its directions averaged.
            (default: :obj:`1024`)
        embed (int, optional): Size of the embeddings of words for the bi-LSTM and of image labels.
            (default: :obj:`300`)
        num_perspectives (int, optional): :math:`l` of eq. 7. (default: :obj:`64`)
        node_types (str, optional): ``"ora"``; ``"or"``, without attributes; ``"o"``, objects alone,
            without graph convolution (table 3). (default: :obj:`"ora"`)
        cross_attention (bool, optional): If :obj:`False`, every node is compared with the mean of
            the other graph (``-CrossAtt`` of table 3). (default: :obj:`True`)
        node_attention (bool, optional): If :obj:`False`, all nodes of a graph weigh the same
            (``-NodeAtt``). (default: :obj:`True`)
        first_order (float, optional): Weight :math:`\omega` of the first-order branch; 0 removes
            it. (default: :obj:`0.1`)
        inverse_temperature (float, optional): :math:`\lambda`. (default: :obj:`6.0`)
        region_labels (bool, optional): Objects also enter by their label where they have region
            features. (default: :obj:`False`)
        shared_label_projection (bool, optional): Adds to every node, region and word its label
            embedding (to a relation the mean of its triplet, to an attribute node the mean with its
            object) through one projection that both modalities share, so that equal names match
            from the start. (default: :obj:`False`)
        logits (bool, optional): The high-order score is the mean matching cosine plus the output of
            the MLP, without the sigmoid, which a contrastive loss wants. (default: :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoder outputs. (default:
            :obj:`0.0`)
        shared_perspectives (bool, optional): One :math:`\mathbf{W}` for both sides (eq. 6).
            (default: :obj:`False`)
        whole_image (bool, optional): The global feature of an image, by which eq. 8 weighs its
            nodes, is that of a region that spans the whole image, if there is one, as the detector
            ``grid`` adds it. (default: :obj:`False`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Raises:
        ValueError: If ``node_types`` is unknown, or image graphs have neither features nor boxes,
            or features of another width than ``sizes.features``.

    Example:
        >>> from pyg_sgm.datasets import SceneWorld
        >>> world = SceneWorld("dev", num_images=4)
        >>> vocabularies = world.vocabularies()
        >>> sizes = GraphSizes.of(vocabularies, features=64)
        >>> model = HOAD(sizes, dim=32, hidden=32, embed=16, num_perspectives=8)
        >>> batch = world.encode(vocabularies).batch([0, 1, 2])
        >>> model(batch.image, batch.text).shape == (len(batch.image_index), 3)
        True
    """

    renamed_options: ClassVar = {
        "share_labels": "shared_label_projection",
        "sharpness": "inverse_temperature",
    }

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 256,
        hidden: int = 1024,
        embed: int = 300,
        num_perspectives: int = 64,
        node_types: NodeTypes = "ora",
        cross_attention: bool = True,
        node_attention: bool = True,
        first_order: float = 0.1,
        inverse_temperature: float = 6.0,
        region_labels: bool = False,
        shared_label_projection: bool = False,
        logits: bool = False,
        dropout: float = 0.0,
        shared_perspectives: bool = False,
        whole_image: bool = False,
    ) -> None:
        super().__init__(sizes)
        check_positive(dim=dim, hidden=hidden, embed=embed, num_perspectives=num_perspectives)
        if node_types not in get_args(NodeTypes):
            raise ValueError(f"node_types {node_types!r}; known: {', '.join(get_args(NodeTypes))}")
        self.first_order = first_order
        self.inverse_temperature = inverse_temperature
        self.logits = logits
        self.whole_image = whole_image

        self.word_embedding = word_input(sizes.words, embed, sizes.word_features)
        self.object_embedding = nn.Embedding(sizes.objects, embed)
        self.predicate_embedding = nn.Embedding(sizes.predicates, embed)
        self.attribute_embedding = nn.Embedding(sizes.attributes, embed)
        # Of text graphs: the paper's own table, or a layer on the vectors of a language model.
        self.node_embedding = (
            nn.Linear(embed, dim) if sizes.word_features else TokenEmbedding(sizes.words, dim)
        )
        self.sentence_encoder = PackedLSTM(embed, hidden)
        with_labels = region_labels or not sizes.features
        self.region_input = RegionInput(sizes.features, embed if with_labels else 0, dim)
        self.relation_input = nn.Linear(embed, dim)
        self.attribute_input = nn.Linear(embed, dim)
        self.shared = nn.Linear(embed, dim, bias=False) if shared_label_projection else None
        self.image_graphs = HighOrderEncoder(dim, node_types)
        self.text_graphs = HighOrderEncoder(dim, node_types)
        self.image_attention = self.text_attention = None
        if node_attention:
            self.image_attention = NodeAttention(dim, dim)
            self.text_attention = NodeAttention(dim, hidden)
        self.match = CrossGraphMatch(dim, num_perspectives, cross_attention, shared_perspectives)
        self.mlp = nn.Sequential(
            nn.Linear(2 * num_perspectives, num_perspectives),
            nn.ReLU(),
            nn.Linear(num_perspectives, 1),
        )
        self.word_term = nn.Linear(hidden, dim) if first_order else None
        self.region_term = nn.Linear(dim, dim) if first_order else None
        self.dropout = nn.Dropout(dropout)

    def embeddings(self) -> dict[str, nn.Embedding]:
        tables = {
            "objects": self.object_embedding,
            "predicates": self.predicate_embedding,
            "attributes": self.attribute_embedding,
        }
        words = self.word_embedding
        return tables | ({"words": words} if isinstance(words, nn.Embedding) else {})

    def encode_image(self, batch: HeteroData) -> HOADEncoding:
        names = (
            self.dropout(self.object_embedding(batch["object"].label)),
            self.dropout(self.predicate_embedding(batch["relation"].label)),
            self.dropout(self.attribute_embedding(batch["attribute"].label)),
        )
        regions = self.region_input(batch["object"], names[0])
        inputs = (regions, self.relation_input(names[1]), self.attribute_input(names[2]))
        ptr = batch["object"].ptr
        terms = None if self.region_term is None else self.region_term(regions)
        if self.whole_image and "box" in batch["object"]:
            total = whole_image(regions, batch["object"].box, ptr)
        else:
            total = segment_mean(regions, ptr)
        return self._encoding(
            batch,
            self.image_graphs,
            inputs,
            names,
            self.image_attention,
            total,
            None if terms is None else Packed(terms, ptr),
            names[0],
        )

    def encode_text(self, batch: HeteroData) -> HOADEncoding:
        words, ptr = self.dropout(self.word_embedding(batch)), batch["word"].ptr
        states, sentence = self.sentence_encoder(words, ptr)
        kinds = ("object", "relation", "attribute")
        inputs = [self.dropout(self._node_input(batch, kind)) for kind in kinds]
        names = [self.dropout(self.word_embedding(batch, kind)) for kind in kinds]
        terms = None if self.word_term is None else self.word_term(self.dropout(states))
        return self._encoding(
            batch,
            self.text_graphs,
            (inputs[0], inputs[1], inputs[2]),
            (names[0], names[1], names[2]),
            self.text_attention,
            sentence,
            None if terms is None else Packed(terms, ptr),
            words,
        )

    def score(self, image: HOADEncoding, text: HOADEncoding) -> Tensor:
        high: Tensor = self.match(
            image.nodes, text.nodes, image.weights.x, text.weights.x, self._high_order
        )
        if image.terms is None or text.terms is None:
            return high
        first = lsesim(text.terms, image.terms, self.inverse_temperature).t()
        return high + self.first_order * first

    def attention_nodes(self, encoding: HOADEncoding) -> Packed:
        return encoding.nodes

    def explain(
        self,
        image: HOADEncoding,
        text: HOADEncoding,
        image_record: ImageRecord,
        text_record: TextRecord,
    ) -> Attention:
        """The attention of one text in one image (eq. 5), and the weights of all nodes (eq. 8).

        Args:
            image (HOADEncoding): One encoded image.
            text (HOADEncoding): One encoded text.
            image_record (ImageRecord): The image's graph in strings.
            text_record (TextRecord): The text's graph in strings.
        """
        kinds = self.config["node_types"]
        return Attention(
            image_record,
            text_record,
            graph_nodes(image_record, kinds),
            graph_nodes(text_record, kinds),
            cross_attention(text.nodes.x, image.nodes.x).cpu(),
            image.weights.x.cpu(),
            text.weights.x.cpu(),
            float(self.score(image, text)),
        )

    def _node_input(self, batch: HeteroData, kind: str) -> Tensor:
        """Inputs of the nodes of text graphs, ``[num_nodes, dim]``."""
        if isinstance(self.node_embedding, TokenEmbedding):
            x: Tensor = self.node_embedding(batch, kind)
        else:
            x = self.node_embedding(self.word_embedding(batch, kind))
        return x

    def _high_order(self, image: Tensor, text: Tensor) -> Tensor:
        """Score of the matching vectors of both sides, ``[...]`` from ``[..., l]`` each."""
        both = torch.cat([text, image], dim=-1)  # float32 also where the weights are not
        out: Tensor = self.mlp(both.to(self.match.weight_image.dtype)).squeeze(-1)
        return out + both.mean(-1) if self.logits else out.sigmoid()

    def _encoding(
        self,
        batch: HeteroData,
        encoder: HighOrderEncoder,
        inputs: tuple[Tensor, Tensor, Tensor],
        names: tuple[Tensor, Tensor, Tensor],
        attention: NodeAttention | None,
        context: Tensor,
        terms: Packed | None,
        term_names: Tensor,
    ) -> HOADEncoding:
        shift = None
        if self.shared is not None:
            shift = (self.shared(names[0]), self.shared(names[1]), self.shared(names[2]))
            if terms is not None:
                terms = Packed(terms.x + self.shared(term_names), terms.ptr)
        nodes = encoder(batch, *inputs, shift)
        if attention is None:
            weights = nodes.sizes.to(nodes.x.dtype).reciprocal()[nodes.batch]
        else:
            weights = attention(nodes, context)
        if terms is not None:
            terms = Packed(l2_normalize(terms.x), terms.ptr)
        return HOADEncoding(nodes, Packed(weights, nodes.ptr), terms)
