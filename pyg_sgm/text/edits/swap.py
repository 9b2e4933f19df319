"""Captions with subject and object of a relation exchanged, or attributes of two objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pyg_sgm.data import TextRecord
from pyg_sgm.text.edits.located import Located, fit_article, noun_phrase, written
from pyg_sgm.text.synonyms import (
    AGREEING,
    is_mutual,
    is_number,
    is_plural,
    same_attribute,
    sorts,
    verb_form,
)
from pyg_sgm.text.words import noun_lemma


def reversible_pairs(
    texts: Sequence[TextRecord], least: int = 5, ratio: float = 3.0
) -> frozenset[tuple[str, str]]:
    """Pairs of nouns either of which does something to the other, such as dog and cat.

    A relation counts if it does not hold in both directions by itself ("next to"). Of two such
    nouns a swapped caption is as plausible as the true one: nothing but the image tells them apart.

    Args:
        texts (list of TextRecord): Texts with graphs, as a rule those of the training.
        least (int, optional): Times that each direction is said. (default: :obj:`5`)
        ratio (float, optional): One direction is said at most this many times as often as the
            other. (default: :obj:`3.0`)

    Returns:
        The pairs, each in alphabetical order.

    Example:
        >>> from pyg_sgm.data import text_record
        >>> chases = [("dog", "chases", "cat"), ("cat", "watches", "dog"), ("dog", "eats", "food")]
        >>> texts = [text_record(" ".join(one), relations=[one]) for one in chases * 5]
        >>> sorted(reversible_pairs(texts))
        [('cat', 'dog')]
    """
    counts: Counter[tuple[str, str]] = Counter()
    for text in texts:
        for s, predicate, o in text.relations:
            if not is_mutual(predicate):
                counts[noun_lemma(text.objects[s]), noun_lemma(text.objects[o])] += 1
    return frozenset(
        (one, other)
        for (one, other), count in counts.items()
        if one < other
        and min(count, counts[other, one]) >= least
        and max(count, counts[other, one]) <= ratio * min(count, counts[other, one])
    )


def is_reversible(it: Located, relation: int, reversible: frozenset[tuple[str, str]]) -> bool:
    """Whether subject and object of a relation are one of the pairs."""
    s, _, o = it.text.relations[relation]
    names = sorted(noun_lemma(it.text.objects[node]) for node in (s, o))
    return (names[0], names[1]) in reversible


def swap(it: Located, relation: int) -> TextRecord | None:
    """The text with subject and object of a relation exchanged; none if that changes nothing, or
    the sentence would no longer be one."""
    text = it.text
    s, predicate, o = text.relations[relation]
    if is_mutual(predicate) or not it.relations[relation] or s == o:
        return None
    blocks = [noun_phrase(it, node) for node in (s, o)]
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
    return written(
        text, [text.words[at] for at in order], attributes=attributes, relations=relations,
        spans=spans,
    )  # fmt: skip


def swap_attributes(
    it: Located, one: int, two: int, said: set[tuple[str, str]]
) -> TextRecord | None:
    """The text with two attributes of one sort exchanged; none if that changes nothing, or what
    it then says is said of the image, as pairs of noun and attribute."""
    text = it.text
    (s, first), (o, second) = text.attributes[one], text.attributes[two]
    spans = it.attributes[one], it.attributes[two]
    if s == o or any(len(span) != 1 or it.attributes.count(span) > 1 for span in spans):
        return None
    if is_number(first) or is_number(second) or not sorts(first) & sorts(second):
        return None
    own = {node: [label for owner, label in text.attributes if owner == node] for node in (s, o)}
    if any(same_attribute(second, label) for label in own[s]) or any(
        same_attribute(first, label) for label in own[o]
    ):
        return None
    nouns = noun_lemma(text.objects[s]), noun_lemma(text.objects[o])
    if nouns[0] == nouns[1]:
        if _part(it, s) == _part(it, o):  # "a brown dog and a white dog"
            return None
    elif {(nouns[0], second), (nouns[1], first)} & said:
        return None
    (at,), (to,) = spans
    words = list(text.words)
    words[at], words[to] = words[to], words[at]
    for place in (at, to):
        fit_article(words, place)
    attributes = list(text.attributes)
    attributes[one], attributes[two] = (s, second), (o, first)
    return written(text, words, attributes=attributes)


def _part(it: Located, node: int) -> set[tuple[str, str, str]]:
    """What an object does to others, or they to it, but what holds in both directions."""
    said = it.text.objects
    relations = [r for r in it.text.relations if not is_mutual(r[1])]
    return {("", label, said[o]) for s, label, o in relations if s == node} | {
        (said[s], label, "") for s, label, o in relations if o == node
    }


def _agrees(it: Located, s: int, o: int) -> bool:
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
