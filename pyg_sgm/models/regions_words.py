"""What the baselines have in common: regions of images and words of texts in one space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.models.base import Encoding, GraphSizes, Matcher, check_positive
from pyg_sgm.models.bounds import BoundLevel
from pyg_sgm.models.recipe import Recipe
from pyg_sgm.nn import PackedGRU, RegionInput, word_input
from pyg_sgm.ops import Packed, segment_mean

BASELINE = Recipe(
    epochs=20,
    images_per_batch=64,
    captions_per_image=5,
    lr=1e-3,
    weight_decay=1e-2,
    feature_dropout=0.3,
    options={"dim": 256, "shared_label_projection": True, "dropout": 0.3},
)


def hardest_negatives(options: Mapping[str, Any]) -> Recipe:
    """As VSE++ trains and the others after it: hardest negatives, batches of 128."""
    return Recipe(
        epochs=30,
        images_per_batch=128,
        captions_per_image=1,
        lr=2e-4,
        schedule="step",
        step_epochs=15,
        warmup=0.0,
        loss="triplet",
        loss_options={"margin": 0.2, "warmup_calls": 100},
        options=options,
    )


@dataclass(frozen=True)
class GlobalEncoding(Encoding):
    """One vector of length one per graph.

    Args:
        summary (Tensor): Embedding of each graph, ``[num_graphs, dim]``.
    """

    summary: Tensor


@dataclass(frozen=True)
class NodeEncoding(Encoding):
    """One vector per node.

    Args:
        nodes (Packed): Regions of images, words of texts.
    """

    nodes: Packed


E = TypeVar("E", bound=Encoding)
G = TypeVar("G", bound=GlobalEncoding)


class RegionWordMatcher(Matcher[E, E]):
    r"""Base class of the models without graphs: a linear layer on regions, an encoder of words.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features. Without region
            features, the geometry of its box and its label are what a region looks like.
        dim, embed, shared_label_projection, dropout: See :class:`~pyg_sgm.models.VSE`.
        word_encoder (callable, optional): Makes of ``embed`` and ``dim`` a module that maps words
            and the boundaries of their sentences to words in context and a vector of each sentence.
            (default: :class:`~pyg_sgm.nn.PackedGRU`)
    """

    renamed_options: ClassVar = {"share_labels": "shared_label_projection"}

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        embed: int = 300,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
        word_encoder: Callable[[int, int], nn.Module] = PackedGRU,
    ) -> None:
        super().__init__(sizes)
        check_positive(dim=dim, embed=embed)
        self.word_embedding = word_input(sizes.words, embed, sizes.word_features)
        self.object_embedding = nn.Embedding(sizes.objects, embed)
        self.region_input = RegionInput(sizes.features, 0 if sizes.features else embed, dim)
        self.word_encoder = word_encoder(embed, dim)
        self.shared = nn.Linear(embed, dim, bias=False) if shared_label_projection else None
        self.dropout = nn.Dropout(dropout)

    def embeddings(self) -> dict[str, nn.Embedding]:
        words = self.word_embedding
        tables = {"words": words} if isinstance(words, nn.Embedding) else {}
        return tables | {"objects": self.object_embedding}

    def regions(self, batch: HeteroData) -> Packed:
        """Regions of image graphs, ``x [num_regions, dim]``."""
        names = self.dropout(self.object_embedding(batch["object"].label))
        x = self.dropout(self.region_input(batch["object"], names))
        if self.shared is not None:
            x = x + self.shared(names)
        return Packed(x, batch["object"].ptr)

    def words(self, batch: HeteroData) -> tuple[Packed, Tensor]:
        """Words of text graphs in context, ``x [num_words, dim]``, and a vector of each sentence,
        ``[num_texts, dim]``."""
        embedded, ptr = self.dropout(self.word_embedding(batch)), batch["word"].ptr
        words, sentence = self.word_encoder(embedded, ptr)
        words, sentence = self.dropout(words), self.dropout(sentence)
        if self.shared is not None:
            names = self.shared(embedded)
            words, sentence = words + names, sentence + segment_mean(names, ptr)
        return Packed(words, ptr), sentence


class GlobalMatcher(RegionWordMatcher[G]):
    """Base class of the models that make one vector of a graph: their score is the cosine of two
    vectors.
    """

    def score(self, image: G, text: G) -> Tensor:
        return image.summary @ text.summary.t()

    def bound_levels(self) -> list[BoundLevel]:
        return [BoundLevel("global", "summary")]
