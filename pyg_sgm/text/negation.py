"""What a caption denies: found among its words, and taken out of its graph."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from pyg_sgm.text.parsed_caption import ParsedCaption
from pyg_sgm.text.word_lists import AUXILIARIES, words

WITHOUT = words("without lacking lacks minus")
# Words that deny together with the next one; "w/o" is two words.
WITHOUT_PAIRS = {("free", "of"), ("devoid", "of"), ("w", "o")}
NOUN_CUES = WITHOUT | words("no neither nor nobody noone no-one nothing none")
VERB_CUES = words("not never cannot")
OWN = words("his her its their my your our")
SKIPPED = (
    AUXILIARIES
    | OWN
    | words("yet really even currently actually any a an the either of o single one got")
)
DEFINITE = OWN | words("the this that these those")
RELATION, ATTRIBUTE = 1, 2  # kinds of nodes; an object is 0
OF_THEM = words("of them which whom the two")  # "neither of them"


@dataclass(frozen=True)
class Cue:
    """A word that denies, and whether it denies a thing or what is said of a thing."""

    at: int
    denies: Literal["noun", "verb"]


def negation_cues(said: Sequence[str]) -> list[Cue]:
    """The words of a caption that deny something.

    Example:
        >>> [cue.at for cue in negation_cues("a man who isn't wearing a hat".split())]
        [3]
        >>> negation_cues("a no parking sign".split())
        []
    """
    cues = []
    for at, (word, after) in enumerate(pairwise([*said, ""])):
        if word == "no" and {"sign", "signs"} & set(said[at + 1 : at + 4]):
            continue  # what a sign says
        if word == "not" and after == "only":
            continue
        of_verb = (word == "without" and after[-3:] == "ing") or (
            word in ("neither", "none") and _is_verb(_next_word(said, at))
        )
        if of_verb or word in VERB_CUES or word.endswith("n't"):
            cues.append(Cue(at, "verb"))
        elif word in NOUN_CUES or (word, after) in WITHOUT_PAIRS:
            cues.append(Cue(at, "noun"))
    return cues


def _is_verb(word: str) -> bool:
    return word.endswith("ing") or word in AUXILIARIES


def _next_word(said: Sequence[str], at: int) -> str:
    """The word after "neither", or after "neither of them"."""
    return next((word for word in said[at + 1 :] if word not in OF_THEM), "")


def take_out_denied(parsed: ParsedCaption) -> ParsedCaption:
    """The graph without what its caption denies, which becomes its exclusions.

    Args:
        parsed (ParsedCaption): A graph that reads the caption as if nothing were denied.

    Example:
        >>> affirmed = ParsedCaption(
        ...     "a man without a hat", ("a", "man", "without", "a", "hat"), ("man", "hat"),
        ...     (), ((0, "wear", 1),), ((1,), (4,)), (), ((2,),))
        >>> parsed = take_out_denied(affirmed)
        >>> parsed.objects, parsed.relations, parsed.exclusions
        (('man',), (), (('man', 'wear', 'hat'),))
    """
    cues = negation_cues(parsed.words)
    if not cues:
        return parsed
    denied = _Denied(parsed)
    for cue in cues:
        if cue.denies == "verb":
            denied.add_predicate(cue.at)
        else:
            denied.add_objects(cue.at)
    return denied.taken_out()


class _Denied:
    """What the cues of a caption deny."""

    def __init__(self, parsed: ParsedCaption) -> None:
        self.parsed = parsed
        self.objects: dict[int, int] = {}  # index of the object -> position of its cue
        self.relations: set[int] = set()
        self.attributes: set[int] = set()
        self.described: set[int] = {at for span in parsed.attribute_spans for at in span}
        # Where nodes begin; of those at one place, the object comes first.
        nodes = (parsed.object_spans, parsed.relation_spans, parsed.attribute_spans)
        self.starts = sorted(
            (min(span), kind) for kind, spans in enumerate(nodes) for span in spans if span
        )
        objects = ((span, i) for i, span in enumerate(parsed.object_spans) if span)
        self.order = sorted(objects, key=lambda item: item[0][-1])

    def add_predicate(self, cue: int) -> None:
        """The nearest thing said after the cue: relations of one verb, or an attribute."""
        p = self.parsed
        # "hasn't" is a verb itself.
        at = bisect_left(self.starts, (cue, RELATION))
        if at == len(self.starts):
            return
        first, kind = self.starts[at]
        if set(p.words[cue + 1 : first]) & {"but", "and"}:
            return
        if kind == RELATION:
            self.relations |= {
                i for i, span in enumerate(p.relation_spans) if span and min(span) == first
            }
        elif kind == ATTRIBUTE and self._describes_before(first, cue):
            self.attributes |= {i for i, span in enumerate(p.attribute_spans) if first in span}
        else:
            self.add_objects(cue)

    def _is_bare(self, i: int) -> bool:
        """Whether an object has no article: "shoes" and "a hat" are not joined by "without"."""
        first = self._first_word(i)
        return not first or self.parsed.words[first - 1] not in ("a", "an", "the", "any")

    def _first_word(self, i: int) -> int:
        first = self.parsed.object_spans[i][0]
        while first and first - 1 in self.described:
            first -= 1
        return first

    def _describes_before(self, at: int, cue: int) -> bool:
        """Whether the attribute at a position is of an object before the cue."""
        p = self.parsed
        return any(
            at in span and max(p.object_spans[owner], default=cue) < cue
            for (owner, _), span in zip(p.attributes, p.attribute_spans, strict=True)
        )

    def add_objects(self, cue: int) -> None:
        """The first thing after the cue, and those joined to it by "or"; its own by "nobody"."""
        p = self.parsed
        last, bare = cue, False
        joining = {"or", "nor", *(["and"] if p.words[cue] in WITHOUT | {"neither"} else [])}
        after = bisect_left(self.order, cue, key=lambda item: item[0][-1])
        for span, i in self.order[after:]:
            between = {
                word
                for at, word in enumerate(p.words[last + 1 : span[0]], last + 1)
                if at not in self.described
            }
            if not between <= SKIPPED | (joining if last != cue else set()):
                return
            alike = "and" not in between or self._is_bare(i) == bare
            if last != cue and not (between & joining and alike):
                return
            bare = self._is_bare(i)
            self.objects[i] = cue
            last = span[-1]

    def taken_out(self) -> ParsedCaption:
        p = self.parsed
        exclusions: dict[tuple[str, ...], None] = {}
        kept: dict[tuple[int, str, int], tuple[int, ...]] = {}
        hosts = {o: s for s, _, o in p.relations if o in self.objects and s not in self.objects}
        for i, cue in self.objects.items():
            if i not in hosts and self._follows_with(cue, any(i == s for s, _, _ in p.relations)):
                host = self._host(cue)
                if host is not None:
                    hosts[i] = host
                    exclusions[p.objects[host], "with", self._name(i)] = None
        for i, (s, predicate, o) in enumerate(p.relations):
            span = p.relation_spans[i]
            if s in self.objects and o not in self.objects:
                if s in hosts and hosts[s] != o:  # "without shoes on a swing": who is on the swing?
                    kept.setdefault((hosts[s], predicate, o), span)
                    continue
                exclusions[self._name(s), predicate, p.objects[o]] = None
            elif o in self.objects:
                if s not in self.objects:
                    exclusions[p.objects[s], _possessed(predicate), self._name(o)] = None
            elif i in self.relations:
                exclusions[p.objects[s], predicate, p.objects[o]] = None
            else:
                kept.setdefault((s, predicate, o), span)
        named = {name for exclusion in exclusions for name in exclusion}
        for i in self.objects:
            if self._name(i) not in named:
                exclusions[(self._name(i),)] = None
        for i in self.attributes:
            owner, label = p.attributes[i]
            exclusions[p.objects[owner], label] = None
        gone = set(self.objects) | self._imagined({end for s, _, o in kept for end in (s, o)})
        return _without(replace(p, exclusions=tuple(exclusions)), gone, self.attributes, kept)

    def _imagined(self, related: set[int]) -> set[int]:
        """Objects of denied relations that the caption does not take for given."""
        p = self.parsed
        return {
            o
            for i in self.relations
            for o in (p.relations[i][2],)
            if o not in related and p.object_spans[o] and not self._is_definite(o)
        }

    def _is_definite(self, i: int) -> bool:
        first = self._first_word(i)
        return bool(first) and self.parsed.words[first - 1] in DEFINITE

    def _name(self, i: int) -> str:
        """The object with its attributes: who has no red hat may have another."""
        attributes = [label for owner, label in self.parsed.attributes if owner == i]
        return " ".join([*attributes, self.parsed.objects[i]])

    def _follows_with(self, cue: int, related: bool) -> bool:
        """Whether a cue says what a thing is without; "and no food on it" does not."""
        said = self.parsed.words
        before = said[max(cue - 1, 0)]
        if self._is_without(cue) or (said[cue] == "no" and before in ("with", "has", "have")):
            return True
        return said[cue] == "no" and before in ("but", "and") and not related

    def _is_without(self, cue: int) -> bool:
        said = self.parsed.words
        return said[cue] in WITHOUT or tuple(said[cue : cue + 2]) in WITHOUT_PAIRS

    def _host(self, cue: int) -> int | None:
        """The object before a cue, or in "a horse with a saddle but no rider" the horse."""
        p = self.parsed
        before = [
            (span[-1], i)
            for i, span in enumerate(p.object_spans)
            if span and span[-1] < cue and i not in self.objects
        ]
        nearest = max(before)[1] if before else None
        if p.words[cue - 1] in ("and", "but"):
            return next((s for s, _, o in p.relations if o == nearest and s < o), nearest)
        return nearest


def _possessed(predicate: str) -> str:
    """What the relation to a denied thing is, were it not denied."""
    return "with" if predicate.split()[-1] in ("with", "without", "lack") else predicate


def _without(
    p: ParsedCaption,
    gone: set[int],
    attributes: set[int],
    relations: dict[tuple[int, str, int], tuple[int, ...]],
) -> ParsedCaption:
    """The graph without some objects and attributes, and with these relations."""
    stay = [i for i in range(len(p.objects)) if i not in gone]
    number = {old: new for new, old in enumerate(stay)}
    described = [
        i for i, (owner, _) in enumerate(p.attributes) if owner in number and i not in attributes
    ]
    return replace(
        p,
        objects=tuple(p.objects[i] for i in stay),
        object_spans=tuple(p.object_spans[i] for i in stay),
        attributes=tuple((number[p.attributes[i][0]], p.attributes[i][1]) for i in described),
        attribute_spans=tuple(p.attribute_spans[i] for i in described),
        relations=tuple((number[s], name, number[o]) for s, name, o in relations),
        relation_spans=tuple(relations.values()),
    )
