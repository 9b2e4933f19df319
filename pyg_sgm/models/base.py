"""What every model is: two encoders that never see each other, and a score of their outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.ops import Packed


@dataclass(frozen=True)
class GraphSizes:
    """What a model must know of the graphs it will meet.

    Args:
        words: Size of the vocabulary of words.
        objects: Number of object labels of image graphs.
        predicates: Number of relation labels of image graphs.
        attributes: Number of attribute labels of image graphs.
        features: Width of the region features; 0 if there are none and boxes stand for them.
    """

    words: int
    objects: int
    predicates: int
    attributes: int
    features: int = 0


@dataclass(frozen=True)
class Encoding:
    """Encoded graphs of one modality.

    A model's encoding is a frozen dataclass derived from this one. Each of its fields is a
    :class:`~pyg_sgm.ops.Packed`, a tensor with one row a graph, or :obj:`None`.
    """

    def __len__(self) -> int:
        value = next(value for value in self._values().values() if value is not None)
        return len(value)

    def select(self, index: Tensor) -> Self:
        """The graphs ``index`` (LongTensor), in that order."""
        return self._map(lambda v: v.select(index) if isinstance(v, Packed) else v[index])

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves or casts every field as :meth:`torch.Tensor.to` does."""
        return self._map(lambda v: v.to(*args, **kwargs))

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Encodings of several sets of graphs as one, in order."""
        columns = zip(*(part._values().values() for part in parts), strict=True)
        return cls(*(_cat(column) for column in columns))

    def _values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _map(self, function: Any) -> Self:
        values = self._values().items()
        return type(self)(**{k: None if v is None else function(v) for k, v in values})


def _cat(column: tuple[Any, ...]) -> Packed | Tensor | None:
    if column[0] is None:
        return None
    if isinstance(column[0], Packed):
        sizes = torch.cat([part.sizes for part in column])
        ptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        return Packed(torch.cat([part.x for part in column]), ptr)
    return torch.cat(column)


class Matcher(nn.Module, ABC):
    """Base class of the models.

    Training, evaluation, re-ranking and explanation know a model by :meth:`encode_image`,
    :meth:`encode_text` and :meth:`score` alone.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        config (dict): Every option of the constructor, so that
            ``type(model)(sizes, **model.config)`` builds the same architecture.
    """

    def __init__(self, sizes: GraphSizes, config: dict[str, Any]) -> None:
        super().__init__()
        self.sizes = sizes
        self.config = config

    @abstractmethod
    def encode_image(self, batch: HeteroData) -> Any:
        """Encodes a batch of image graphs."""

    @abstractmethod
    def encode_text(self, batch: HeteroData) -> Any:
        """Encodes a batch of text graphs."""

    @abstractmethod
    def score(self, image: Any, text: Any) -> Tensor:
        """Scores every image against every text, ``[num_images, num_texts]``."""

    @abstractmethod
    def embeddings(self) -> dict[str, nn.Embedding]:
        """The tables that start from word vectors, by the vocabulary they belong to."""

    def init_embeddings(self, **vectors: tuple[Tensor, Tensor]) -> None:
        """Starts embedding tables from word vectors.

        Args:
            **vectors: For any of the names of :meth:`embeddings`, the vectors
                ``[size of the vocabulary, embed]`` and which of them were found, as
                :func:`pyg_sgm.data.word_vectors` gives them. Rows not found stay as they are.

        Raises:
            ValueError: If the vectors do not fit the table.
        """
        tables = self.embeddings()
        for name, (vector, found) in vectors.items():
            table = tables[name].weight
            if vector.shape != table.shape:
                raise ValueError(
                    f"word vectors of {name}: {list(vector.shape)} do not fit the embedding "
                    f"{list(table.shape)}"
                )
            with torch.no_grad():
                table[found] = vector[found].to(table)
