"""Captions with subject and object of a relation exchanged."""

from __future__ import annotations

from pyg_sgm.data import TextRecord
from pyg_sgm.text.edits.located import Located, noun_phrase, written
from pyg_sgm.text.synonyms import AGREEING, is_mutual, is_plural, verb_form
from pyg_sgm.text.words import noun_lemma


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
