"""False captions that differ from a true one in a single thing, in words and graph alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, get_args

from pyg_sgm.data import TextRecord
from pyg_sgm.data.records import node_phrases, phrase_words
from pyg_sgm.text._lists import NUMBERS
from pyg_sgm.text._synonyms import (
    AGREEING,
    BEFORE_NOUNS,
    DETERMINERS,
    POSSESSIVES,
    is_mutual,
    is_plural,
    same_attribute,
    same_predicate,
    sorts,
    verb_form,
)
from pyg_sgm.text._words import noun_lemma, verb_lemma

EditKind = Literal["swapped_relation", "replaced_predicate", "replaced_attribute"]
EDITS: tuple[EditKind, ...] = get_args(EditKind)
FREQUENT = 2  # times at least that the texts have a replacement with the noun that it gets

Span = tuple[int, ...]


@dataclass(frozen=True)
class _Located:
    """A text with the positions of its nodes, found by their lemmas where the record has none."""

    text: TextRecord
    objects: list[Span]
    attributes: list[Span]
    relations: list[Span]


def edit_texts(
    texts: Sequence[TextRecord], image_of_text: Sequence[int], kind: EditKind, seed: int = 0
) -> dict[int, TextRecord]:
    """For every text that allows it, a false one that differs from it in one thing.

    Both have the same nodes, and nothing is parsed anew: a parser that stumbles over odd sentences
    would tell the false ones apart without the image.

    - ``"swapped_relation"``: subject and object of a relation exchange places, with their
      determiners and adjectives; the words stay the same. Relations that hold in both directions
      are left alone, and so are nouns that the text names twice.
    - ``"replaced_predicate"``: another predicate of the same form ("riding", "leading") that the
      texts use more than once with that object.
    - ``"replaced_attribute"``: another attribute of the same sort (colour, size, age, material,
      number) that the texts give more than once to that noun.

    What replaces holds in no other text of the image, and is no synonym of the word it replaces or
    of one that does.

    Args:
        texts: Texts with graphs.
        image_of_text: Image of every text; those of one image are each other's witnesses.
        kind: What the false texts get wrong.
        seed: Of the choice among the relations of a text, and among replacements, which are drawn
            by their frequency. (default: ``0``)

    Returns:
        Index of the true text and the false one.

    Example:
        >>> from pyg_sgm.text import parse
        >>> text = parse("a young man rides a brown horse").to_record()
        >>> false = edit_texts([text], [0], "swapped_relation")[0]
        >>> false.caption, [(false.objects[s], p, false.objects[o]) for s, p, o in false.relations]
        ('a brown horse rides a young man', [('horse', 'ride', 'man')])
    """
    if kind not in EDITS:
        raise ValueError(f"kind: expected one of {EDITS}, got {kind!r}")
    located = [_locate(text) for text in texts]
    random = Random(f"{seed}/{kind}")
    if kind == "swapped_relation":
        swaps = {
            i: [edited for r in range(len(it.text.relations)) if (edited := _swap(it, r))]
            for i, it in enumerate(located)
        }
        return {i: random.choice(edited) for i, edited in swaps.items() if edited}
    edits = _Replacements(located, kind)
    said: dict[int, set[str]] = defaultdict(set)  # what the texts of an image say
    for image, it in zip(image_of_text, located, strict=True):
        said[image] |= edits.said(it)
    chosen = {}
    for i, (image, it) in enumerate(zip(image_of_text, located, strict=True)):
        nodes = [
            (node, found) for node in edits.nodes(it) if (found := edits.of(it, node, said[image]))
        ]
        if nodes:
            node, counts = random.choice(nodes)
            ((new, label),) = random.choices(list(counts), list(counts.values()))
            chosen[i] = edits.apply(it, node, new, label)
    return chosen


# Swapping


def _swap(it: _Located, relation: int) -> TextRecord | None:
    """The text with subject and object of a relation exchanged; none if that changes nothing, or
    the sentence would no longer be one."""
    text = it.text
    s, predicate, o = text.relations[relation]
    if is_mutual(predicate) or not it.relations[relation] or s == o:
        return None
    blocks = [_noun_phrase(it, node) for node in (s, o)]
    if blocks[0] is None or blocks[1] is None:
        return None
    (a, b), (c, d) = sorted(block for block in blocks if block is not None)
    if b > c or set(it.relations[relation]) & {*range(a, b), *range(c, d)}:
        return None
    heads = [noun_lemma(text.words[it.objects[node][-1]]) for node in (s, o)]
    outside = [*text.words[:a], *text.words[b:c], *text.words[d:]]
    if heads[0] == heads[1] or {noun_lemma(word) for word in outside} & set(heads):
        return None
    if not _agrees(it, s, o):
        return None
    order = [*range(a), *range(c, d), *range(b, c), *range(a, b), *range(d, len(text.words))]
    place = {old: new for new, old in enumerate(order)}
    # What is said beside a noun phrase, not in it, is now said of the noun that took its place.
    other = {s: o, o: s}
    inside = {*range(a, b), *range(c, d)}
    attributes = [
        (owner if set(span) <= inside else other.get(owner, owner), label)
        for (owner, label), span in zip(text.attributes, it.attributes, strict=True)
    ]
    relations = [(other.get(i, i), label, other.get(j, j)) for i, label, j in text.relations]
    spans = text.spans and {
        node: [sorted(place[at] for at in span) for span in rows]
        for node, rows in text.spans.items()
    }
    return _written(
        text, [text.words[at] for at in order], attributes=attributes, relations=relations,
        spans=spans,
    )  # fmt: skip


def _noun_phrase(it: _Located, node: int) -> tuple[int, int] | None:
    """First position of an object with its determiner and adjectives, and the one after it; none
    if it is not in one piece, or belongs to someone ("his horse")."""
    span, said = it.objects[node], it.text.words
    if not _is_run(span):
        return None
    own = {
        at
        for (owner, _), found in zip(it.text.attributes, it.attributes, strict=True)
        if owner == node
        for at in found
    }
    first = span[0]
    while first - 1 in own or (first > 1 and said[first - 1] == "and" and first - 2 in own):
        first -= 1
    if first > 0 and said[first - 1] in DETERMINERS:
        first -= 1
    elif first > 0:
        predicates = {at for found in it.relations for at in found}
        before = said[first - 1]
        if before not in BEFORE_NOUNS and first - 1 not in predicates:
            return None
    if first > 0 and said[first - 1] in POSSESSIVES | DETERMINERS | {"of"}:
        return None
    return first, span[-1] + 1


def _agrees(it: _Located, s: int, o: int) -> bool:
    """Whether the verbs still agree in number when two nouns exchange places."""
    said = it.text.words
    plural = [is_plural(said[it.objects[node][-1]]) for node in (s, o)]
    if plural[0] == plural[1]:
        return True
    verbs = [
        verb_form(said[span[0]])
        for (subject, _, _), span in zip(it.text.relations, it.relations, strict=True)
        if subject in (s, o) and span
    ]
    return not AGREEING & set(said) and set(verbs) <= {"ing", "ed", "preposition"}


# Replacing


class _Replacements:
    """What may stand for the predicates or attributes of texts.

    Args:
        located: All texts.
        kind: ``"replaced_predicate"`` or ``"replaced_attribute"``.
    """

    def __init__(self, located: Sequence[_Located], kind: EditKind) -> None:
        self.node: Literal["relation", "attribute"]
        self.node = "relation" if kind == "replaced_predicate" else "attribute"
        # Noun -> (words, label) -> how often.
        self._seen: dict[str, Counter[tuple[tuple[str, ...], str]]] = defaultdict(Counter)
        for it in located:
            for i in self.nodes(it):
                self._seen[self._noun(it, i)][self._words(it, i), self._label(it, i)] += 1

    def nodes(self, it: _Located) -> list[int]:
        """Relations or attributes whose words can be replaced."""
        spans = self._spans(it)
        if self.node == "attribute":
            return [
                i for i, span in enumerate(spans) if len(span) == 1 and sorts(self._label(it, i))
            ]
        return [
            i
            for i, span in enumerate(spans)
            # Relations may share words, if all of them: "people and dogs sit on grass".
            if _is_run(span)
            and self._label(it, i) != "of"  # part of a name: "group of men"
            and all(r == span or not set(r) & set(span) for r in spans)
            and not DETERMINERS & set(it.text.words[span[0] - 1 : span[0]])  # "to the left of"
        ]

    def said(self, it: _Located) -> set[str]:
        """What a text says, in all words that mean it."""
        if self.node == "attribute":
            return {label for _, label in it.text.attributes} | set(it.text.words)
        return {label for _, label, _ in it.text.relations}

    def of(self, it: _Located, node: int, said: set[str]) -> dict[tuple[tuple[str, ...], str], int]:
        """Frequent words and labels in place of a node's, none of which is said of the image."""
        label, old = self._label(it, node), self._words(it, node)
        return {
            (new, other): count
            for (new, other), count in self._seen[self._noun(it, node)].items()
            if count >= FREQUENT
            and self._fits(old, label, new, other)
            and not self._holds(other, said)
        }

    def apply(self, it: _Located, node: int, new: tuple[str, ...], label: str) -> TextRecord:
        """The text with other words for a node."""
        text, span = it.text, self._spans(it)[node]
        first, longer = span[0], len(new) - len(span)
        last = first + len(new) - 1
        said = [*text.words[:first], *new, *text.words[span[-1] + 1 :]]
        if first and said[first - 1] in ("a", "an"):
            said[first - 1] = "an" if new[0][0] in "aeiou" else "a"
        spans = text.spans and {
            kind: [
                range(first, first + len(new))
                if set(row) == set(span)
                else [at + longer if at > span[-1] else min(at, last) for at in row]
                for row in rows
            ]
            for kind, rows in text.spans.items()
        }
        if self.node == "attribute":
            attributes = list(text.attributes)
            attributes[node] = (attributes[node][0], label)
            return _written(text, said, attributes=attributes, spans=spans)
        relations = [
            (s, label if found == span else predicate, o)
            for (s, predicate, o), found in zip(text.relations, it.relations, strict=True)
        ]
        return _written(text, said, relations=relations, spans=spans)

    def _spans(self, it: _Located) -> list[Span]:
        return it.relations if self.node == "relation" else it.attributes

    def _words(self, it: _Located, node: int) -> tuple[str, ...]:
        return tuple(it.text.words[at] for at in self._spans(it)[node])

    def _label(self, it: _Located, node: int) -> str:
        return (
            it.text.relations[node][1] if self.node == "relation" else it.text.attributes[node][1]
        )

    def _noun(self, it: _Located, node: int) -> str:
        if self.node == "relation":
            return it.text.objects[it.text.relations[node][2]]
        return it.text.objects[it.text.attributes[node][0]]

    def _fits(self, old: tuple[str, ...], label: str, new: tuple[str, ...], other: str) -> bool:
        """Whether new words keep the sentence whole and mean something else."""
        if self.node == "attribute":
            return bool(sorts(label) & sorts(other)) and not same_attribute(label, other)
        return verb_form(old[0]) == verb_form(new[0]) and not same_predicate(label, other)

    def _holds(self, label: str, said: set[str]) -> bool:
        same = same_attribute if self.node == "attribute" else same_predicate
        return any(same(label, other) for other in said)


# Words


def _locate(text: TextRecord) -> _Located:
    phrases = node_phrases(text)
    if text.spans is None:
        spans = {node: [_find(p, text.words) for p in found] for node, found in phrases.items()}
    else:
        rows = {node: text.spans.get(node, ()) for node in phrases}
        spans = {node: [tuple(sorted(row)) for row in found] for node, found in rows.items()}
    return _Located(text, spans["object"], spans["attribute"], spans["relation"])


def _find(phrase: str, said: Sequence[str]) -> Span:
    """Where a phrase occurs in one piece, up to inflection; else nowhere."""
    sought = phrase_words(phrase)
    for first in range(len(said) - len(sought) + 1):
        found = said[first : first + len(sought)]
        if all(
            want in (word, verb_lemma(word), noun_lemma(word), NUMBERS.get(word))
            for want, word in zip(sought, found, strict=True)
        ):
            return tuple(range(first, first + len(sought)))
    return ()


def _is_run(span: Span) -> bool:
    return bool(span) and span == tuple(range(span[0], span[-1] + 1))


def _written(text: TextRecord, said: Sequence[str], **changes: object) -> TextRecord:
    return replace(text, caption=" ".join(said), words=list(said), **changes)  # type: ignore[arg-type]
