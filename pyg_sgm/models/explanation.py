"""What a model can tell of a score: matches of nodes, or attention between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.ops import Packed, distraction, distraction_vector

Kind = Literal["object", "relation", "attribute", "word"]


@dataclass(frozen=True)
class Match:
    """A node of the text and the node of the image that it takes its score from.

    Args:
        level (str): Term of the score that it belongs to, ``"object"``, ``"relation"``, or
            ``"reverse"``, where an object takes its score from a word.
        text_kind (str): ``"word"`` or ``"triplet"``.
        text_index (int): Its position among the words, or the triplets, of the text.
        text_name (str): The word, or the triplet's words.
        image_kind (str): ``"object"`` or ``"relation"``.
        image_index (int): Its position among the objects, or the relations, of the image.
        image_name (str): Its label, or for a relation subject, predicate and object.
        similarity (float): Inner product (or cosine) of both.
        weight (float): Weight in its graph of the node that searched; all of a level add up to one.
        counts (float, optional): What the similarity counts in the score, of a level that is no
            weighted mean of similarities. (default: :obj:`None`, as it is)
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
    counts: float | None = None

    @property
    def contribution(self) -> float:
        """What it adds to the score, weight times what the similarity counts."""
        return self.weight * (self.similarity if self.counts is None else self.counts)


@dataclass(frozen=True)
class Explanation:
    """Where the score of an image and a text comes from.

    Args:
        image (ImageRecord): The image's graph in strings.
        text (TextRecord): The text's graph in strings.
        levels (dict): Terms of the score, each the sum of the contributions of its matches;
            ``"global"``, where the model has it, is of the graphs as wholes.
        matches (list of Match): One match a word and a triplet, in the order of the text; then one
            an object, where the model searches both ways.
    """

    image: ImageRecord
    text: TextRecord
    levels: dict[str, float]
    matches: list[Match]

    @property
    def score(self) -> float:
        """Score of the pair, the sum of its levels."""
        return sum(self.levels.values())

    def sum_of_levels(self, digits: int = 2) -> str:
        """The score and its terms in a line.

        Args:
            digits (int, optional): Digits after the point. (default: :obj:`2`)

        Example:
            >>> from pyg_sgm.data import image_record, text_record
            >>> levels = {"object": 0.45, "hubness": -0.25}
            >>> Explanation(image_record(["dog"]), text_record("a dog"), levels, []).sum_of_levels()
            'score 0.20 = object 0.45 - hubness 0.25'
        """
        (first, value), *others = self.levels.items()
        line = f"score {self.score:.{digits}f} = {first} {value:.{digits}f}"
        for name, value in others:
            line += f" {'-' if value < 0 else '+'} {name} {abs(value):.{digits}f}"
        return line

    def to_dict(self) -> dict[str, Any]:
        """All of it but the graphs, fit for JSON."""
        matches = [{**asdict(m), "contribution": m.contribution} for m in self.matches]
        own: list[list[str]] = [[] for _ in self.image.objects]
        for i, word in self.image.attributes:
            own[i].append(word)
        objects = zip(object_names(self.image), own, strict=True)
        return {
            "image": self.image.id,
            "text": self.text.caption,
            "score": self.score,
            "levels": self.levels,
            "matches": matches,
            "objects": [{"name": name, "attributes": words} for name, words in objects],
        }


@dataclass(frozen=True)
class Node:
    """A node that attends, or is attended to.

    Args:
        kind (Kind): What it was made from.
        objects (tuple): The objects it is about: one, subject and object of a relation, none of a
            word.
        name (str): Label of an object, triplet of a relation, attributes and label of an attribute
            node, or the word.
    """

    kind: Kind
    objects: tuple[int, ...]
    name: str


