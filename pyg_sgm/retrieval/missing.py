"""What of a text nothing in an image matches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pyg_sgm.data import node_spans
from pyg_sgm.models.explanation import Explanation


@dataclass(frozen=True)
class Similarities:
    """Best similarity of every phrase of a text in one image; :obj:`None` of one that no node of
    the model stands for.

    Args:
        objects (list): Of every object, the mean of its words.
        attributes (list): Of every attribute, likewise.
        triplets (list): Of every relation.
    """

    objects: list[float | None]
    attributes: list[float | None]
    triplets: list[float | None]


def phrase_similarities(explanation: Explanation) -> Similarities:
    """How well an image matches every phrase of a text.

    Args:
        explanation (Explanation): What a model tells of the pair.
    """
    text = explanation.text
    found: dict[str, dict[int, float]] = {"word": {}, "triplet": {}}
    for match in explanation.matches:
        if match.level != "reverse":
            found[match.text_kind][match.text_index] = match.similarity
    words, triplets = found["word"], found["triplet"]
    # In an image without objects no word has a match, in one without relations no triplet; a model
    # that lacks such a level tells of none.
    levels = explanation.levels
    nothing = -math.inf if not words and "object" in levels else None
    unrelated = -math.inf if not triplets and "relation" in levels else None

    def mean(span: Sequence[int]) -> float | None:
        values = [words[at] for at in span if at in words]
        return sum(values) / len(values) if values else nothing if span else None

    spans = node_spans(text)
    return Similarities(
        [mean(span) for span in spans["object"]],
        [mean(span) for span in spans["attribute"]],
        [triplets.get(i, unrelated) for i in range(len(text.relations))],
    )


def missing_phrases(explanation: Explanation, word: float, triplet: float) -> list[str]:
    """The phrases of a text that nothing in an image matches: objects and attributes whose words
    are less similar to anything than a threshold, and triplets likewise whose objects are there.

    Args:
        explanation (Explanation): What a model tells of the pair.
        word (float): Least mean similarity of the words of an object or attribute that is there.
        triplet (float): Least similarity of a triplet that is there.
    """
    text, similar = explanation.text, phrase_similarities(explanation)

    def is_missing(value: float | None, least: float) -> bool:
        return value is not None and value < least

    gone = {i for i, value in enumerate(similar.objects) if is_missing(value, word)}
    phrases = [text.objects[i] for i in sorted(gone)]
    for (owner, label), value in zip(text.attributes, similar.attributes, strict=True):
        if owner not in gone and is_missing(value, word):
            phrases.append(f"{label} {text.objects[owner]}")
    for (s, predicate, o), value in zip(text.relations, similar.triplets, strict=True):
        if s not in gone and o not in gone and is_missing(value, triplet):
            phrases.append(f"{text.objects[s]} {predicate} {text.objects[o]}")
    return phrases
