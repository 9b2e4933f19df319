"""Nouns in place of the pronouns that stand for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyg_sgm.text.learned.wording import (
    JOINING,
    RELATIVE,
    Clause,
    Token,
    gerund,
    is_verb,
    split_clauses,
    to_tokens,
)
from pyg_sgm.text.parsed_caption import ParsedCaption
from pyg_sgm.text.synonyms import DETERMINERS, PREPOSITIONS, is_plural
from pyg_sgm.text.word_lists import ANIMALS, AUXILIARIES, FEMALE, MALE, PEOPLE, words
from pyg_sgm.text.words import noun_lemma

PRONOUNS = words("it he she they him her them")
REFERRING = PRONOUNS | words(
    "each one ones the and"
)  # without any of these nothing is to be resolved
RECIPROCALS = (("each", "other"), ("one", "another"))
ARTICLES = words("a an one the")
CONJUNCTIONS = JOINING | {"and", "because"}
SIDES = words("left right")  # "her left hand"
JOINTS = words("next front top close of the")  # of prepositions of several words


@dataclass(frozen=True)
class Noun:
    """An object of the first reading."""

    at: int
    word: str

    def fits(self, pronoun: str) -> bool:
        """Whether a pronoun may stand for it."""
        name = noun_lemma(self.word)
        if pronoun in ("they", "them"):
            return is_plural(self.word)
        person = name in PEOPLE or name in MALE or name in FEMALE
        if is_plural(self.word) or (person == (pronoun == "it") and name not in ANIMALS):
            return False
        return name not in (FEMALE if pronoun in ("he", "him") else MALE)


@dataclass(frozen=True)
class Reading:
    """Where the first reading has attributes and objects.

    Args:
        described (set of int): Positions of attributes.
        objects (dict): The words of every object by the position of its head.
        known (set of int): Positions of both.
        gaps (list of int): What parts each word from the one before.
    """

    described: set[int]
    objects: dict[int, tuple[int, ...]]
    known: set[int]
    gaps: Sequence[int]

    @classmethod
    def of(cls, parsed: ParsedCaption, gaps: Sequence[int]) -> Reading:
        described = {at for span in parsed.attribute_spans for at in span}
        objects = {span[-1]: span for span in parsed.object_spans if span}
        known = described.union(*objects.values())
        return cls(described, objects, known, gaps)

    def phrase_from(self, at: int) -> tuple[int, ...]:
        """The words of the object that comes at a position or after attributes alone."""
        while at in self.known and not self.gaps[at]:
            if at in self.objects:
                return self.objects[at]
            at += 1
        return ()


def resolved_clauses(
    said: Sequence[str], gaps: Sequence[int], parsed: ParsedCaption
) -> list[Clause] | None:
    """The clauses of a caption with nouns for its pronouns, or :obj:`None` if it has none.

    A noun keeps its own position, so that what is said of the pronoun is said of the object; "the
    blue one" is another object of the same name.

    Args:
        said (list of str): The words of the caption.
        gaps (list of int): What parts each from the word before.
        parsed (ParsedCaption): The caption as read without antecedents.
    """
    if REFERRING.isdisjoint(said):
        return None
    nouns = [Noun(span[-1], said[span[-1]]) for span in parsed.object_spans if span]
    nouns = [noun for noun in nouns if noun.word not in PRONOUNS]
    named = defaultdict(list)
    for noun in nouns:
        named[noun.word].append(noun.at)
    read = Reading.of(parsed, gaps)
    tokens = to_tokens(said, gaps)
    out: Clause = []
    clauses: list[Clause] = []
    here = 0
    while here < len(tokens):
        word, *after = [*said[here : here + 3], "", ""]
        if (word, after[0]) in RECIPROCALS and after[1] not in DETERMINERS:
            out = _reciprocal(out, tokens[here], nouns)
            here += 2
            continue
        if word in ("one", "ones") and here and said[here - 1] not in PREPOSITIONS | AUXILIARIES:
            out.append(_other_one(tokens[here], nouns, said, read))
        elif word in PRONOUNS and not _is_possessive(said, here):
            out, apart = _antecedent(out, tokens, here, nouns)
            clauses += apart
        elif here and said[here - 1] == "the":
            out.append(_same_noun(tokens, here, named[said[here]]))
        else:
            if word == "and":
                out += _left_out(said, here, read)
            out.append(tokens[here])
        here += 1
    return None if out == tokens else [*split_clauses(out), *clauses]


def _reciprocal(out: Clause, token: Token, nouns: Sequence[Noun]) -> Clause:
    """ "wolves snarl at each other": wolves snarling at wolves."""
    verb = len(out) - 1
    while verb > 0 and out[verb].word in PREPOSITIONS | JOINTS:
        verb -= 1
    before = [noun for noun in nouns if noun.at < token.at]
    if verb > 0 and not before and is_plural(out[verb - 1].word):
        before = [Noun(out[verb - 1].at, out[verb - 1].word)]
    if verb < 0 or not before:
        return [*out, token]
    known = [noun for noun in before if noun.at < out[verb].at]
    is_noun = any(noun.at == out[verb].at for noun in before)
    if known and (not is_noun or known[-1].at == out[verb].at - 1):
        before = known
        if not out[verb].word.endswith("ed"):
            read = Token(gerund(out[verb].word), out[verb].gap, out[verb].at)
            out = [*out[:verb], read, *out[verb + 1 :]]
    return [*out, Token(before[-1].word, token.gap, before[-1].at, mutual=True)]


def _other_one(token: Token, nouns: Sequence[Noun], said: Sequence[str], read: Reading) -> Token:
    """ "the red car and the blue one": and the blue car; "two boys, one in red": boys in red."""
    before = [noun for noun in nouns if noun.at < token.at]
    last = said[token.at - 1]
    if not before or last == "no" or last in DETERMINERS - {"another"}:
        return token
    described = token.at - 1 in read.described or (
        said[max(token.at - 2, 0)] in DETERMINERS
        and token.at - 1 not in read.objects
        and _ends_phrase(said[token.at + 1 : token.at + 2])
    )
    if last == "another" or (described and not token.gap):
        return Token(before[-1].word, token.gap, token.at)
    if read.phrase_from(token.at + 1):
        return token  # a number
    many = next((noun for noun in before if is_plural(noun.word)), None)
    return token if many is None else Token(many.word, token.gap, many.at)


def _ends_phrase(after: Sequence[str]) -> bool:
    """Whether no noun phrase goes on with the next word, if there is one."""
    return not after or is_verb(after[0]) or after[0] in PREPOSITIONS | CONJUNCTIONS


def _left_out(said: Sequence[str], here: int, read: Reading) -> Clause:
    """ "a black and a white dog": a black dog and a white dog."""
    start = here
    while start and start - 1 in read.described:
        start -= 1
    alike = ARTICLES.issuperset((*said[max(start - 1, 0) : start], *said[here + 1 : here + 2]))
    if not 0 < start < here or not alike or here + 2 not in read.described:
        return []
    return [Token(said[at], 0, here - 1) for at in read.phrase_from(here + 2)]


def _same_noun(tokens: Clause, here: int, named: Sequence[int]) -> Token:
    """ "a girl holds a cat. the cat is black": and it is that cat; but "a dog bites the dog".

    Args:
        tokens (list of Token): The caption.
        here (int): Position of a word after "the".
        named (list of int): Positions of all objects of that name.
    """
    token = tokens[here]
    after = tokens[here + 1] if here + 1 < len(tokens) else None
    described = after is not None and after.word in PREPOSITIONS | RELATIVE and not after.gap
    if named[1:2] != [here] or is_plural(token.word) or described:
        return token
    between = tokens[named[0] + 1 : here]
    apart = any(one.gap or one.word in CONJUNCTIONS for one in between)
    return replace(token, at=named[0]) if apart else token


def _is_possessive(said: Sequence[str], here: int) -> bool:
    """Whether "her" is followed by what is hers."""
    after = said[here + 1] if here + 1 < len(said) else "and"
    ends = after in PREPOSITIONS | AUXILIARIES | CONJUNCTIONS | RELATIVE or after.endswith("ing")
    return said[here] == "her" and (not ends or after in SIDES)


def _antecedent(
    out: Clause, tokens: Clause, here: int, nouns: Sequence[Noun]
) -> tuple[Clause, list[Clause]]:
    """What has been read so far with the noun of a pronoun, and clauses that are read apart."""
    token = tokens[here]
    last = tokens[here - 1].word if here else ""
    # What is before a pronoun is a verb or a preposition, whatever the first reading took it for.
    before = [noun for noun in nouns if noun.at < token.at - 1]
    after = tokens[here + 1].word if here + 1 < len(tokens) else ""
    opens = here > 0 and (tokens[here - 1].word in CONJUNCTIONS or token.gap > 0)
    opens = opens and is_verb(after)
    subject = -1 if opens else _subject_before(tokens, here, before)
    found = next((n for n in before if n.at != subject and n.fits(token.word)), None)
    if found is None or (token.word == "it" and last in PREPOSITIONS):
        return [*out, token], []  # "flowers in it" is read well as it is
    noun = [Token("the", 0, token.at), Token(found.word, 0, found.at)]
    if opens:
        if out and out[-1].word in CONJUNCTIONS:
            out = out[:-1]
        return [*out, replace(noun[0], gap=2), noun[1]], []
    if last in PREPOSITIONS:  # "a dog next to him": a dog next to the man
        start = len(out) - 1
        while start and out[start].word in PREPOSITIONS | JOINTS:
            start -= 1
        if any(n.at == out[start].at for n in before):
            return out[: start + 1], [[replace(out[start], gap=0), *out[start + 1 :], *noun]]
    ends = after == "" or after in PREPOSITIONS | CONJUNCTIONS
    if ends and len(out) > 1 and out[-2].word == "and" and before:  # "and drinks it on the sofa"
        verb = replace(out[-1], word=gerund(out[-1].word))
        doer = next((n for n in before if n.at == subject), before[0])
        return [*out[:-2], Token(doer.word, 2, doer.at), verb, *noun], []
    return [*out, *noun], []


def _subject_before(tokens: Clause, here: int, before: Sequence[Noun]) -> int:
    """Position of the noun whose verb a pronoun is the object of; -1 if there is no such verb."""
    last = before[-1].at if before else -1
    between = range(last + 1, here)
    verb = next((at for at in between if is_verb(tokens[at].word)), None)
    if verb is None and here and tokens[here - 1].word in PREPOSITIONS:
        return -1
    shared = {"and", "while", "as"} & {tokens[at].word for at in between}
    return before[0].at if before and shared else last
