"""What every model is: two encoders that never see each other, and a score of their outputs."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Generic, Self, get_type_hints

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.typing import NodeType
from torch_geometric.utils import cumsum
from typing_extensions import TypeVar  # typing has its default from Python 3.13 on

from pyg_sgm._deprecated import renamed
from pyg_sgm.data import ImageRecord, PairBatch, TextRecord, Vocabularies
from pyg_sgm.models.bounds import BoundLevel
from pyg_sgm.models.explanation import Attention, Explanation
from pyg_sgm.ops import Packed

MAX_LAYERS = 100  # no model of the field has more; a file may say anything


@dataclass(frozen=True)
class GraphSizes:
    """What a model must know of the graphs it will meet.

    Args:
        words (int): Size of the vocabulary of words.
        objects (int): Number of object labels of image graphs.
        predicates (int): Number of relation labels of image graphs.
        attributes (int): Number of attribute labels of image graphs.
        features (int, optional): Width of the region features; 0 if there are none and boxes stand
            for them. (default: :obj:`0`)
        word_features (int, optional): Width of the features of words; 0 if there are none and
            embeddings of tokens stand for them. (default: :obj:`0`)
        label_features (int, optional): Width of the features of the labels of image graphs; 0 if
            there are none. (default: :obj:`0`)
        classes (int, optional): Number of the classes that networks of the region features tell
            apart, whose names are read; 0 if none are. (default: :obj:`0`)
    """

    words: int
    objects: int
    predicates: int
    attributes: int
    features: int = 0
    word_features: int = 0
    label_features: int = 0
    classes: int = 0

    @classmethod
    def of(
        cls,
        vocabularies: Vocabularies,
        features: int = 0,
        word_features: int = 0,
        label_features: int = 0,
        classes: int = 0,
    ) -> Self:
        """The sizes of vocabularies.

        Args:
            vocabularies (Vocabularies): Those of the graphs.
            features (int, optional): Width of the region features. (default: :obj:`0`, none)
            word_features (int, optional): Width of the features of words. (default: :obj:`0`, none)
            label_features (int, optional): Width of the features of labels. (default: :obj:`0`,
                none)
            classes (int, optional): Number of classes that regions are called by. (default:
                :obj:`0`, none)

        Example:
            >>> from pyg_sgm.datasets import SceneWorld
            >>> GraphSizes.of(SceneWorld("dev", num_images=2).vocabularies(), features=64).features
            64
        """
        return cls(
            len(vocabularies.words),
            len(vocabularies.objects),
            len(vocabularies.predicates),
            len(vocabularies.attributes),
            features,
            word_features,
            label_features,
            classes,
        )


@dataclass(frozen=True)
class Encoding:
    """Encoded graphs of one modality.

    A model's encoding is a frozen dataclass derived from this one. Each of its fields is a
    :class:`~pyg_sgm.ops.Packed`, a tensor with one row per graph, or :obj:`None`.

    Args:
        hubness (Tensor, optional): What a :class:`~pyg_sgm.models.QueryBank` takes off every score
            of a graph, ``[num_graphs]``. (default: :obj:`None`)
    """

    hubness: Tensor | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        value = next(value for value in self.values().values() if value is not None)
        return len(value)

    def select(self, index: Tensor) -> Self:
        """The graphs ``index`` (LongTensor), in that order.

        Args:
            index (Tensor): Positions of the graphs, ``[num_selected]``.
        """
        return self._map(lambda v: v.select(index) if isinstance(v, Packed) else v[index])

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves or casts every field as :meth:`torch.Tensor.to` does."""
        return self._map(lambda v: v.to(*args, **kwargs))

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Encodings of several sets of graphs as one, in order.

        Args:
            parts (list of Self): The encodings, all of one class.
        """
        values = [part.values() for part in parts]
        joined: dict[str, Any] = {k: _cat(tuple(v[k] for v in values)) for k in values[0]}
        return cls(**joined)

    def values(self) -> dict[str, Packed | Tensor | None]:
        """The fields by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _map(self, function: Any) -> Self:
        values = self.values().items()
        return type(self)(**{k: None if v is None else function(v) for k, v in values})


def _cat(column: tuple[Any, ...]) -> Packed | Tensor | None:
    if column[0] is None:
        return None
    if isinstance(column[0], Packed):
        ptr = cumsum(torch.cat([part.sizes for part in column]))
        return Packed(torch.cat([part.x for part in column]), ptr)
    return torch.cat(column)


