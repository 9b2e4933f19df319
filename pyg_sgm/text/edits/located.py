"""Where the nodes of a text stand among its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyg_sgm.data import TextRecord
from pyg_sgm.data.records import node_phrases, phrase_words
from pyg_sgm.text.parsed_caption import Span
from pyg_sgm.text.synonyms import BEFORE_NOUNS, DETERMINERS, POSSESSIVES
from pyg_sgm.text.word_lists import NUMBERS
from pyg_sgm.text.words import noun_lemma, verb_lemma


@dataclass(frozen=True)
class Located:
    """A text with the positions of its nodes, found by their lemmas where the record has none."""

    text: TextRecord
    objects: list[Span]
    attributes: list[Span]
    relations: list[Span]


def locate(text: TextRecord) -> Located:
    phrases = node_phrases(text)
    if text.spans is None:
        spans = {node: [_find(p, text.words) for p in found] for node, found in phrases.items()}
    else:
        rows = {node: text.spans.get(node, ()) for node in phrases}
        spans = {node: [tuple(sorted(row)) for row in found] for node, found in rows.items()}
    return Located(text, spans["object"], spans["attribute"], spans["relation"])


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


def is_run(span: Span) -> bool:
    return bool(span) and span == tuple(range(span[0], span[-1] + 1))


def written(text: TextRecord, said: Sequence[str], **changes: object) -> TextRecord:
    """The text with other words, its caption spelt as the old one is: with a capital and a full
    stop if that has them."""
    caption = " ".join(said).replace(" 's", "'s")
    if text.caption[:1].isupper():
        caption = caption[:1].upper() + caption[1:]
    if text.caption.rstrip().endswith("."):
        caption += "."
    return replace(text, caption=caption, words=list(said), **changes)  # type: ignore[arg-type]


def fit_article(said: list[str], at: int) -> None:
    """Makes an article before a position the one of the word that is there now."""
    if at and said[at - 1] in ("a", "an"):
        said[at - 1] = "an" if said[at][0] in "aeiou" else "a"


def noun_phrase(it: Located, node: int) -> tuple[int, int] | None:
    """First position of an object with its determiner and adjectives, and the one after it; none
    if it is not in one piece, or belongs to someone ("his horse")."""
    span, said = it.objects[node], it.text.words
    if not is_run(span):
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