@dataclass(frozen=True)
class Attention:
    """The attention between the graphs of an image and a text, and what follows from it.

    Args:
        image (ImageRecord): The image's graph in strings.
        text (TextRecord): The text's graph in strings.
        image_nodes (list of Node): Nodes of the image.
        text_nodes (list of Node): Nodes of the text.
        weights (Tensor): Attention of the text's nodes on the image's (HOAD, eq. 5, or SCAN),
            ``[num_text_nodes, num_image_nodes]``.
        image_weights (Tensor): Weight of every node of the image in the score (eq. 8).
        text_weights (Tensor): The same for the text.
        score (float): Score of the pair.
    """

    image: ImageRecord
    text: TextRecord
    image_nodes: list[Node]
    text_nodes: list[Node]
    weights: Tensor
    image_weights: Tensor
    text_weights: Tensor
    score: float

    @property
    def image_distraction_vector(self) -> Tensor:
        """Distraction vector of the image with the text as query, ``[num_image_nodes]``."""
        return distraction_vector(self.weights)

    @property
    def image_distraction(self) -> float:
        """Distraction score of the image (eq. 10), in nats."""
        return float(distraction(self.image_distraction_vector))

    def to_dict(self) -> dict[str, Any]:
        """All of it but the graphs, fit for JSON."""

        def rows(nodes: Sequence[Node], **values: Tensor) -> list[dict[str, Any]]:
            columns = zip(*(value.tolist() for value in values.values()), strict=True)
            pairs = zip(nodes, columns, strict=True)
            return [asdict(node) | dict(zip(values, row, strict=True)) for node, row in pairs]

        votes = self.image_distraction_vector
        return {
            "image": self.image.id,
            "text": self.text.caption,
            "score": self.score,
            "distraction": self.image_distraction,
            "image_nodes": rows(self.image_nodes, weight=self.image_weights, votes=votes),
            "text_nodes": rows(self.text_nodes, weight=self.text_weights),
            "attention": self.weights.tolist(),
        }


def graph_nodes(record: ImageRecord | TextRecord, kinds: str = "ora") -> list[Node]:
    """The nodes of :class:`~pyg_sgm.nn.HighOrderEncoder` in their order.

    Args:
        record (ImageRecord or TextRecord): A graph in strings.
        kinds (str, optional): See :class:`~pyg_sgm.nn.HighOrderEncoder`. (default: :obj:`"ora"`)

    Example:
        >>> from pyg_sgm.data import image_record
        >>> record = image_record(["man", "hat"], None, [(0, "in", 1)], [(1, "red"), (1, "big")])
        >>> [node.name for node in graph_nodes(record)]
        ['man', 'hat', 'man in hat', 'red big hat']
    """
    objects = object_names(record) if isinstance(record, ImageRecord) else record.objects
    nodes = [Node("object", (i,), name) for i, name in enumerate(objects)]
    if "r" in kinds:
        nodes += [
            Node("relation", (s, o), _relation_name(objects, (s, predicate, o)))
            for s, predicate, o in record.relations
        ]
    if "a" in kinds:
        for i in sorted({i for i, _ in record.attributes}):
            own = [label for owner, label in record.attributes if owner == i]
            nodes.append(Node("attribute", (i,), " ".join([*own, objects[i]])))
    return nodes


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


def best_matches(
    level: str, query: Packed, reference: Packed, weights: Tensor | None = None
) -> list[tuple[str, int, int, float, float]]:
    """The best node of one graph for every node of another, as :func:`pyg_sgm.ops.maxsim` takes
    them.

    Args:
        level (str): Term of the score that they belong to.
        query (Packed): Nodes that search, of one graph.
        reference (Packed): Nodes that are searched, of one graph.
        weights (Tensor, optional): Weight of every node of the query. (default: :obj:`None`, that
            of the mean)

    Returns:
        Of every node of the query: level, its row, row of its match, similarity and weight.
    """
    if reference.x.size(0) == 0 or query.x.size(0) == 0:
        return []
    best, row = (query.x @ reference.x.t()).max(dim=1)  # [num_query_nodes]
    weight = torch.full_like(best, 1 / len(best)) if weights is None else weights
    columns = (row.tolist(), best.tolist(), weight.tolist())
    return [(level, i, j, s, w) for i, (j, s, w) in enumerate(zip(*columns, strict=True))]


def named_match(
    match: tuple[str, int, int, float, float], image: ImageRecord, text: TextRecord
) -> Match:
    """A match of :func:`best_matches`, text first, with the names of its nodes.

    In some variants of SGM the relations of a side come after its
    objects (or words) at the object level.
    """
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
        name = _relation_name(names, image.relations[j - num_objects])
        image_node = ("relation", j - num_objects, name)
    return Match(level, *text_node, *image_node, similarity, weight)


def _relation_name(objects: Sequence[str], relation: tuple[int, str, int]) -> str:
    s, predicate, o = relation
    how = "and" if predicate == UNKNOWN else predicate  # a pair that nobody named
    return f"{objects[s]} {how} {objects[o]}"
