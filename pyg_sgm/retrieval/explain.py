"""Which node of a text matched which node of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from pyg_sgm.data import GraphCollection, ImageRecord, TextRecord, Vocabularies
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.evaluation import encode_images, encode_texts
from pyg_sgm.models import Matcher, SGMEncoding
from pyg_sgm.ops import Packed
from pyg_sgm.text import parse


@dataclass(frozen=True)
class Match:
    """A node of the text and the node of the image that it takes its score from.

    Args:
        level: Term of the score that it belongs to, ``"object"``, ``"relation"``, or
            ``"reverse"``, where an object takes its score from a word.
        text_kind: ``"word"`` or ``"triplet"``.
        text_index: Its position among the words, or the triplets, of the text.
        text_name: The word, or the triplet's words.
        image_kind: ``"object"`` or ``"relation"``.
        image_index: Its position among the objects, or the relations, of the image.
        image_name: Its label, or for a relation subject, predicate and object.
        similarity: Inner product (or cosine) of both.
        weight: Weight in its graph of the node that searched; all of a level add up to one.
    """

    level: str
    text_kind: Literal["word", "triplet"]
    text_index: int
    text_name: str
    image_kind: Literal["object", "relation"]
    image_index: int
    image_name: str
    similarity: float
    weight: float

    @property
    def contribution(self) -> float:
        """What it adds to the score, weight times similarity."""
        return self.weight * self.similarity


@dataclass(frozen=True)
class Explanation:
    """Where the score of an image and a text comes from.

    Args:
        image: The image's graph in strings.
        text: The text's graph in strings.
        levels: Terms of the score, each the sum of the contributions of its matches;
            ``"global"``, where the model has it, is of the graphs as wholes.
        matches: One match a word and a triplet, in the order of the text; then one an object,
            where the model searches both ways.
    """

    image: ImageRecord
    text: TextRecord
    levels: dict[str, float]
    matches: list[Match]

    @property
    def score(self) -> float:
        """Score of the pair, the sum of its levels."""
        return sum(self.levels.values())


def explain(
    model: Matcher,
    image: tuple[GraphCollection, ImageRecord],
    text: tuple[GraphCollection, TextRecord],
) -> Explanation:
    """Explains the score of one image with one text.

    Args:
        model: An :class:`~pyg_sgm.models.SGM`.
        image: One graph, and the same in strings; see :func:`readable_image`.
        text: One graph, and the same in strings; see :func:`readable_text`.

    Raises:
        ValueError: If the model is not a sum of best matches.
    """
    (images, image_record), (texts, record) = image, text
    shown, told = encode_images(model, images), encode_texts(model, texts)
    if not (isinstance(shown, SGMEncoding) and isinstance(told, SGMEncoding)):
        raise ValueError(f"{type(model).__name__} scores are no sum of matches of single nodes")
    with torch.no_grad():
        levels = {name: float(value) for name, value in model.levels(shown, told).items()}  # type: ignore[operator]
    matches = _matches("object", shown.objects, told.objects, told.object_weights)
    if shown.relations is not None and told.relations is not None:
        matches += _matches("relation", shown.relations, told.relations, told.relation_weights)
    if "reverse" in levels:
        back = _matches("reverse", told.objects, shown.objects, shown.object_weights)
        matches += [(level, word, obj, best, weight) for level, obj, word, best, weight in back]
    return Explanation(
        image_record, record, levels, [_named(m, image_record, record) for m in matches]
    )


def readable_image(image: Any, graphs: GraphCollection, vocabularies: Vocabularies) -> ImageRecord:
    """The one image in strings: as the user gave it, else from its graph.

    Raises:
        ValueError: If there is not exactly one.
    """
    _check_one(graphs, "image")
    if isinstance(image, SceneGraphDataset):
        return image.images[0]
    if isinstance(image, (list, tuple)):
        image = image[0]
    if isinstance(image, ImageRecord):
        return image
    graph = graphs.batch()
    ends = _ends(graph)
    predicates = [vocabularies.predicates.word(i) for i in graph["relation"].label.tolist()]
    boxes = graph["object"].get("box")
    size = (float(graph.width[0]), float(graph.height[0])) if "width" in graph else None
    return ImageRecord(
        graphs.ids[0],
        [vocabularies.objects.word(i) for i in graph["object"].label.tolist()],
        None if boxes is None else boxes.numpy(),
        [(s, predicate, o) for predicate, (s, o) in zip(predicates, ends, strict=True)],
        size=size,
    )


def readable_text(text: Any, graphs: GraphCollection, vocabularies: Vocabularies) -> TextRecord:
    """The one text in strings: as the user gave it, else from its graph.

    Raises:
        ValueError: If there is not exactly one.
    """
    _check_one(graphs, "text")
    if isinstance(text, SceneGraphDataset):
        return text.texts[0]
    if isinstance(text, (list, tuple)):
        text = text[0]
    if isinstance(text, str):
        return parse(text).to_record()
    if isinstance(text, TextRecord):
        return text
    graph, known = graphs.batch(), vocabularies.words
    words = [known.word(i) for i in graph["word"].token.tolist()]
    phrases = {
        node: [
            " ".join(known.word(i) for i in part.tolist())
            for part in graph[node].token.split(graph[node].length.tolist())
        ]
        for node in ("object", "relation")
    }
    relations = [(s, p, o) for p, (s, o) in zip(phrases["relation"], _ends(graph), strict=True)]
    return TextRecord(graphs.ids[0], " ".join(words), words, phrases["object"], (), relations)


def object_names(image: ImageRecord) -> list[str]:
    """Label of every object; of regions that nobody named, where they lie.

    Example:
        >>> from pyg_sgm.data import image_record
        >>> boxes = [[0.1, 0.1, 0.5, 0.5], [0, 0, 1, 1], [0.7, 0, 1, 0.3], [0.4, 0.4, 0.6, 0.6]]
        >>> object_names(image_record(["dog", UNKNOWN, UNKNOWN, UNKNOWN], boxes))
        ['dog', 'whole image', 'top right', 'middle']
    """
    if image.boxes is None:
        return list(image.objects)
    return [
        _place(box) if label == UNKNOWN else label
        for label, box in zip(image.objects, image.boxes.tolist(), strict=True)
    ]


def _place(box: Sequence[float]) -> str:
    x1, y1, x2, y2 = box
    if (x2 - x1) * (y2 - y1) > 0.8:
        return "whole image"
    row = ("top", "", "bottom")[min(int((y1 + y2) * 1.5), 2)]
    column = ("left", "", "right")[min(int((x1 + x2) * 1.5), 2)]
    return f"{row} {column}".strip() or "middle"


def _check_one(graphs: GraphCollection, name: str) -> None:
    if len(graphs) != 1:
        raise ValueError(f"expected one {name}, got {len(graphs)}")


def _ends(graph: Any) -> list[tuple[int, int]]:
    subject = graph["object", "subject_of", "relation"].edge_index[0].tolist()
    target = graph["relation", "has_object", "object"].edge_index[1].tolist()
    return list(zip(subject, target, strict=True))


def _matches(
    level: str, searched: Packed, query: Packed, weights: Packed | None
) -> list[tuple[str, int, int, float, float]]:
    """Level, row of the query node, row of its best node, similarity and weight of each match."""
    if searched.x.size(0) == 0 or query.x.size(0) == 0:
        return []
    best, row = (query.x @ searched.x.t()).max(dim=1)  # [num_query_nodes]
    weight = torch.full_like(best, 1 / len(best)) if weights is None else weights.x
    columns = (row.tolist(), best.tolist(), weight.tolist())
    return [(level, i, *rest) for i, rest in enumerate(zip(*columns, strict=True))]


def _named(
    match: tuple[str, int, int, float, float], image: ImageRecord, text: TextRecord
) -> Match:
    """A match with its names. In some variants of SGM the relations of a side come after its
    objects (or words) at the object level."""
    level, i, j, similarity, weight = match
    names = object_names(image)
    num_words = 0 if level == "relation" else len(text.words)
    num_objects = 0 if level == "relation" else len(image.objects)
    if i < num_words:
        text_node: tuple[Literal["word", "triplet"], int, str] = ("word", i, text.words[i])
    else:
        s, phrase, o = text.relations[i - num_words]
        name = f"{text.objects[s]} {phrase} {text.objects[o]}"
        text_node = ("triplet", i - num_words, name)
    if j < num_objects:
        image_node: tuple[Literal["object", "relation"], int, str] = ("object", j, names[j])
    else:
        s, predicate, o = image.relations[j - num_objects]
        name = f"{names[s]} {predicate} {names[o]}"
        image_node = ("relation", j - num_objects, name)
    return Match(level, *text_node, *image_node, similarity, weight)
