"""Who does what a passive says."""

from __future__ import annotations

from dataclasses import replace

from pyg_sgm.text.parsed_caption import ParsedCaption
from pyg_sgm.text.synonyms import PREPOSITIONS
from pyg_sgm.text.word_lists import AUXILIARIES, words
from pyg_sgm.text.words import verb_lemma

BE = words("is are was were be been being am")
# Participles whose "by" says where something is.
STATES = words("park sit stand lie place locate situate position dock moor lean tie line")
# And those that need a form of "be" to be a passive: "a man walked by a house".
STAYING = words(
    "walk run pass jump leap crouch work stretch swim go stroll bike hang kneel step come stop "
    "seat build dress gather set leave drop huddle perch pose rest squat crowd cycle skate jog "
    "march race float sail gallop hop trot wander rush"
)
PAST = words("rode drove flew")  # "ridden by" is a passive


def with_doers(parsed: ParsedCaption) -> ParsedCaption:
    """The graph with "the book was given by the teacher" read as the teacher giving the book.

    Most passives the network turns by itself; this mends relations that it calls "by" or, with
    the verb, "chase by".

    Example:
        >>> read = ParsedCaption(
        ...     "a cup was broken by a cat", tuple("a cup was broken by a cat".split()),
        ...     ("cup", "cat"), (), ((0, "by", 1),), ((1,), (6,)), (), ((4,),))
        >>> print(with_doers(read))
        cup
        cat
        cat -- break -> cup
    """
    relations, spans = [], []
    doers = {
        (s, at)
        for (s, _, _), span in zip(parsed.relations, parsed.relation_spans, strict=True)
        for at in span
    }
    for (s, predicate, o), span in zip(parsed.relations, parsed.relation_spans, strict=True):
        verb = _passive_before(parsed, span[0]) if predicate == "by" and span else None
        patient = None if verb is None else _patient(parsed, verb)
        if verb is not None and patient is not None and patient != o:
            s, predicate, o, span = o, verb_lemma(parsed.words[verb]), patient, (verb,)
        elif predicate.endswith(" by") and span and is_participle(parsed.words[span[0]]):
            if (o, span[0]) in doers:
                continue
            s, predicate, o, span = o, verb_lemma(parsed.words[span[0]]), s, span[:1]
        relations.append((s, predicate, o))
        spans.append(span)
    return replace(parsed, relations=tuple(relations), relation_spans=tuple(spans))


def is_participle(word: str) -> bool:
    """Whether a word before "by" says what is done to a thing, as "chased", not where it is."""
    lemma = verb_lemma(word)
    if lemma == word or word.endswith(("ing", "s", "eed")):  # "reed" is a noun
        return False
    return lemma not in STATES | STAYING and word not in PAST | PREPOSITIONS | AUXILIARIES


def _passive_before(parsed: ParsedCaption, by: int) -> int | None:
    """Position of the participle that a "by" belongs to."""
    for at in range(by - 1, 0, -1):
        word = parsed.words[at]
        if word.endswith("ing"):
            return None
        lemma = verb_lemma(word)
        if lemma != word and parsed.words[at - 1] in BE and lemma not in STATES:
            return at
    return None


def _patient(parsed: ParsedCaption, verb: int) -> int | None:
    """The object before a participle, by preference the one that the verb is said of already."""
    said_of = [
        s
        for (s, _, _), span in zip(parsed.relations, parsed.relation_spans, strict=True)
        if verb in span
    ]
    before = [i for i, span in enumerate(parsed.object_spans) if span and span[-1] < verb]
    return next((s for s in said_of if s in before), before[-1] if before else None)
