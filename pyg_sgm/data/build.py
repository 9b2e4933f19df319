"""From strings to graphs, one at a time or many at once."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data.collection import GraphCollection
from pyg_sgm.data.ragged import Field, Ragged, Spans, Store
from pyg_sgm.data.records import (
    ImageRecord,
    TextRecord,
    image_record,
    node_phrases,
    phrase_words,
    text_record,
)
from pyg_sgm.data.schema import (
    DESCRIBES,
    HAS_OBJECT,
    IMAGE_EDGES,
    IMAGE_NODES,
    NEXT,
    SUBJECT_OF,
    TEXT_EDGES,
    TEXT_NODES,
    VOCABULARY_OF,
)
from pyg_sgm.data.vocabulary import Vocabularies, Vocabulary

# Fields that every graph has.
_IMAGE_FIELDS: list[Field] = [
    *((node, "label") for node in IMAGE_NODES),
    *((edge, "edge_index") for edge in IMAGE_EDGES),
]
_TEXT_FIELDS: list[Field] = [
    ("word", "token"),
    *((node, name) for node in IMAGE_NODES for name in ("label", "token", "length")),
    *((edge, "edge_index") for edge in TEXT_EDGES),
]


def image_graph(
    objects: Sequence[str],
    boxes: ArrayLike | None,
    vocabularies: Vocabularies,
    relations: Sequence[tuple[int, str, int]] = (),
    attributes: Sequence[tuple[int, str]] = (),
    *,
    size: tuple[float, float] | None = None,
    scores: Mapping[str, Sequence[float]] | None = None,
    features: Mapping[str, ArrayLike] | None = None,
    id: str = "",
) -> HeteroData:
    """Builds the graph of one image.

    Args:
        objects (list of str): Label of each object.
        boxes (array-like): Box of each object, or :obj:`None`; see :func:`image_record`.
        vocabularies (Vocabularies): Labels to indices; unknown labels become index 0.
        relations (list of tuple, optional): ``(subject, predicate, object)`` by object indices.
            (default: :obj:`()`)
        attributes (list of tuple, optional): ``(object, attribute)`` by object indices. (default:
            :obj:`()`)
        size (tuple, optional): Width and height in the unit of the boxes. (default: :obj:`None`)
        scores (dict, optional): Confidences per node type. (default: :obj:`None`)
        features (dict, optional): Region features ``{"object": [num_objects, dim], "relation":
            [num_relations, dim]}``. (default: :obj:`None`)
        id (str, optional): Name of the image. (default: :obj:`""`)

    Raises:
        ValueError: Naming image and field; see :func:`image_record`, and for features whose
            number of rows does not fit, or that are not finite.

    Example:
        >>> labels = [Vocabulary(["dog", "cat"]), Vocabulary(["near"]), Vocabulary(["black"])]
        >>> graph = image_graph(
        ...     ["dog", "cat"], [[0, 0, 60, 40], [50, 10, 100, 50]],
        ...     Vocabularies(Vocabulary([]), *labels),
        ...     relations=[(0, "near", 1)], attributes=[(1, "black")], size=(100, 50),
        ... )
        >>> graph["object"].box
        tensor([[0.0000, 0.0000, 0.6000, 0.8000],
                [0.5000, 0.2000, 1.0000, 1.0000]])
    """
    record = image_record(objects, boxes, relations, attributes, size=size, scores=scores, id=id)
    packed: dict[str, Ragged] = {}
    for node, value in (features or {}).items():
        rows = torch.as_tensor(np.asarray(value, dtype=np.float32))
        if rows.dim() != 2:
            raise ValueError(f"image {id!r}: {node}.x: expected [num_nodes, dim] features")
        packed[node] = Ragged(rows, Spans.packed(torch.tensor([len(rows)])))
    return pack_images([record], vocabularies, packed)[0]


def text_graph(
    caption: str | Sequence[str],
    words: Vocabulary,
    objects: Sequence[str] | None = None,
    attributes: Sequence[tuple[int | str, str]] | None = None,
    relations: Sequence[tuple[int | str, str, int | str]] | None = None,
    spans: Mapping[str, Sequence[Sequence[int]]] | None = None,
    id: str = "",
) -> HeteroData:
    """Builds the graph of one text.

    Args:
        caption (str or list of str): The sentence, or its words.
        words (Vocabulary): Words to indices; unknown words become index 0.
        objects (list of str, optional): Phrase of each object. (default: :obj:`()`)
        attributes (list of tuple, optional): ``(object, phrase)`` by object indices or names.
            (default: :obj:`()`)
        relations (list of tuple, optional): ``(subject, phrase, object)`` by object indices or
            names. (default: :obj:`()`)
        spans (dict, optional): Words that each node comes from, per node type; see
            :func:`text_record`. (default: :obj:`None`)
        id (str, optional): Name of the text. (default: :obj:`""`)

    Raises:
        ValueError: Naming text and field; see :func:`text_record`.

    Example:
        >>> words = Vocabulary(["a", "dog", "chases", "cat", "black"])
        >>> graph = text_graph(
        ...     "A black dog chases a dog", words, objects=["dog", "dog"],
        ...     attributes=[(0, "black")], relations=[(0, "chases", 1)],
        ... )
        >>> graph["object"].label, graph["word"].token
        (tensor([2, 2]), tensor([1, 5, 2, 3, 1, 2]))
    """
    record = text_record(caption, objects, attributes, relations, spans, id)
    return pack_texts([record], words)[0]


def pack_images(
    records: Sequence[ImageRecord],
    vocabularies: Vocabularies,
    features: Mapping[str, Ragged] | None = None,
    label_features: Mapping[str, Ragged] | None = None,
) -> GraphCollection:
    """Builds the graphs of many images.

    Args:
        records (list of ImageRecord): One record per image. Boxes are kept if every image has them,
            and so are the scores of a node type and sizes.
        vocabularies (Vocabularies): Labels to indices; unknown labels become index 0.
        features (dict, optional): Region features of node types, one span per image. (default:
            none)
        label_features (dict, optional): Features of the labels of node types, likewise, see
            :func:`pyg_sgm.text.label_features`. (default: none)

    Raises:
        ValueError: If features have another number of rows than an image has nodes, or are not
            finite.
    """
    columns = _Columns(_IMAGE_FIELDS)
    tables = {node: getattr(vocabularies, name) for node, name in VOCABULARY_OF.items()}
    for record in records:
        labels = {
            "object": record.objects,
            "relation": [predicate for _, predicate, _ in record.relations],
            "attribute": [label for _, label in record.attributes],
        }
        for node, names in labels.items():
            columns.add(node, "label", [tables[node][name] for name in names])
        _add_edges(columns, record)
    num_nodes = columns.counts("label", IMAGE_NODES)
    fields = columns.fields()
    spans = {node: fields[node, "label"].spans for node in IMAGE_NODES}
    if all(record.boxes is not None for record in records):
        boxes = [record.boxes for record in records if record.boxes is not None]
        stacked = np.concatenate([np.zeros((0, 4)), *boxes]).astype(np.float32)
        fields["object", "box"] = Ragged(torch.from_numpy(stacked), spans["object"])
    for node in IMAGE_NODES:
        if records and all(node in record.scores for record in records):
            scores = np.concatenate([np.asarray(r.scores[node], np.float32) for r in records])
            fields[node, "score"] = Ragged(torch.from_numpy(scores), spans[node])
    for name, of_nodes in (("x", features), ("label_x", label_features)):
        for node, ragged in (of_nodes or {}).items():
            where = [f"image {r.id!r}" for r in records]
            _check_features(ragged, num_nodes[node], where, f"{node}.{name}")
            fields[node, name] = ragged
    sizes = {}
    if records and all(record.size is not None for record in records):
        both = torch.tensor([record.size for record in records], dtype=torch.float)
        sizes = {"width": both[:, 0], "height": both[:, 1]}
    return GraphCollection([record.id for record in records], num_nodes, fields, sizes)


def pack_texts(
    records: Sequence[TextRecord],
    words: Vocabulary,
    features: Mapping[str, Ragged] | None = None,
) -> GraphCollection:
    """Builds the graphs of many texts.

    Args:
        records (list of TextRecord): One record per text.
        words (Vocabulary): Words to indices; unknown words become index 0.
        features (dict, optional): Features of node types, such as vectors of the ``"word"`` nodes,
            one span per text. (default: none)

    Raises:
        ValueError: If features have another number of rows than a text has nodes, or are not
            finite.
    """
    columns = _Columns(_TEXT_FIELDS)
    for record in records:
        count = len(record.words)
        columns.add("word", "token", [words[word] for word in record.words])
        columns.add(NEXT, "edge_index", [(i, i + 1) for i in range(count - 1)])
        spans = node_spans(record)
        for node, phrases in node_phrases(record).items():
            tokens = [phrase_words(phrase) for phrase in phrases]
            head = 0 if node == "relation" else -1
            columns.add(node, "label", [words[phrase[head]] for phrase in tokens])
            columns.add(node, "token", [words[word] for phrase in tokens for word in phrase])
            columns.add(node, "length", [len(phrase) for phrase in tokens])
            pairs = [(i, position) for i, span in enumerate(spans[node]) for position in span]
            columns.add((node, "spans", "word"), "edge_index", pairs)
        _add_edges(columns, record)
    num_nodes = columns.counts("label", IMAGE_NODES) | {"word": columns.count("word", "token")}
    fields = columns.fields()
    ids = [record.id for record in records]
    for node, ragged in (features or {}).items():
        _check_features(ragged, num_nodes[node], [f"text {id!r}" for id in ids], f"{node}.x")
        fields[node, "x"] = ragged
    return GraphCollection(ids, {node: num_nodes[node] for node in TEXT_NODES}, fields)


def node_spans(record: TextRecord) -> dict[str, Sequence[Sequence[int]]]:
    """Positions of the words of every object, relation and attribute node, in node order: those of
    the record, else where the phrase occurs.

    Args:
        record (TextRecord): A text with its graph.

    Example:
        >>> node_spans(text_record("a dog and a cat", objects=["cat", "dog"]))["object"]
        [[4], [1]]
    """
    spans: dict[str, Sequence[Sequence[int]]] = {}
    for node, phrases in node_phrases(record).items():
        if record.spans is None:
            spans[node] = [_find(phrase_words(phrase), record.words) for phrase in phrases]
        else:
            spans[node] = record.spans.get(node, ())
    return spans


def _check_features(features: Ragged, count: Tensor, names: Sequence[str], field: str) -> None:
    """Raises a ValueError that names the first graph whose features do not fit its nodes."""
    spans = features.spans
    if len(spans.count) != len(count):
        raise ValueError(f"{field}: features of {len(spans.count)} graphs for {len(count)}")
    bad = (spans.count != count).nonzero()
    if bad.numel():
        i = int(bad[0])
        raise ValueError(
            f"{names[i]}: {field}: {int(spans.count[i])} rows of features for {int(count[i])} nodes"
        )
    if isinstance(features.rows, Tensor):  # rows on disk are checked when they are read
        rows = spans.rows()
        finite = torch.isfinite(features.rows[rows]).flatten(1).all(dim=1)
        if not bool(finite.all()):
            i = int(torch.arange(len(count)).repeat_interleave(count)[~finite][0])
            raise ValueError(f"{names[i]}: {field}: NaN or infinity")


def _add_edges(columns: "_Columns", record: ImageRecord | TextRecord) -> None:
    ends = record.relations
    columns.add(SUBJECT_OF, "edge_index", [(s, i) for i, (s, _, _) in enumerate(ends)])
    columns.add(HAS_OBJECT, "edge_index", [(i, o) for i, (_, _, o) in enumerate(ends)])
    columns.add(DESCRIBES, "edge_index", [(i, o) for i, (o, _) in enumerate(record.attributes)])


def _find(phrase: Sequence[str], words: Sequence[str]) -> list[int]:
    """Where a phrase first occurs as a whole, else where each of its words first does."""
    size = len(phrase)
    for i, word in enumerate(words):
        if word == phrase[0] and tuple(words[i : i + size]) == phrase:
            return list(range(i, i + size))
    return sorted({words.index(word) for word in phrase if word in words})


class _Columns:
    """Values of each field, graph after graph."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._values: dict[Field, list] = {field: [] for field in fields}
        self._counts: dict[Field, list[int]] = {field: [] for field in self._values}

    def add(self, store: Store, name: str, values: Sequence) -> None:
        self._values[store, name].extend(values)
        self._counts[store, name].append(len(values))

    def count(self, store: Store, name: str) -> Tensor:
        return torch.tensor(self._counts[store, name], dtype=torch.long)

    def counts(self, name: str, stores: Iterable[str]) -> dict[str, Tensor]:
        return {store: self.count(store, name) for store in stores}

    def fields(self) -> dict[Field, Ragged]:
        spans: dict[tuple[int, ...], Spans] = {}  # equal counts share one object
        fields = {}
        for (store, name), values in self._values.items():
            counts = tuple(self._counts[store, name])
            if counts not in spans:
                spans[counts] = Spans.packed(torch.tensor(counts, dtype=torch.long))
            rows = torch.from_numpy(np.array(values, dtype=np.int64))
            if isinstance(store, tuple):
                rows = rows.reshape(-1, 2)
            fields[store, name] = Ragged(rows, spans[counts])
        return fields
