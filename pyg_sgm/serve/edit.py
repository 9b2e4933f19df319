"""A text's graph changed by hand: words, nodes and positions change together.

Nothing is parsed again, so what was not touched stays as it was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from pyg_sgm.data import TextRecord
from pyg_sgm.data.records import phrase_words
from pyg_sgm.serve.saying import Kind, check_node, said_anew
from pyg_sgm.text.edits.located import Located, locate, noun_phrase
from pyg_sgm.text.edits.swap import swap
from pyg_sgm.text.synonyms import PREPOSITIONS


def swapped(text: TextRecord, relation: int) -> TextRecord:
    """Subject and object of a relation change places, with what is said of them where the sentence
    allows it; else the sentence is said anew from the graph.

    Args:
        text (TextRecord): The text.
        relation (int): Which of its relations.

    Raises:
        ValueError: If there is no such relation.

    Example:
        >>> from pyg_sgm.data import text_record
        >>> text = text_record("a man rides a brown horse", objects=["man", "horse"],
        ...     attributes=[(1, "brown")], relations=[(0, "rides", 1)])
        >>> swapped(text, 0).caption
        'a brown horse rides a man'
    """
    check_node(text, "relation", relation)
    found = swap(locate(text), relation)
    if found is not None:
        return found
    relations = list(text.relations)
    s, predicate, o = relations[relation]
    relations[relation] = (o, predicate, s)
    return said_anew(replace(text, relations=relations))


def renamed(text: TextRecord, kind: Kind, index: int, phrase: str) -> TextRecord:
    """A node with another phrase, also in the sentence.

    Args:
        text (TextRecord): The text.
        kind (Kind): What the node is.
        index (int): Which of its kind.
        phrase (str): Its new phrase.

    Raises:
        ValueError: If there is no such node, or no word in the phrase.

    Example:
        >>> from pyg_sgm.data import text_record
        >>> text = text_record("a man rides a horse", relations=[("man", "rides", "horse")])
        >>> renamed(text, "object", 1, "camel").caption
        'a man rides a camel'
    """
    check_node(text, kind, index)
    it = locate(text)
    span = _spans(it)[kind][index]
    rows: list[Any] = [*_rows(text, kind)]
    rows[index] = phrase if kind == "object" else (rows[index][0], phrase, *rows[index][2:])
    at = min(span, default=len(text.words))
    said = _rewritten(it, span, at, _words(phrase), (kind, index))
    return replace(said, **{_FIELDS[kind]: rows})  # type: ignore[arg-type]


def removed(text: TextRecord, kind: Kind, index: int) -> TextRecord:
    """A text without a node; an object goes with its attributes and relations.

    Args:
        text (TextRecord): The text.
        kind (Kind): What the node is.
        index (int): Which of its kind.

    Raises:
        ValueError: If there is no such node.

    Example:
        >>> from pyg_sgm.data import text_record
        >>> text = text_record("a man in a hat rides a horse",
        ...     relations=[("man", "in", "hat"), ("man", "rides", "horse")])
        >>> left = removed(text, "object", 1)
        >>> left.caption, left.objects, left.relations
        ('a man rides a horse', ['man', 'horse'], [(0, 'rides', 1)])
    """
    check_node(text, kind, index)
    it = locate(text)
    gone: dict[str, set[int]] = {"object": set(), "attribute": set(), "relation": set()}
    gone[kind].add(index)
    positions: set[int] = set()
    if kind == "object":
        gone["attribute"] = {i for i, (o, _) in enumerate(text.attributes) if o == index}
        gone["relation"] = {i for i, (s, _, o) in enumerate(text.relations) if index in (s, o)}
        first, end = noun_phrase(it, index) or (0, 0)
        while first > 0 and text.words[first - 1] in PREPOSITIONS | {"and"}:
            first -= 1  # what led to the noun; what a node stands for is kept below
        positions |= set(range(first, end))
    spans = _spans(it)
    positions |= {at for node, rows in gone.items() for i in rows for at in spans[node][i]}
    kept = {node: [i for i in range(len(spans[node])) if i not in gone[node]] for node in spans}
    positions -= {at for node, rows in kept.items() for i in rows for at in spans[node][i]}
    place = {old: new for new, old in enumerate(kept["object"])}
    left = replace(
        text,
        objects=[text.objects[i] for i in kept["object"]],
        attributes=[(place[o], p) for o, p in (text.attributes[i] for i in kept["attribute"])],
        relations=[
            (place[s], p, place[o]) for s, p, o in (text.relations[i] for i in kept["relation"])
        ],
        spans={node: [spans[node][i] for i in rows] for node, rows in kept.items()},
    )
    return _rewritten(locate(left), positions, 0, ())


def with_object(text: TextRecord, phrase: str) -> TextRecord:
    """A text with an object more, at its end.

    Args:
        text (TextRecord): The text.
        phrase (str): The object.

    Raises:
        ValueError: If there is no word in the phrase.
    """
    grown = _grown(text, "object", phrase)
    return _rewritten(grown, (), len(text.words), _words(phrase), ("object", len(text.objects)))


def with_attribute(text: TextRecord, index: int, phrase: str) -> TextRecord:
    """A text that says more of an object.

    Args:
        text (TextRecord): The text.
        index (int): Which object.
        phrase (str): The attribute.

    Raises:
        ValueError: If there is no such object, or no word in the phrase.

    Example:
        >>> from pyg_sgm.data import text_record
        >>> text = text_record("a man rides a horse", relations=[("man", "rides", "horse")])
        >>> with_attribute(text, 1, "brown").caption
        'a man rides a brown horse'
    """
    check_node(text, "object", index)
    grown = _grown(text, "attribute", (index, phrase))
    at = min(grown.objects[index], default=len(text.words))
    node: tuple[Kind, int] = ("attribute", len(text.attributes))
    return _rewritten(grown, (), at, _words(phrase), node)


def with_relation(text: TextRecord, subject: int, phrase: str, target: int) -> TextRecord:
    """A text with a relation more, said at its end, of the last noun if that is its subject.

    Args:
        text (TextRecord): The text.
        subject (int): Which object does it.
        phrase (str): What it does.
        target (int): To which object.

    Raises:
        ValueError: If there is no such object, or no word in the phrase.

    Example:
        >>> from pyg_sgm.data import text_record
        >>> text = text_record("a man and a dog", objects=["man", "dog"])
        >>> with_relation(text, 1, "beside", 0).caption
        'a man and a dog beside man'
        >>> with_relation(text, 0, "beside", 1).caption
        'a man and a dog and man beside dog'
    """
    check_node(text, "object", subject)
    check_node(text, "object", target)
    grown = _grown(text, "relation", (subject, phrase, target))
    last = max(grown.objects[subject], default=-1) == len(text.words) - 1
    before = () if last else ("and", *phrase_words(text.objects[subject]))
    words = _words(phrase)
    said = [*before, *words, *phrase_words(text.objects[target])]
    node: tuple[Kind, int] = ("relation", len(text.relations))
    inside = range(len(before), len(before) + len(words))
    return _rewritten(grown, (), len(text.words), said, node, inside)


_FIELDS = {"object": "objects", "attribute": "attributes", "relation": "relations"}


def _rows(text: TextRecord, kind: Kind) -> Sequence[object]:
    rows: Sequence[object] = getattr(text, _FIELDS[kind])
    return rows


def _words(phrase: str) -> tuple[str, ...]:
    words = phrase_words(phrase)
    if not words:
        raise ValueError(f"there is no word in {phrase!r}")
    return words


def _spans(it: Located) -> dict[str, list[tuple[int, ...]]]:
    return {"object": it.objects, "attribute": it.attributes, "relation": it.relations}


def _grown(text: TextRecord, kind: Kind, row: object) -> Located:
    """The text with a node more that stands nowhere yet."""
    spans = _spans(locate(text))
    spans[kind] = [*spans[kind], ()]
    rows = {_FIELDS[kind]: [*_rows(text, kind), row]}
    return locate(replace(text, spans=spans, has_graph=True, **rows))  # type: ignore[arg-type]


def _rewritten(
    it: Located,
    gone: Collection[int],
    at: int,
    new: Sequence[str],
    node: tuple[Kind, int] | None = None,
    inside: Iterable[int] | None = None,
) -> TextRecord:
    """The text without the words at some positions, and with new ones before position ``at``, where
    a node then stands: on all of them or on those ``inside``."""
    old, words, place = it.text.words, list[str](), dict[int, int]()
    first = 0
    for position in range(len(old) + 1):
        if position == at:
            first = len(words)
            words += new
        if position < len(old) and position not in gone:
            place[position] = len(words)
            words.append(old[position])
    spans: dict[str, list[list[int]]] = {
        kind: [[place[p] for p in span if p in place] for span in found]
        for kind, found in _spans(it).items()
    }
    if node is not None:
        spans[node[0]][node[1]] = [first + i for i in inside or range(len(new))]
    return replace(it.text, caption=" ".join(words), words=words, spans=spans)