ImageEncoding = TypeVar("ImageEncoding", bound=Encoding, default=Any)
TextEncoding = TypeVar("TextEncoding", bound=Encoding, default=Any)


class Matcher(nn.Module, ABC, Generic[ImageEncoding, TextEncoding]):
    """Base class of the models.

    Training, evaluation, re-ranking and explanation know a model by :meth:`encode_image`,
    :meth:`encode_text` and :meth:`score`; :meth:`attention_nodes` and :meth:`explain` are there
    for the models that have something to tell, :meth:`weigh` for those that weigh words,
    :meth:`side_loss` for those that learn from more than their scores.

    The arguments of the constructor are kept in :attr:`config`, so that
    ``type(model)(model.sizes, **model.config)`` builds the same architecture. It is also called on
    the device ``"meta"``, where tensors have no values, to compare the architecture with the
    weights of a file before there is memory for them.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.

    Example:
        >>> import torch
        >>> class MeanWord(Matcher[Encoding, Encoding]):
        ...     '''Scores nothing, but does so in any size.'''
        ...     def __init__(self, sizes: GraphSizes, dim: int = 8) -> None:
        ...         super().__init__(sizes)
        ...     def encode_image(self, batch): ...
        ...     def encode_text(self, batch): ...
        ...     def score(self, image, text): ...
        >>> MeanWord(GraphSizes(words=9, objects=5, predicates=1, attributes=1), dim=4).config
        {'dim': 4}
    """

    config: dict[str, Any]
    renamed_options: ClassVar[Mapping[str, str]] = {}  # old names, which warn

    def __init__(self, sizes: GraphSizes) -> None:
        super().__init__()
        self.sizes = sizes

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _keeping_options(cls.__init__)  # type: ignore[method-assign]

    @classmethod
    def reads_labels(cls, options: Mapping[str, Any]) -> bool:
        """Whether it takes ``sizes.label_features`` and ``sizes.classes``; it does not, as here.

        Args:
            options (dict): Arguments of the model.
        """
        return False

    @abstractmethod
    def encode_image(self, batch: HeteroData) -> ImageEncoding:
        """Encodes a batch of image graphs.

        Args:
            batch (HeteroData): Image graphs.
        """

    @abstractmethod
    def encode_text(self, batch: HeteroData) -> TextEncoding:
        """Encodes a batch of text graphs.

        Args:
            batch (HeteroData): Text graphs.
        """

    @abstractmethod
    def score(self, image: ImageEncoding, text: TextEncoding) -> Tensor:
        """Scores every image against every text, ``[num_images, num_texts]``.

        Args:
            image (ImageEncoding): What :meth:`encode_image` gives.
            text (TextEncoding): What :meth:`encode_text` gives.
        """

    def side_loss(
        self, image: ImageEncoding, text: TextEncoding, batch: PairBatch
    ) -> Tensor | None:
        """What a model adds to the loss of a training batch besides that of its scores; nothing, as
        here.

        Args:
            image (ImageEncoding): The encoded images of the batch.
            text (TextEncoding): Its encoded texts.
            batch (PairBatch): The graphs, and which image each text belongs to.
        """
        return None

    def forward(self, image_batch: HeteroData, text_batch: HeteroData) -> Tensor:
        """Scores a batch of image graphs against a batch of text graphs,
        ``[num_images, num_texts]``.

        Args:
            image_batch (HeteroData): Image graphs.
            text_batch (HeteroData): Text graphs.
        """
        return self.score(self.encode_image(image_batch), self.encode_text(text_batch))

    def levels(self, image: ImageEncoding, text: TextEncoding) -> dict[str, Tensor]:
        """The terms of the score by their names, ``[num_images, num_texts]`` each, which add up to
        it; of a model that does not tell, ``"global"`` alone, as here.

        Args:
            image (ImageEncoding): Encoded images.
            text (TextEncoding): Encoded texts.
        """
        return {"global": self.score(image, text)}

    def bound_levels(self) -> Sequence[BoundLevel]:
        """The same terms as formulas that grow with the inner products of nodes, by which an index
        finds the best images without scoring all; none, if the score is no sum of such, as here.
        """
        return ()

    def attention_nodes(self, encoding: ImageEncoding | TextEncoding) -> Packed:
        """Nodes of either modality whose cosines are an attention between graphs, for re-ranking
        by distraction.

        Args:
            encoding (ImageEncoding or TextEncoding): Encoded images, or encoded texts.

        Raises:
            ValueError: If the model has none, as here.
        """
        raise ValueError(f"{type(self).__name__}: no nodes to attend with, so no distraction")

    def weigh(self, text: TextEncoding, words: Packed, triplets: Packed) -> TextEncoding:
        """Encoded texts whose words and triplets count more or less in the score.

        Args:
            text (TextEncoding): Encoded texts.
            words (Packed): Factor of every word, at least 0, ``x [num_words]``.
            triplets (Packed): Factor of every triplet, ``x [num_triplets]``.

        Raises:
            ValueError: If the nodes of the model's texts have no weights, as here.
        """
        raise ValueError(f"{type(self).__name__}: its words have no weights that could be changed")

    def explain(
        self,
        image: ImageEncoding,
        text: TextEncoding,
        image_record: ImageRecord,
        text_record: TextRecord,
    ) -> Explanation | Attention:
        """Where the score of one image with one text comes from.

        A model that has nothing to tell of single nodes gives an explanation without matches,
        whose only level is ``"global"``, as here.

        Args:
            image (ImageEncoding): One encoded image.
            text (TextEncoding): One encoded text.
            image_record (ImageRecord): The image's graph in strings.
            text_record (TextRecord): The text's graph in strings.
        """
        score = float(self.score(image, text))
        return Explanation(image_record, text_record, {"global": score}, [])

    def embeddings(self) -> dict[str, nn.Embedding]:
        """The tables that start from word vectors, by the vocabulary they belong to."""
        return {}

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

    def init_classes(self, weight: Tensor, bias: Tensor, vectors: Tensor, x: Tensor) -> None:
        """Tells a model of ``sizes.classes`` what it is to know of them.

        Args:
            weight (Tensor): See :meth:`pyg_sgm.nn.ClassWords.set`, as for the others.
            bias (Tensor): Of the last layer of the network.
            vectors (Tensor): Of the names of the classes.
            x (Tensor): Features of regions of the training.

        Raises:
            ValueError: If the model takes none, or they do not fit it.
        """
        raise ValueError(f"{type(self).__name__} takes no classes")

    def class_features(self, batch: HeteroData) -> dict[NodeType, Tensor]:
        """What the classes tell of the nodes of images, by node type, ``[num_nodes, dim]`` each;
        nothing, as here. It does not change in training, and nodes may have it as ``class_x``, see
        :func:`~pyg_sgm.evaluation.with_class_features`.

        Args:
            batch (HeteroData): Image graphs.
        """
        return {}


