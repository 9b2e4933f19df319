"""Parts of captions, and captions with a part more."""

from __future__ import annotations

from dataclasses import dataclass

from pyg_sgm.data import TextRecord
from pyg_sgm.text.edits.located import Located, is_run, noun_phrase, written
from pyg_sgm.text.parsed_caption import Span
from pyg_sgm.text.synonyms import verb_form


@dataclass(frozen=True)
class Detail:
    """What a caption says more of an object: "in a red shirt".

    Args:
        words (tuple): Its words, the predicate first.
        predicate (str): Label of the relation.
        target (str): Label of the object.
        head (tuple): Positions of the object among the words.
        verb (tuple): Positions of the predicate.
        attributes (tuple, optional): Labels of the object's attributes and their positions.
            (default: :obj:`()`)
    """

    words: tuple[str, ...]
    predicate: str
    target: str
    head: tuple[int, ...]
    verb: tuple[int, ...]
    attributes: tuple[tuple[str, tuple[int, ...]], ...] = ()


def details(it: Located) -> list[tuple[int, Detail]]:
    """The relations of a text that read as a phrase of their own, with the index of their subject:
    a preposition or participle, and right behind it the noun phrase of the object."""
    found = []
    for i, (s, label, o) in enumerate(it.text.relations):
        span = _predicate(it, i)
        phrase = noun_phrase(it, o) if is_run(span) and s != o else None
        if phrase is None or span[-1] + 1 != phrase[0]:
            continue
        first, end = span[0], phrase[1]
        if verb_form(it.text.words[first]) not in ("preposition", "ing"):
            continue
        attributes = tuple(
            (name, tuple(at - first for at in where))
            for (owner, name), where in zip(it.text.attributes, it.attributes, strict=True)
            if owner == o and where and first <= where[0] and where[-1] < end
        )
        detail = Detail(
            tuple(it.text.words[first:end]),
            label,
            it.text.objects[o],
            tuple(at - first for at in it.objects[o]),
            tuple(at - first for at in span),
            attributes,
        )
        found.append((s, detail))
    return found


def _predicate(it: Located, relation: int) -> Span:
    """Positions of a predicate; of one that the caption only implies ("wear"), the preposition
    before its object ("in a hat")."""
    span = it.relations[relation]
    phrase = None if span else noun_phrase(it, it.text.relations[relation][2])
    if phrase is None or not phrase[0] or it.text.words[phrase[0] - 1] not in ("in", "with"):
        return span
    return (phrase[0] - 1,)


def with_detail(text: TextRecord, subject: int, at: int, detail: Detail) -> TextRecord:
    """The text with a detail of one of its objects, whose words begin at position ``at``."""
    size, target = len(detail.words), len(text.objects)
    said = [*text.words[:at], *detail.words, *text.words[at:]]
    spans = None
    if text.spans is not None:
        own: dict[str, list[tuple[int, ...]]] = {
            "object": [detail.head],
            "relation": [detail.verb],
            "attribute": [where for _, where in detail.attributes],
        }
        spans = {
            node: [
                *([old + size if old >= at else old for old in row] for row in text.spans[node]),
                *([at + new for new in row] for row in own[node]),
            ]
            for node in own
        }
    return written(
        text,
        said,
        objects=[*text.objects, detail.target],
        attributes=[*text.attributes, *((target, name) for name, _ in detail.attributes)],
        relations=[*text.relations, (subject, detail.predicate, target)],
        spans=spans,
    )


def short_text(it: Located, relation: int) -> tuple[TextRecord, int, int] | None:
    """A text cut down to one relation, the index of its subject there, and the position behind the
    subject's noun phrase; none if subject, predicate and object are not one behind the other."""
    s, _, o = it.text.relations[relation]
    span = _predicate(it, relation)
    subject, target = noun_phrase(it, s), noun_phrase(it, o)
    if s == o or not span or subject is None or target is None:
        return None
    if not (subject[1] <= span[0] and span[-1] < target[0]):
        return None
    first, end = subject[0], target[1]
    between = set(range(subject[1], target[0]))
    if any(between & set(row) for i, row in enumerate(it.objects) if i not in (s, o)):
        return None
    nodes = [i for i, row in enumerate(it.objects) if row and first <= row[0] and row[-1] < end]
    number = {old: new for new, old in enumerate(nodes)}
    attributes = [
        i
        for i, ((owner, _), row) in enumerate(zip(it.text.attributes, it.attributes, strict=True))
        if owner in number and row and first <= row[0] and row[-1] < end
    ]
    relations = [
        i
        for i, ((a, _, b), row) in enumerate(zip(it.text.relations, it.relations, strict=True))
        if i == relation
        or (a in number and b in number and row and first <= row[0] and row[-1] < end)
    ]
    kept = {"object": nodes, "attribute": attributes, "relation": relations}
    where = {"object": it.objects, "attribute": it.attributes, "relation": it.relations}
    spans = it.text.spans and {
        node: [[at - first for at in where[node][i]] for i in kept[node]] for node in kept
    }
    short = written(
        it.text,
        it.text.words[first:end],
        objects=[it.text.objects[i] for i in nodes],
        attributes=[
            (number[it.text.attributes[i][0]], it.text.attributes[i][1]) for i in attributes
        ],
        relations=[
            (number[a], label, number[b])
            for a, label, b in (it.text.relations[i] for i in relations)
        ],
        spans=spans,
    )
    return short, number[s], subject[1] - first
