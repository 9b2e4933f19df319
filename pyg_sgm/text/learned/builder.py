"""From the marks and edges of the network to the graph of a caption."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyg_sgm.text.learned.network import HEAD, INSIDE
from pyg_sgm.text.parsed_caption import ParsedCaption, object_label
from pyg_sgm.text.synonyms import PREPOSITIONS, is_plural
from pyg_sgm.text.word_lists import words as word_set
from pyg_sgm.text.words import verb_lemma

SHOTS = ("picture", "pictures", "photo", "photos", "photograph")
PLACING = PREPOSITIONS | word_set("after astride aboard upon before")


@dataclass(frozen=True)
class Lexicon:
    """The strings that the network's numbers stand for.

    Args:
        words (list of str): Words by row of the embedding table; row 0 is the unknown word.
        predicates (list of str): Predicates by class, ``V`` for the verb of the caption; class 0 is
            no relation.
        object_names (dict): What some phrases are called in graphs, as ``guy`` is ``person``.
        attribute_names (dict): The same for attributes, as ``two`` is ``2``.
    """

    words: list[str]
    predicates: list[str]
    object_names: dict[str, str]
    attribute_names: dict[str, str]


@dataclass(frozen=True)
class Segment:
    """Words that are parsed by themselves, and where each of them is in its caption."""

    caption: int
    words: list[str]
    gaps: list[int]
    positions: list[int]
    mutual: frozenset[int]  # words read for "each other"


def _phrases(marks: list[int]) -> Iterator[tuple[int, ...]]:
    """Word indices of every phrase: a head and the words marked inside that lead up to it."""
    for head, mark in enumerate(marks):
        if mark == HEAD:
            start = head
            while start and marks[start - 1] == INSIDE:
                start -= 1
            yield tuple(range(start, head + 1))


def _prepositions(words: list[str]) -> list[str]:
    """The prepositions between a verb and its object, if nothing but a noun phrase follows them."""
    end = next((at for at, word in enumerate(words) if word not in PLACING), len(words))
    return [] if PLACING & set(words[end:]) else words[:end]


def _is_said(prepositions: list[str], words: list[str]) -> bool:
    """Whether any of them stands among the words, as "towards" does in the form "toward"."""
    return any(
        longer.startswith(shorter) or longer.endswith(shorter)
        for one in prepositions
        for word in PLACING.intersection(words)
        for shorter, longer in (sorted((one, word), key=len),)
    )


class GraphBuilder:
    """Collects the nodes of one caption from its segments."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.objects: dict[int, tuple[str, tuple[int, ...]]] = {}  # by head word
        self.attribute_phrases: dict[int, tuple[str, tuple[int, ...]]] = {}
        self.attributes: set[tuple[int, int]] = set()  # (head word of object, of attribute)
        self.relations: list[tuple[int, str, int, tuple[int, ...]]] = []

    def add_nodes(
        self, segment: Segment, objects: list[int], attributes: list[int], lexicon: Lexicon
    ) -> None:
        for span in _phrases(objects):
            words = [segment.words[at] for at in span]
            name = lexicon.object_names.get(" ".join(words)) or object_label(words)
            span = tuple(sorted({segment.positions[at] for at in span}))
            if span[-1] not in self.objects or len(span) > len(self.objects[span[-1]][1]):
                self.objects[span[-1]] = name, span
        for span in _phrases(attributes):
            phrase = " ".join(segment.words[at] for at in span)
            span = tuple(segment.positions[at] for at in span)
            name = lexicon.attribute_names.get(phrase, phrase)
            self.attribute_phrases[span[-1]] = name, span

    def add_attribute(self, segment: Segment, head: int, objects: list[int]) -> None:
        where = segment.positions
        self.attributes |= {(where[at], where[head]) for at in objects}

    def add_relation(
        self, segment: Segment, source: int, target: int, predicate: str, verb: int
    ) -> None:
        verb_word, where = segment.words[verb], segment.positions
        words = predicate.split()
        span = []
        if words[0] == "V":
            words[0] = verb_lemma(verb_word)
            span.append(segment.positions[verb])
            shot = [word for word in segment.words[verb + 1 : target] if word in SHOTS]
            if words == ["take"] and shot:  # "takes a picture of"
                words = ["take", shot[0], "of"]
            said = _prepositions(segment.words[verb + 1 : target])
            if said and words[1:] and not _is_said(words[1:], segment.words[verb + 1 : target]):
                words = [words[0], *said]  # no class of the network has these
            if not words[1:]:  # "throws a ball to a dog": throw to
                between = range(verb + 1, target)
                things = [at for at in between if where[verb] < where[at] in self.objects]
                words += _prepositions(segment.words[things[-1] + 1 : target]) if things else []
        # Prepositions stand where the caption has them, nearest before the object.
        at = target
        for word in reversed(words[len(span) :]):
            place = next((k for k in range(at - 1, -1, -1) if segment.words[k] == word), None)
            if place is not None:
                at = place
                span.append(segment.positions[place])
        # Else a pronoun of its own noun; only several can do something to one another.
        mutual = {source, target} & segment.mutual and is_plural(segment.words[source])
        if source == target or mutual or where[source] != where[target]:
            relation = where[source], " ".join(words), where[target], tuple(sorted(set(span)))
            self.relations.append(relation)

    def build(self, caption: str) -> ParsedCaption:
        heads = sorted(self.objects)
        number = {head: at for at, head in enumerate(heads)}
        attributes = sorted(self.attributes)
        relations = sorted(set(self.relations))
        return ParsedCaption(
            caption,
            tuple(self.words),
            tuple(self.objects[head][0] for head in heads),
            tuple((number[o], self.attribute_phrases[a][0]) for o, a in attributes),
            tuple((number[s], predicate, number[o]) for s, predicate, o, _ in relations),
            tuple(self.objects[head][1] for head in heads),
            tuple(self.attribute_phrases[a][1] for _, a in attributes),
            tuple(span for *_, span in relations),
        )
