"""Scene graphs as strings and numbers: what readers and parsers produce."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from pyg_sgm.data.words import tokenize


@dataclass(frozen=True)
class ImageRecord:
    """The graph of one image, checked, before any vocabulary; made by :func:`image_record`.

    Args:
        id: Name of the image.
        objects: Label of each object.
        boxes: ``[num_objects, 4]`` x1, y1, x2, y2 in ``[0, 1]``, or :obj:`None` if unknown.
        relations: (subject index, predicate, object index).
        attributes: (object index, label).
        scores: Confidence of the nodes, ``{node type: [num_nodes]}``.
        size: Width and height of the image in pixels, or :obj:`None` if unknown.
        file: File of the pixels, or :obj:`None` if unknown.
        has_graph: Whether the graph is known; a known graph may be empty. (default: :obj:`True`)
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
        id: Name of the text.
        caption: The text as written.
        words: Its words in order.
        objects: Phrase of each object.
        attributes: (object index, phrase).
        relations: (subject index, phrase, object index).
        spans: Positions in ``words`` that a node stands for,
            ``{node type: one list of positions a node}``, or :obj:`None` to find them by name.
        has_graph: Whether the graph is known; a known graph may be empty. (default: :obj:`True`)
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

    A box may reach beyond the image by rounding: up to one pixel (or 0.001 of a normalised image)
    is clipped, more is an error.

    Args:
        objects: Label of each object; may be empty. (default: :obj:`None`, the graph is unknown)
        boxes: ``[num_objects, 4]`` x1, y1, x2, y2: in pixels if ``size`` is given, else in
            ``[0, 1]``. (default: :obj:`None`, unknown)
        relations: (subject index, predicate, object index). (default: none)
        attributes: (object index, label). (default: none)
        size: Width and height of the image in pixels. (default: :obj:`None`)
        scores: Confidence of the nodes, ``{"object" | "relation" | "attribute": [num_nodes]}``.
            (default: none)
        id: Name of the image. (default: ``""``)
        file: File of the pixels, which is not opened here. (default: :obj:`None`, unknown)

    Raises:
        ValueError: Naming image and field, for a relation or attribute of an object that is not
            there, an empty or outside box, a box or score that is not finite or not there.
    """
    name = f"image {id!r}"
    has_graph = objects is not None
    objects = () if objects is None else objects
    if size is not None and not (len(size) == 2 and all(0 < s < float("inf") for s in size)):
        raise ValueError(f"{name}: size: expected a positive width and height, got {size}")
    _check_ends(relations, attributes, len(objects), name)
    counts = {"object": len(objects), "relation": len(relations), "attribute": len(attributes)}
    for node, score in (scores or {}).items():
        if node not in counts:
            raise ValueError(f"{name}: scores: no node type {node!r}")
        if np.shape(score) != (counts[node],) or not np.isfinite(score).all():
            raise ValueError(f"{name}: {node}.score: expected {counts[node]} finite numbers")
    return ImageRecord(
        id=id,
        objects=objects,
        boxes=None if boxes is None else _normalise(boxes, len(objects), size, name),
        relations=relations,
        attributes=attributes,
        scores=scores or {},
        size=size,
        file=None if file is None else Path(file),
        has_graph=has_graph,
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
        caption: A sentence, which is tokenised, or its words. It may be empty.
        objects: Phrase of each object. (default: :obj:`None`)
        attributes: (object, phrase). (default: :obj:`None`)
        relations: (subject, phrase, object). (default: :obj:`None`)
        spans: Positions of the words that a node stands for, ``{"object" | "relation" |
            "attribute": one list of positions a node}``. (default: where the phrase occurs in the
            caption, else where its single words do, else nowhere)
        id: Name of the text. (default: ``""``)

    Raises:
        ValueError: Naming text and field, for a phrase without a word, an object index or word
            position that is not there, or spans that are not one a node.

    Example:
        >>> text_record("a dog chases a cat", relations=[("dog", "chases", "cat")]).relations
        [(0, 'chases', 1)]
        >>> text_record("a dog").has_graph, text_record("hello", objects=[]).has_graph
        (False, True)
    """
    name = f"text {id!r}"
    has_graph = not (objects is None and attributes is None and relations is None)
    words = tokenize(caption) if isinstance(caption, str) else list(caption)
    phrases = list(objects or ())
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

    described = [(resolve(o), phrase) for o, phrase in attributes or ()]
    triplets = [(resolve(s), phrase, resolve(o)) for s, phrase, o in relations or ()]
    _check_ends(triplets, described, len(phrases), name)
    record = TextRecord(
        id=id,
        caption=caption if isinstance(caption, str) else " ".join(caption),
        words=words,
        objects=phrases,
        attributes=described,
        relations=triplets,
        spans=spans,
        has_graph=has_graph,
    )
    for node, texts in node_phrases(record).items():
        for phrase in texts:
            if not phrase_words(phrase):
                raise ValueError(f"{name}: {node}: the phrase {phrase!r} has no word")
        if spans is not None:
            positions = spans.get(node, ())
            if len(positions) != len(texts):
                raise ValueError(f"{name}: spans of {node}: {len(positions)} for {len(texts)}")
            bad = [p for span in positions for p in span if not 0 <= p < len(words)]
            if bad:
                raise ValueError(f"{name}: spans of {node}: no word {bad[0]} of {len(words)}")
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


def _check_ends(
    relations: Sequence[tuple[int, str, int]],
    attributes: Sequence[tuple[int, str]],
    count: int,
    name: str,
) -> None:
    for i, (s, _, o) in enumerate(relations):
        if not (0 <= s < count and 0 <= o < count):
            bad = o if 0 <= s < count else s
            raise ValueError(f"{name}: relation {i}: object {bad} is not there ({count} objects)")
    for i, (o, _) in enumerate(attributes):
        if not 0 <= o < count:
            raise ValueError(f"{name}: attribute {i}: object {o} is not there ({count} objects)")


def _normalise(
    boxes: ArrayLike, count: int, size: tuple[float, float] | None, name: str
) -> np.ndarray:
    try:
        box = np.array(boxes, dtype=np.float64).reshape(-1, 4) if count else np.zeros((0, 4))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: box: expected [{count}, 4] numbers") from error
    if len(box) != count or (not count and np.size(boxes)):
        raise ValueError(f"{name}: box: {np.size(boxes) // 4} boxes for {count} objects")
    if not np.isfinite(box).all():
        raise ValueError(f"{name}: box: NaN or infinity in row {_first(~np.isfinite(box))}")
    slack = 1e-3
    if size is not None:
        box /= (*size, *size)
        slack = 1 / min(size)
    outside = (box < -slack) | (box > 1 + slack)
    if outside.any():
        raise ValueError(f"{name}: box {_first(outside)} is outside the image")
    box = box.clip(0, 1)
    empty = box[:, 2:] <= box[:, :2]
    if empty.any():
        raise ValueError(f"{name}: box {_first(empty)} is empty (x2 <= x1 or y2 <= y1)")
    return box


def _first(bad: np.ndarray) -> int:
    return int(bad.any(axis=1).argmax())
