"""Scene Graph Matching (SGM)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.typing import NodeType
from torch_geometric.utils import scatter

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.models.base import MAX_LAYERS, Encoding, GraphSizes, Matcher, check_positive
from pyg_sgm.models.bounds import BoundLevel
from pyg_sgm.models.explanation import Explanation, best_matches, named_match
from pyg_sgm.models.recipe import Recipe
from pyg_sgm.models.registry import register_model
from pyg_sgm.nn import (
    AttentionPooling,
    ClassWords,
    MultiModalFusion,
    PackedGRU,
    SceneNodes,
    TokenEmbedding,
    WordFeatures,
    read_labels,
    word_input,
)
from pyg_sgm.nn.conv import MGCNConv
from pyg_sgm.nn.geometry import GEOMETRY_CHANNELS, box_geometry, union_box
from pyg_sgm.nn.paths import triplet_paths
from pyg_sgm.nn.regions import region_look
from pyg_sgm.nn.words import check_read
from pyg_sgm.ops import (
    Packed,
    l2_normalize,
    maxsim,
    maxsim_both,
    maxsim_or_null,
    segment_mean,
    segment_softmax,
    segment_sum,
)

Variant = Literal["sgm", "oom", "oom-no-context", "oom-vrel", "oom-trel"]
Fusion = Literal["tanh", "sum"]


# Section 4.2 of the paper, whose learning rate on COCO is 5e-4. It does not tell a schedule: ours
# drops the learning rate to a tenth halfway. It trains from scratch on hardest negatives; the sum
# over negatives in the first batches keeps it from collapsing.
PAPER = Recipe(
    epochs=30,
    images_per_batch=200,
    captions_per_image=1,
    lr=2e-4,
    schedule="step",
    step_epochs=15,
    warmup=0.0,
    clip=0.0,
    loss="triplet",
    loss_options={"margin": 0.2, "warmup_calls": 100},
    options={"dim": 1024, "hidden": 2048, "embed": 300},
)


# For graphs of photos with candidate pairs and features of several networks.
PHOTOS = Recipe(
    epochs=12,
    images_per_batch=128,
    captions_per_image=2,
    lr=1e-3,
    weight_decay=0.1,
    warmup=0.1,
    word_dropout=0.1,
    text_encoder="minilm,layers=all",
    precision="auto",
    read_classes="auto",
    query_bank=2048,
    edit_weight=0.1,
    options={
        "dim": 384,
        "normalize": True,
        "shared_label_projection": True,
        "weigh_nodes": True,
        "bidirectional": True,
        "global_dim": 512,
        "dropout": 0.2,
        "relation_dropout": 0.5,
        "fusion": "sum",
        "channel_dropout": 0.75,
        "null_temperature": 0.05,
    },
)


@dataclass(frozen=True)
class SGMEncoding(Encoding):
    """Encoded graphs of either modality.

    Args:
        objects (Packed): Object nodes of images, words of texts (with the relations or triplets in
            a variant that adds them to one side alone).
        relations (Packed, optional): Relation nodes of images, triplets of texts; :obj:`None` but
            for ``"sgm"``. (default: :obj:`None`)
        object_weights (Packed, optional): Weight of each of ``objects`` in its graph; :obj:`None`
            for the mean. (default: :obj:`None`)
        relation_weights (Packed, optional): Weight of each of ``relations``, likewise. (default:
            :obj:`None`)
        summary (Tensor, optional): Embedding of each whole graph; :obj:`None` without the global
            level. (default: :obj:`None`)
    """

    objects: Packed
    relations: Packed | None = None
    object_weights: Packed | None = None
    relation_weights: Packed | None = None
    summary: Tensor | None = None  # [num_graphs, global_dim]


@register_model(
    "sgm",
    recipes={
        "default": Recipe(
            epochs=20,
            images_per_batch=128,
            captions_per_image=2,
            lr=2e-3,
            weight_decay=1e-4,
            warmup=0.1,
            feature_dropout=0.3,
            options={
                "dim": 256,
                "hidden": 256,
                "normalize": True,
                "shared_label_projection": True,
                "weigh_nodes": True,
                "bidirectional": True,
                "global_dim": 256,
                "dropout": 0.3,
                "relation_dropout": 0.5,
            },
        ),
        "photos": PHOTOS,
        "labels": PHOTOS.replace(
            epochs=6,
            edit_weight=0.0,
            text_encoder="minilm",
            read_labels=True,
            read_classes=False,
        ),
        "paper": PAPER,
        "paper-coco": PAPER.replace(lr=5e-4),
    },
)
class SGM(Matcher[SGMEncoding, SGMEncoding]):
    r"""The model of the `"Cross-modal Scene Graph Matching for Relationship-aware Image-Text
    Retrieval" <https://arxiv.org/abs/1910.05134>`_ paper

    .. math::
        S = S^o + S^r, \qquad
        S^o = \frac{1}{N_w} \sum_{t} \max_i \mathbf{h}_{w_t}^\top \mathbf{h}_{o_i}, \qquad
        S^r = \frac{1}{N_p} \sum_{t} \max_{r} \mathbf{h}_{p_t}^\top \mathbf{h}_{r}

    of words :math:`w` with objects :math:`o`, and of triplets :math:`p` with relations :math:`r`
    (eq. 6, 7). An image without relations or a text without triplets has :math:`S^r = 0`.

    With the defaults this is the paper's model; a relation of an image without a feature of the
    union of its boxes looks like the mean of its two objects, and a text graph is that of one
    caption. What the options from ``normalize`` on turn on
    helps on small data: the recipe ``default`` of the training uses it, ``paper`` does not.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features. Without region
            features, the geometry of its box is what a node looks like.
        dim (int, optional): Size of the encoded nodes. (default: :obj:`1024`)
        hidden (int, optional): Size of the fused nodes, :math:`d_1` of the paper. (default:
            :obj:`2048`)
        embed (int, optional): Size of label and word embeddings, :math:`d_2`. (default: :obj:`300`)
        num_layers (int, optional): Number of graph convolutions. (default: :obj:`1`)
        variant (str, optional): A row of table 1: ``"sgm"``; ``"oom"``, objects and words alone;
            ``"oom-no-context"``, words encoded one by one; ``"oom-vrel"`` and ``"oom-trel"``, where
            relations (triplets) join objects (words) as further nodes of :math:`S^o`. (default:
            :obj:`"sgm"`)
        normalize (bool, optional): Cosine instead of inner product. (default: :obj:`False`)
        shared_label_projection (bool, optional): Adds to every encoded node its label embedding (to
            a relation and to a triplet the mean of its parts) through one projection that both
            modalities share, so that equal names match from the start. (default: :obj:`False`)
        weigh_nodes (bool, optional): Learned weights of words and triplets (and of objects, with
            ``bidirectional``), a softmax within each graph, instead of the mean. (default:
            :obj:`False`)
        bidirectional (bool, optional): Adds a level that searches the other way round, the mean
            over the objects of the best of all words, so that what an image holds beyond its text
            counts against it. (default: :obj:`False`)
        global_dim (int, optional): If positive, adds a level that is the cosine of embeddings of
            the whole graphs, of this size, pooled by attention from the encoded objects and words.
            Relations are left out: whether there are any would say more than what they are.
            (default: :obj:`0`)
        dropout (float, optional): Dropout of embeddings, fused and pooled features. (default:
            :obj:`0.0`)
        relation_dropout (float, optional): Share of the training batches that are scored without
            :math:`S^r`, so that the other levels do not lean on it where relations are few and
            doubtful. With ``fusion="sum"`` it is dropout in full: in evaluation :math:`S^r` counts
            one less this share. (default: :obj:`0.0`)
        fusion (str, optional): ``"tanh"``, eq. 1 to 5; or ``"sum"``, for photos with wide features
            and candidate pairs and for words that know their context: words are a linear layer,
            objects and relations :class:`~pyg_sgm.nn.SceneNodes`, triplets their words' encodings
            around a linear layer on all three parts, so that the similarity of a triplet and a
            relation is the mean of those of subject, predicate and object; the global level sees
            the mean feature of the image and the mean of the words as well. (default:
            :obj:`"tanh"`)
        channel_dropout (float, optional): Of ``fusion="sum"``: share of the channels of region
            features that are zeroed in a whole image. (default: :obj:`0.0`)
        null_temperature (float, optional): If positive, a triplet may choose a learned null match
            instead of the best of wrong relations: :math:`S^r` is
            :func:`~pyg_sgm.ops.maxsim_or_null` of this temperature. (default: :obj:`0.0`)
        attributes (bool, optional): Adds to the label embedding of an object the mean of those of
            its attributes: colors, further names, and what a head of attributes names. (default:
            :obj:`False`)

    Where words have features (``sizes.word_features``), these stand for the embeddings of words,
    and a triplet is two layers on [subject, predicate, object], each the mean of its words. Of
    two vectors side by side (:class:`~pyg_sgm.text.TextEncoder` of all layers) the first is the
    word, and the global level sees the mean of the second; likewise of what is read of images.

    Where labels have features (``sizes.label_features``, for ``fusion="sum"``), those of objects
    are added to the embeddings of the labels, and those of relations to their predicates
    :math:`\mathbf{p}_r` of :class:`~pyg_sgm.nn.SceneNodes` through a layer of their own. Through
    the projection of ``shared_label_projection`` both sides then add what they read of relations,
    a text the mean of the triplet's parts; and the mean over the objects and that over the
    relations of an image reach the global level through the layer of the mean of a text's words.
    Where regions are called by classes (``sizes.classes``, likewise), what
    :class:`~pyg_sgm.nn.ClassWords` makes of their features is added to the features of labels, and
    what it makes of the unions of two boxes to those of relations.

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Raises:
        ValueError: If the variant is unknown, features of words or labels are no vectors of width
            ``embed``, or image graphs have neither features nor boxes, or features of another width
            than ``sizes.features``.

    Example:
        >>> from pyg_sgm.datasets import SceneWorld
        >>> world = SceneWorld("dev", num_images=4)
        >>> vocabularies = world.vocabularies()
        >>> sizes = GraphSizes.of(vocabularies, features=64)
        >>> model = SGM(sizes, dim=32, hidden=32, embed=16)
        >>> batch = world.encode(vocabularies).batch([0, 1, 2])
        >>> model(batch.image, batch.text).shape == (len(batch.image_index), 3)
        True
    """

    renamed_options: ClassVar = {
        "share_labels": "shared_label_projection",
        "both_ways": "bidirectional",
    }

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        hidden: int = 2048,
        embed: int = 300,
        num_layers: int = 1,
        variant: Variant = "sgm",
        normalize: bool = False,
        shared_label_projection: bool = False,
        weigh_nodes: bool = False,
        bidirectional: bool = False,
        global_dim: int = 0,
        dropout: float = 0.0,
        relation_dropout: float = 0.0,
        fusion: Fusion = "tanh",
        channel_dropout: float = 0.0,
        null_temperature: float = 0.0,
        attributes: bool = False,
    ) -> None:
        super().__init__(sizes)
        check_positive(dim=dim, hidden=hidden, embed=embed)
        if not 0 <= num_layers <= MAX_LAYERS:
            raise ValueError(f"num_layers must lie in 0 to {MAX_LAYERS}, got {num_layers}")
        if variant not in get_args(Variant):
            raise ValueError(f"variant {variant!r}; known: {', '.join(get_args(Variant))}")
        if fusion not in get_args(Fusion):
            raise ValueError(f"fusion {fusion!r}; known: {', '.join(get_args(Fusion))}")
        if fusion == "sum" and variant not in ("sgm", "oom"):
            raise ValueError(f"fusion 'sum' has the variants sgm and oom, not {variant!r}")
        reads = bool(sizes.label_features or sizes.classes)
        if reads and fusion != "sum":
            raise ValueError(
                f"fusion 'sum' takes features of labels and classes, {fusion!r} does not"
            )
        if sizes.label_features:
            check_read(sizes.label_features, embed, "label")
        self.variant = variant
        self.embed = embed
        self.normalize = normalize
        self.image_relations = variant in ("sgm", "oom-vrel")
        self.text_relations = variant in ("sgm", "oom-trel")

        self.word_embedding = word_input(sizes.words, embed, sizes.word_features)
        self.object_embedding = nn.Embedding(sizes.objects, embed)
        self.attribute_embedding = nn.Embedding(sizes.attributes, embed) if attributes else None
        self.nodes: SceneNodes | None = None
        look = sizes.features or GEOMETRY_CHANNELS
        if fusion == "sum":
            self.nodes = SceneNodes(
                look, embed, dim, self.image_relations, channel_dropout, dropout
            )
        else:
            self.fusion = MultiModalFusion(look, embed, hidden)
            self.convs = nn.ModuleList(
                MGCNConv(hidden if layer == 0 else dim, dim) for layer in range(num_layers)
            )
        self.predicate_embedding = nn.Embedding(sizes.predicates, embed)
        self.word_encoder: nn.Module
        if variant == "oom-no-context" or fusion == "sum":
            self.word_encoder = nn.Linear(embed, dim)
        else:
            self.word_encoder = PackedGRU(embed, dim)
        self.path_encoder: nn.Module | None = None
        if self.text_relations and fusion == "sum":
            self.path_encoder = nn.Linear(3 * embed, dim)
        elif self.text_relations and sizes.word_features:
            self.path_encoder = nn.Sequential(
                nn.Linear(3 * embed, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
            )
        elif self.text_relations:
            self.path_encoder = PackedGRU(embed, dim)
        self.shared = nn.Linear(embed, dim, bias=False) if shared_label_projection else None
        self.bidirectional = bidirectional
        self.relation_dropout = relation_dropout
        self.word_weight = nn.Linear(dim, 1) if weigh_nodes else None
        path_dim = 3 * dim if fusion == "sum" else dim
        self.path_weight = nn.Linear(path_dim, 1) if weigh_nodes and variant == "sgm" else None
        self.object_weight = nn.Linear(dim, 1) if weigh_nodes and bidirectional else None
        self.image_summary = self.text_summary = None
        if global_dim:
            self.image_summary = AttentionPooling(dim, global_dim, dropout)
            self.text_summary = AttentionPooling(dim, global_dim, dropout)
        self.image_mean = self.text_mean = None
        if global_dim and fusion == "sum":
            self.image_mean = nn.Linear(look, global_dim)
            self.text_mean = nn.Linear(embed, global_dim)
        self.read_nodes = ("object", "relation") if self.image_relations else ("object",)
        self.lin_phrase = nn.Linear(embed, dim) if reads and self.image_relations else None
        self.classes = None
        if sizes.classes:
            self.classes = ClassWords(look, sizes.classes, sizes.word_features or embed, embed)
        self.null_temperature = null_temperature
        self.null = nn.Parameter(torch.zeros(())) if null_temperature else None
        self.dropout = nn.Dropout(dropout)

    def embeddings(self) -> dict[str, nn.Embedding]:
        tables = {"objects": self.object_embedding, "predicates": self.predicate_embedding}
        words = self.word_embedding
        if self.attribute_embedding is not None:
            tables["attributes"] = self.attribute_embedding
        return tables | ({"words": words} if isinstance(words, nn.Embedding) else {})

    @classmethod
    def reads_labels(cls, options: Mapping[str, Any]) -> bool:
        return options.get("fusion") == "sum"

    def init_classes(self, weight: Tensor, bias: Tensor, vectors: Tensor, x: Tensor) -> None:
        if self.classes is None or weight.shape != self.classes.weight.shape:
            wanted = None if self.classes is None else list(self.classes.weight.shape)
            raise ValueError(f"classes {list(weight.shape)}, the model takes {wanted}")
        self.classes.set(weight, bias, vectors, x)

    def class_features(self, batch: HeteroData) -> dict[NodeType, Tensor]:
        if self.classes is None:
            return {}
        looks = self._looks(batch)
        return {node: self.classes(looks[node]) for node in self.read_nodes}

    def encode_image(self, batch: HeteroData) -> SGMEncoding:
        subject_of = batch["object", "subject_of", "relation"].edge_index
        has_object = batch["relation", "has_object", "object"].edge_index
        subject, object = subject_of[0], has_object[1]  # [num_relations], of each relation
        look = self._looks(batch)
        read = self._read(batch)
        name = self._names(batch)
        if "object" in read:
            name = name + read["object"][:, : self.embed]
        name = self.dropout(name)
        predicate = self.dropout(self.predicate_embedding(batch["relation"].label))
        shift = 0.0 if self.shared is None else self.shared(name)
        mean: Tensor | None = None
        if self.nodes is not None:
            told = self._told(read["relation"][:, : self.embed]) if "relation" in read else 0.0
            x, r, mean = self.nodes(
                batch, look["object"], look["relation"], name, predicate, shift, told
            )
        else:
            x = self.dropout(self.fusion(look["object"], name))
            r = self.dropout(self.fusion(look["relation"], predicate))
            for conv in self.convs:
                x, r = conv(x, r, subject_of, has_object)
            x = x + shift
            if self.shared is not None:
                r = r + self.shared((name[subject] + predicate + name[object]) / 3)
        relations = Packed(r, batch["relation"].ptr) if self.image_relations else None
        of_image = 0.0 if mean is None or self.image_mean is None else self.image_mean(mean)
        if self.text_mean is not None and read:
            of_image = of_image + self.text_mean(self._mean_read(batch, read))
        return self._encoding(Packed(x, batch["object"].ptr), relations, "image", of_image)

    def _names(self, batch: HeteroData) -> Tensor:
        """Embeddings of what objects are called, ``[num_objects, embed]``."""
        name: Tensor = self.object_embedding(batch["object"].label)
        if self.attribute_embedding is None:
            return name
        attribute, owner = batch["attribute", "describes", "object"].edge_index
        words = self.attribute_embedding(batch["attribute"].label)[attribute]
        return name + scatter(words, owner, dim_size=name.size(0), reduce="mean")

    def _read(self, batch: HeteroData) -> dict[NodeType, Tensor]:
        """What a language model reads of nodes, in their labels and in the classes that they look
        like, ``[num_nodes, embed]`` or twice as wide; nothing, if it reads neither."""
        if "class_x" in batch["object"]:
            like = self.predicate_embedding.weight
            read = {node: batch[node].class_x.to(like.dtype) for node in self.read_nodes}
        else:
            read = self.class_features(batch)
        if self.sizes.label_features:
            for node in self.read_nodes:
                labels = read_labels(batch[node], self.sizes.label_features)
                read[node] = read[node] + labels if node in read else labels
        return read

    def _told(self, phrase: Tensor) -> Tensor:
        """What is read of relations as a part of their predicates, ``[num_relations, dim]``."""
        assert self.lin_phrase is not None
        phrase = self.dropout(phrase)
        x: Tensor = self.lin_phrase(phrase)
        return x if self.shared is None else x + self.shared(phrase)

    def _mean_read(self, batch: HeteroData, read: Mapping[NodeType, Tensor]) -> Tensor:
        """What is read of each image, by the vectors that sentences have: the means of its nodes
        of which anything is, added, ``[num_graphs, embed]``."""
        means = []
        for node, vectors in read.items():
            x, ptr = vectors[:, -self.embed :], batch[node].ptr
            count = segment_sum((x != 0).any(dim=1).to(x.dtype), ptr)
            means.append(segment_sum(self.dropout(x), ptr) / count.clamp(min=1)[:, None])
        return torch.stack(means).sum(dim=0)

    def encode_text(self, batch: HeteroData) -> SGMEncoding:
        ptr = batch["word"].ptr
        embedded = self.dropout(self.word_embedding(batch))
        if isinstance(self.word_encoder, PackedGRU):
            words = self.word_encoder(embedded, ptr)[0]
        else:
            words = self.word_encoder(embedded)
        if self.shared is not None:
            words = words + self.shared(embedded)
        paths = None
        if self.path_encoder is not None:
            paths = Packed(self._paths(batch, self.path_encoder), batch["relation"].ptr)
        shift: Tensor | float = 0.0
        if self.text_mean is not None:
            if isinstance(self.word_embedding, WordFeatures) and self.word_embedding.is_double:
                embedded = self.dropout(self.word_embedding.of_sentence(batch))
            shift = self.text_mean(segment_mean(embedded, ptr))
        return self._encoding(Packed(words, ptr), paths, "text", shift)

    def _paths(self, batch: HeteroData, encoder: nn.Module) -> Tensor:
        """Encoded triplets of text graphs, ``[num_relations, dim]``."""
        if isinstance(encoder, PackedGRU):
            assert isinstance(self.word_embedding, TokenEmbedding)
            token, ptr = triplet_paths(batch)
            steps = self.dropout(self.word_embedding.of_tokens(token))
            x: Tensor = encoder(steps, ptr)[1]
            mean = segment_sum(steps, ptr) / ptr.diff().clamp(min=1)[:, None]
        else:
            subject = batch["object", "subject_of", "relation"].edge_index[0]
            object = batch["relation", "has_object", "object"].edge_index[1]
            names = self.dropout(self.word_embedding(batch, "object"))
            predicate = self.dropout(self.word_embedding(batch, "relation"))
            parts = torch.stack([names[subject], predicate, names[object]], dim=1)
            x = encoder(parts.flatten(1))
            mean = parts.mean(dim=1)
            if self.nodes is not None:
                ends = self.word_encoder(names)
                if self.shared is not None:
                    ends = ends + self.shared(names)
                ends = l2_normalize(ends)
                if self.shared is not None and self.lin_phrase is not None:
                    x = x + self.shared(mean)
                return torch.cat([ends[subject], l2_normalize(x), ends[object]], dim=1)
        return x if self.shared is None else x + self.shared(mean)

    def score(self, image: SGMEncoding, text: SGMEncoding) -> Tensor:
        parts = self.levels(image, text)
        share = self.relation_dropout if self.training and "relation" in parts else 0.0
        if share and torch.rand(()).item() < share:
            del parts["relation"]
        return torch.stack(list(parts.values())).sum(dim=0)

    def levels(self, image: SGMEncoding, text: SGMEncoding) -> dict[str, Tensor]:
        """The terms of the score, ``"object"``, and ``"reverse"`` (of ``bidirectional``),
        ``"relation"`` and ``"global"`` where the model has them, ``[num_images, num_texts]``
        each.

        Args:
            image (SGMEncoding): Encoded images.
            text (SGMEncoding): Encoded texts.
        """
        if self.bidirectional:
            weights = _x(text.object_weights), _x(image.object_weights)
            of_words, of_objects = maxsim_both(text.objects, image.objects, *weights)
            out = {"object": of_words.t(), "reverse": of_objects}
        else:
            out = {"object": maxsim(text.objects, image.objects, _x(text.object_weights)).t()}
        if image.relations is not None and text.relations is not None:
            weight = _x(text.relation_weights)
            if self.null is None:
                relation = maxsim(text.relations, image.relations, weight)
            else:
                relation = maxsim_or_null(
                    text.relations, image.relations, self.null, self.null_temperature, weight
                )
            if self.nodes is not None and not self.training:
                relation = (1 - self.relation_dropout) * relation
            out["relation"] = relation.t()
        if image.summary is not None and text.summary is not None:
            out["global"] = image.summary @ text.summary.t()
        return out

    def bound_levels(self) -> list[BoundLevel]:
        levels = [BoundLevel("object", "objects", weights="object_weights")]
        if self.bidirectional:
            levels.append(BoundLevel("reverse", "objects", "image", "object_weights"))
        if self.image_relations and self.text_relations:
            factor = 1.0 if self.nodes is None else 1 - self.relation_dropout
            levels.append(
                BoundLevel(
                    "relation",
                    "relations",
                    weights="relation_weights",
                    transform=None if self.null is None else self._above_null,
                    factor=factor,
                )
            )
        if self.image_summary is not None:
            levels.append(BoundLevel("global", "summary"))
        return levels

    def _above_null(self, similarity: Tensor) -> Tensor:
        """What a triplet adds whose best relation has this similarity; see
        :func:`~pyg_sgm.ops.maxsim_or_null`."""
        assert self.null is not None
        scale, null = self.null_temperature, self.null.to(similarity.device)
        return scale * F.softplus((similarity - null) / scale)

    def attention_nodes(self, encoding: SGMEncoding) -> Packed:
        return encoding.objects

    def weigh(self, text: SGMEncoding, words: Packed, triplets: Packed) -> SGMEncoding:
        r"""Texts with other weights of their words in :math:`S^o` and of their triplets in
        :math:`S^r`: the model's, times the factors, and made to add up to one again in each text
        (to zero, if all its factors are). The levels ``"reverse"`` and ``"global"`` stay.

        Args:
            text (SGMEncoding): Encoded texts.
            words (Packed): Factor of every word, at least 0, ``x [num_words]``.
            triplets (Packed): Factor of every triplet, ``x [num_triplets]``.
        """
        if text.objects.x.size(0) != words.x.size(0):  # in "oom-trel" triplets join the words
            words = words.join(triplets)
        return replace(
            text,
            object_weights=_times(text.object_weights, words),
            relation_weights=None
            if text.relations is None
            else _times(text.relation_weights, triplets),
        )

    def explain(
        self,
        image: SGMEncoding,
        text: SGMEncoding,
        image_record: ImageRecord,
        text_record: TextRecord,
    ) -> Explanation:
        """The best match of every word and every triplet of one text in one image, and of every
        object, where ``bidirectional``.

        Args:
            image (SGMEncoding): One encoded image.
            text (SGMEncoding): One encoded text.
            image_record (ImageRecord): The image's graph in strings.
            text_record (TextRecord): The text's graph in strings.
        """
        levels = {name: float(value) for name, value in self.levels(image, text).items()}
        found = best_matches("object", text.objects, image.objects, _x(text.object_weights))
        if text.relations is not None and image.relations is not None:
            found += best_matches(
                "relation", text.relations, image.relations, _x(text.relation_weights)
            )
        if self.bidirectional:
            back = best_matches("reverse", image.objects, text.objects, _x(image.object_weights))
            found += [(level, word, obj, best, w) for level, obj, word, best, w in back]
        matches = [named_match(match, image_record, text_record) for match in found]
        matches = [
            replace(match, counts=self._counted(match.similarity))
            if match.level == "relation"
            else match
            for match in matches
        ]
        return Explanation(image_record, text_record, levels, matches)

    def _counted(self, similarity: float) -> float:
        """What a triplet of weight one adds whose best relation has this similarity."""
        own = similarity if self.null is None else float(self._above_null(torch.tensor(similarity)))
        return own if self.nodes is None else (1 - self.relation_dropout) * own

    def _looks(self, batch: HeteroData) -> dict[NodeType, Tensor]:
        """Visual inputs of objects and relations, ``[num_nodes, features or 7]``."""
        x = region_look(batch["object"], self.sizes.features)
        if self.sizes.features and "x" in batch["relation"]:
            return {"object": x, "relation": batch["relation"].x}
        subject = batch["object", "subject_of", "relation"].edge_index[0]
        object = batch["relation", "has_object", "object"].edge_index[1]
        if self.sizes.features:
            # Without a feature of their union, a relation looks like its two objects.
            return {"object": x, "relation": (x[subject] + x[object]) / 2}
        box = batch["object"].box
        return {"object": x, "relation": box_geometry(union_box(box[subject], box[object]))}

    def _encoding(
        self,
        nodes: Packed,
        relations: Packed | None,
        modality: Literal["image", "text"],
        shift: Tensor | float,
    ) -> SGMEncoding:
        if relations is not None and self.variant != "sgm":
            nodes, relations = nodes.join(relations), None
        pool = self.image_summary if modality == "image" else self.text_summary
        summary = None if pool is None else pool(nodes, shift)
        of_nodes, of_relations = self.object_weight, None
        if modality == "text":
            of_nodes, of_relations = self.word_weight, self.path_weight
        node_weights = _weights(of_nodes, nodes)
        relation_weights = _weights(of_relations, relations)
        if self.normalize:
            nodes = Packed(F.normalize(nodes.x, dim=-1), nodes.ptr)
            if relations is not None:
                relations = Packed(F.normalize(relations.x, dim=-1), relations.ptr)
        return SGMEncoding(nodes, relations, node_weights, relation_weights, summary)


def _weights(lin: nn.Module | None, nodes: Packed | None) -> Packed | None:
    """Softmax within each graph of a linear function of its nodes, ``x [num_nodes]``."""
    if lin is None or nodes is None:
        return None
    return Packed(segment_softmax(lin(nodes.x).squeeze(-1), nodes.ptr), nodes.ptr)


def _times(weights: Packed | None, factors: Packed) -> Packed:
    """Weights (those of the mean, if there are none) times factors, which add up to one in each
    graph where any is positive."""
    x = factors.x if weights is None else weights.x * factors.x
    total = segment_sum(x, factors.ptr)[factors.batch]
    return Packed(x / total.clamp(min=torch.finfo(x.dtype).tiny), factors.ptr)


def _x(weights: Packed | None) -> Tensor | None:
    return None if weights is None else weights.x
