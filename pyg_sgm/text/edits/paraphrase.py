"""The same said in other words."""

from __future__ import annotations

from random import Random

from pyg_sgm.data import TextRecord
from pyg_sgm.text.edits.located import Located, written
from pyg_sgm.text.synonyms import REWORDINGS
from pyg_sgm.text.words import noun_lemma


def paraphrase(it: Located, random: Random) -> TextRecord | None:
    """The text with a synonym for one of its words or prepositions ("next to", "beside"), in its
    graph as well; none if it has no such word."""
    said = list(it.text.words)
    places = [
        (at, at + len(old), new)
        for old, others in REWORDINGS.items()
        for at in range(len(said) - len(old) + 1)
        if tuple(said[at : at + len(old)]) == old and _is_whole(it, at, at + len(old))
        for new in others
    ]
    if not places:
        return None
    first, end, new = random.choice(places)
    longer = len(new) - (end - first)
    words = [*said[:first], *new, *said[end:]]
    if first and words[first - 1] in ("a", "an"):
        words[first - 1] = "an" if new[0][0] in "aeiou" else "a"

    def moved(span: tuple[int, ...]) -> list[int]:
        kept = [at + longer if at >= end else at for at in span if not first <= at < end]
        here = range(first, first + len(new)) if set(span) & set(range(first, end)) else ()
        return sorted([*kept, *here])

    def renamed(label: str, span: tuple[int, ...]) -> str:
        if not set(span) & set(range(first, end)):
            return label
        old = " ".join(said[first:end])
        for was, now in ((old, " ".join(new)), (noun_lemma(old), noun_lemma(" ".join(new)))):
            parts = f" {label} ".split(f" {was} ")
            if len(parts) > 1:
                return f" {now} ".join(parts).strip()
        return label

    text = it.text
    spans = text.spans and {
        "object": [moved(span) for span in it.objects],
        "attribute": [moved(span) for span in it.attributes],
        "relation": [moved(span) for span in it.relations],
    }
    return written(
        text,
        words,
        objects=[renamed(*node) for node in zip(text.objects, it.objects, strict=True)],
        attributes=[
            (owner, renamed(label, span))
            for (owner, label), span in zip(text.attributes, it.attributes, strict=True)
        ],
        relations=[
            (s, renamed(label, span), o)
            for (s, label, o), span in zip(text.relations, it.relations, strict=True)
        ],
        spans=spans,
    )


def _is_whole(it: Located, first: int, end: int) -> bool:
    """Whether every node has all of these words or none: "close" of "close to" is no word alone."""
    here = set(range(first, end))
    return all(
        not here & set(span) or here <= set(span)
        for spans in (it.objects, it.attributes, it.relations)
        for span in spans
    )