def encoding_types(model: Matcher) -> tuple[type[Encoding], type[Encoding]]:
    """The classes of a model's encodings of images and of texts, as its methods are annotated.

    Args:
        model (Matcher): The model.

    Raises:
        ValueError: If they are not annotated.

    Example:
        >>> from pyg_sgm.models import VSE
        >>> model = VSE(GraphSizes(words=9, objects=5, predicates=1, attributes=1), dim=4)
        >>> [kind.__name__ for kind in encoding_types(model)]
        ['GlobalEncoding', 'GlobalEncoding']
    """
    if isinstance(wrapped := getattr(model, "model", None), Matcher):  # with a query bank
        return encoding_types(wrapped)
    found = []
    for method in (model.encode_image, model.encode_text):
        kind = get_type_hints(method).get("return")
        if not (isinstance(kind, type) and issubclass(kind, Encoding)):
            raise ValueError(
                f"{type(model).__name__}.{method.__name__} must say what it returns, a class "
                "derived from Encoding"
            )
        found.append(kind)
    return found[0], found[1]


def check_positive(**sizes: int) -> None:
    """Raises a ValueError unless all sizes are whole numbers of at least 1.

    Example:
        >>> check_positive(dim=8, hidden=0)
        Traceback (most recent call last):
        ValueError: hidden must be a whole number of at least 1, got 0
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {size!r}")


def _keeping_options(init: Callable[..., None]) -> Callable[..., None]:
    """The constructor, which first keeps its arguments as the :attr:`~Matcher.config`."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def kept(self: Matcher, *args: Any, **options: Any) -> None:
        options = renamed(options, self.renamed_options, type(self).__name__)
        if "config" not in self.__dict__:  # that of the most derived class comes first
            bound = signature.bind(self, *args, **options)
            bound.apply_defaults()
            _, _, *names = bound.arguments
            self.__dict__["config"] = {name: bound.arguments[name] for name in names}
        init(self, *args, **options)

    return kept
