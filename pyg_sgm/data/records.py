"""Scene graphs as strings and numbers: what readers and parsers produce."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyg_sgm.data import _checks as check
from pyg_sgm.data.words import tokenize
from pyg_sgm.io import to_path


@dataclass(frozen=True)
class ImageRecord:
    """The graph of one image, checked, before any vocabulary; made by :func:`image_record`.

    Args:
        id (str): Name of the image.
        objects (list of str): Label of each object.
        boxes (ndarray, optional): ``[num_objects, 4]`` x1, y1, x2, y2 in ``[0, 1]``, or :obj:`None`
            if unknown. (default: :obj:`None`)
        relations (list of tuple, optional): (subject index, predicate, object index). (default:
            :obj:`()`)
        attributes (list of tuple, optional): (object index, label). (default: :obj:`()`)
        scores (dict, optional): Confidence of the nodes, ``{node type: [num_nodes]}``.
        size (tuple, optional): Width and height of the image in pixels, or :obj:`None` if unknown.
            (default: :obj:`None`)
        file (Path, optional): File of the pixels, or :obj:`None` if unknown. (default: :obj:`None`)
        has_graph (bool, optional): Whether the graph is known; a known graph may be empty.
            (default: :obj:`True`)
    """

    id: str
    objects: Sequence[str]
    boxes: np.ndarray | None = None
    relations: Sequence[tuple[int, str, int]] = ()
    attributes: Sequence[tuple[int, str]] = ()
    scores: Mapping[str, Sequence[float]] = field(default_factory=dict)
    size: tuple[float, float] | None = None
    file: Path | None = None
    has_graph: bool = True


@dataclass(frozen=True)
class TextRecord:
    """The graph of one text, checked, before any vocabulary; made by :func:`text_record`.

    Args:
        id (str): Name of the text.
        caption (str): The text as written.
        words (list of str): Its words in order.
        objects (list of str, optional): Phrase of each object. (default: :obj:`()`)
        attributes (list of tuple, optional): (object index, phrase). (default: :obj:`()`)
        relations (list of tuple, optional): (subject index, phrase, object index). (default:
            :obj:`()`)
        spans (dict, optional): Positions in ``words`` that a node stands for, ``{node type: one
            list of positions per node}``, or :obj:`None` to find them by name. (default:
            :obj:`None`)
        has_graph (bool, optional): Whether the graph is known; a known graph may be empty.
            (default: :obj:`True`)
    """

    id: str
    caption: str
    words: Sequence[str]
    objects: Sequence[str] = ()
    attributes: Sequence[tuple[int, str]] = ()
    relations: Sequence[tuple[int, str, int]] = ()
    spans: Mapping[str, Sequence[Sequence[int]]] | None = None
    has_graph: bool = True


def image_record(
    objects: Sequence[str] | None = None,
    boxes: ArrayLike | None = None,
    relations: Sequence[tuple[int, str, int]] = (),
    attributes: Sequence[tuple[int, str]] = (),
    *,
    size: tuple[float, float] | None = None,
    scores: Mapping[str, Sequence[float]] | None = None,
    id: str = "",
    file: str | os.PathLike[str] | None = None,
) -> ImageRecord:
    """Checks the graph of one image.

    A box may reach beyond the image by rounding: up to one pixel (or 0.001 of a normalized image)
    is clipped, more is an error.

    Args:
        objects (list of str, optional): Label of each object; may be empty. (default: :obj:`None`,
            the graph is unknown)
        boxes (array-like, optional): ``[num_objects, 4]`` x1, y1, x2, y2: in pixels if ``size`` is
            given, else in ``[0, 1]``. (default: :obj:`None`, unknown)
        relations (list of tuple, optional): (subject index, predicate, object index). (default:
            none)
        attributes (list of tuple, optional): (object index, label). (default: none)
        size (tuple, optional): Width and height of the image in pixels. (default: :obj:`None`)
        scores (dict, optional): Confidence of the nodes, ``{"object" | "relation" | "attribute":
            [num_nodes]}``. (default: none)
        id (str, optional): Name of the image. (default: :obj:`""`)
        file (str or PathLike, optional): File of the pixels, or its URI, which is not opened here.
            (default: :obj:`None`, unknown)

    Raises:
        ValueError: Naming image and field, for a relation or attribute of an object that is not
            there, an empty or outside box, a box or score that is not finite or not there.
    """
    name = f"image {id!r}"
    labels = check.texts(() if objects is None else objects, f"{name}: objects")
    triplets = check.triplets(relations, int, f"{name}: relation")
    described = check.pairs(attributes, int, f"{name}: attribute")
    check.check_ends(triplets, described, len(labels), name)
    for label in (*labels, *(p for _, p, _ in triplets), *(word for _, word in described)):
        if not label.strip():
            raise ValueError(f"{name}: a label is empty")
    counts = {"object": len(labels), "relation": len(triplets), "attribute": len(described)}
    for node, score in (scores or {}).items():
        if node not in counts:
            raise ValueError(f"{name}: scores: no node type {node!r}")
        values = check.numbers(score, f"{name}: {node}.score")
        if values.shape != (counts[node],) or not np.isfinite(values).all():
            raise ValueError(f"{name}: {node}.score: expected {counts[node]} finite numbers")
    pixels = None if size is None else check.positive(size, f"{name}: size")
    return ImageRecord(
        id=_name(id),
        objects=labels,
        boxes=None if boxes is None else check.normalized_boxes(boxes, len(labels), pixels, name),
        relations=triplets,
        attributes=described,
        scores=scores or {},
        size=pixels,
        file=None if file is None else to_path(file),
        has_graph=objects is not None,
    )


def text_record(
    caption: str | Sequence[str],
    objects: Sequence[str] | None = None,
    attributes: Sequence[tuple[int | str, str]] | None = None,
    relations: Sequence[tuple[int | str, str, int | str]] | None = None,
    spans: Mapping[str, Sequence[Sequence[int]]] | None = None,
    id: str = "",
) -> TextRecord:
    """Checks the graph of one text.

    An attribute or relation names its objects by index into ``objects``, or by phrase: then the
    first object of that phrase is meant, and one is added if there is none. So triplets of
    phrases alone merge equal nouns, and indices keep two instances of a noun apart. A text without
    objects, attributes and relations has no graph yet; one with any of them, even empty, has.

    Args:
        caption (str or list of str): A sentence, which is tokenized, or its words. It may be empty.
        objects (list of str, optional): Phrase of each object. (default: :obj:`None`)
        attributes (list of tuple, optional): (object, phrase). (default: :obj:`None`)
        relations (list of tuple, optional): (subject, phrase, object). (default: :obj:`None`)
        spans (dict, optional): Positions of the words that a node stands for, ``{"object" |
            "relation" | "attribute": one list of positions per node}``. (default: where the phrase
            occurs in the caption, else where its single words do, else nowhere)
        id (str, optional): Name of the text. (default: :obj:`""`)

    Raises:
        ValueError: Naming text and field, for a phrase without a word, an object index or word
            position that is not there, or spans that are not one per node.

    Example:
        >>> text_record("a dog chases a cat", relations=[("dog", "chases", "cat")]).relations
        [(0, 'chases', 1)]
        >>> text_record("a dog").has_graph, text_record("hello", objects=[]).has_graph
        (False, True)
    """
    name = f"text {id!r}"
    if isinstance(caption, str):
        check.text(caption, f"{name}: caption")
        written = caption
        words = tokenize(written)
    else:
        words = check.texts(caption, f"{name}: caption")
        written = " ".join(words)
    phrases = check.texts(objects or (), f"{name}: objects")
    index_of: dict[str, int] = {}
    for i, phrase in enumerate(phrases):
        index_of.setdefault(phrase, i)

    def resolve(end: int | str) -> int:
        if not isinstance(end, str):
            return end
        if end not in index_of:
            index_of[end] = len(phrases)
            phrases.append(end)
        return index_of[end]

    pairs = check.pairs(attributes or (), str, f"{name}: attribute")
    described = [(resolve(o), phrase) for o, phrase in pairs]
    named = check.triplets(relations or (), str, f"{name}: relation")
    triplets = [(resolve(s), phrase, resolve(o)) for s, phrase, o in named]
    check.check_ends(triplets, described, len(phrases), name)
    record = TextRecord(
        id=_name(id),
        caption=written,
        words=words,
        objects=phrases,
        attributes=described,
        relations=triplets,
        spans=spans,
        has_graph=not (objects is None and attributes is None and relations is None),
    )
    for node, texts in node_phrases(record).items():
        for phrase in texts:
            if not phrase_words(phrase):
                raise ValueError(f"{name}: {node}: the phrase {phrase!r} has no word")
        if spans is not None:
            positions = spans.get(node, ())
            if len(positions) != len(texts):
                raise ValueError(f"{name}: spans of {node}: {len(positions)} for {len(texts)}")
            bad = [
                p
                for span in positions
                for p in span
                if not check.is_index(p) or not 0 <= p < len(words)
            ]
            if bad:
                raise ValueError(f"{name}: spans of {node}: no word {bad[0]!r} of {len(words)}")
    return record


def node_phrases(record: TextRecord) -> dict[str, list[str]]:
    """Phrase of every object, relation and attribute node, in node order."""
    return {
        "object": list(record.objects),
        "relation": [phrase for _, phrase, _ in record.relations],
        "attribute": [phrase for _, phrase in record.attributes],
    }


@lru_cache(maxsize=1 << 16)
def phrase_words(phrase: str) -> tuple[str, ...]:
    """The words of a phrase."""
    return tuple(tokenize(phrase))


def _name(id: Any) -> str:
    # It may be the name of a file, which need not be Unicode.
    if not isinstance(id, str):
        raise ValueError(f"id: expected a string, got {short(id)}")
    return id
