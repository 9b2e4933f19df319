"""Captions in words that the network reads well.

The network knows short descriptions of what a photo shows ("woman holding a baby"). What captions
say in other forms is brought into this one: every clause by itself, with the noun in place of its
pronoun and denials affirmed (:func:`~pyg_sgm.text.negation.take_out_denied` takes them out
afterwards). Every word remembers where it is in the caption, so that a noun that is read twice is
one object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pyg_sgm.text.learned.passive import BE, is_participle
from pyg_sgm.text.negation import WITHOUT_PAIRS, negation_cues
from pyg_sgm.text.synonyms import COLORS, DETERMINERS, POSSESSIVES, PREPOSITIONS
from pyg_sgm.text.word_lists import (
    ANIMALS,
    AUXILIARIES,
    FEMALE,
    MALE,
    PEOPLE,
    TURNED,
    VERBS,
    words,
)
from pyg_sgm.text.words import noun_lemma, verb_lemma

PERSONS = MALE | FEMALE | PEOPLE | ANIMALS
WEARERS = PERSONS | words("dressed clad")
RELATIVE = words("who that which")
FRAMES = words(
    "picture pic photo photograph image snapshot closeup close-up shot view portrait painting "
    "drawing sketch illustration"
)
# Verbs by which a picture is said to be somewhere itself.
PLACED = words("hang hangs hanging sits stands lies leans rests is are was were shows on above")
WALLS = words("wall door easel fridge refrigerator")
ARTICLES = words("a an the this")
FRAME_QUALITIES = words(
    "black white and color colour old close close-up up vintage blurry beautiful aerial nice large"
)
# How searches begin.
ASKING = tuple(
    tuple(ask.split()) for ask in ("show me", "find", "find me", "search for", "i want to see")
)
LED_IN = ARTICLES | FRAME_QUALITIES
ENDS_PHRASE = AUXILIARIES | RELATIVE | PREPOSITIONS
OPENS_PHRASE = DETERMINERS | PREPOSITIONS | POSSESSIVES | {"and", "to"} | RELATIVE
# Verbs that may come before who does so: "on a bench sits a man".
STANCES = words("stand sit lie hang lean rest perch kneel crouch float stretch walk run swim")
JOINING = words("while as where when but")
AFFIRMED = {
    **dict.fromkeys(("without", "lacking", "minus", "free", "devoid", "w"), "with"),
    **{"lacks": "has", "neither": "", "none": "", "no": "", "nor": "and"},
    **{"nobody": "person", "noone": "person", "no-one": "person", "nothing": "thing"},
}


@dataclass(frozen=True)
class Token:
    """A word as the network reads it, what parts it from the word before, and its position.

    Args:
        word (str): The word.
        gap (int): 0, 1 for punctuation, 2 for the end of a sentence before it.
        at (int): Position in the caption; a noun read in place of a pronoun has its own.
        mutual (bool, optional): Whether it was read for "each other". (default: :obj:`False`)
    """

    word: str
    gap: int
    at: int
    mutual: bool = False


Clause = list[Token]


def plain_clauses(said: Sequence[str], gaps: Sequence[int]) -> list[Clause]:
    """A caption as clauses to be read one by one.

    Args:
        said (list of str): The words of the caption.
        gaps (list of int): What parts each from the word before, see
            :func:`~pyg_sgm.text.words.split_words`.

    Example:
        >>> said = "a photo of a man without a hat".split()
        >>> [[token.word for token in clause] for clause in plain_clauses(said, [0] * 8)]
        [['a', 'man', 'with', 'a', 'hat']]
        >>> said = "a man near a woman who is singing".split()
        >>> [[token.word for token in clause] for clause in plain_clauses(said, [0] * 8)]
        [['a', 'man', 'near', 'a', 'woman'], ['woman', 'is', 'singing']]
    """
    return split_clauses(to_tokens(said, gaps))


def to_tokens(said: Sequence[str], gaps: Sequence[int]) -> Clause:
    """The words of a caption as they are."""
    return [Token(word, gap, at) for at, (word, gap) in enumerate(zip(said, gaps, strict=True))]


def split_clauses(tokens: Clause) -> list[Clause]:
    """Sentences without frames and denials, and relative clauses apart from them."""
    return [
        clause
        for sentence in _sentences(_affirmed(tokens))
        for clause in _relative_clauses(_passives(_straight(_unframed(_dressed(sentence)))))
        if clause
    ]


def _sentences(tokens: Clause) -> Iterator[Clause]:
    start = 0
    for end in range(1, len(tokens) + 1):
        if end == len(tokens) or tokens[end].gap == 2:
            yield [replace(tokens[start], gap=0), *tokens[start + 1 : end]]
            start = end


def _unframed(tokens: Clause) -> Clause:
    """ "a photo of a dog" and "show me photos of a dog" are a dog, unless something is said of the
    photo."""
    opening = tuple(token.word for token in tokens[:4])
    asked = max((len(ask) for ask in ASKING if opening[: len(ask)] == ask), default=0)
    if 0 < asked < len(tokens):
        tokens = [replace(tokens[asked], gap=0), *tokens[asked + 1 :]]
    at = 0
    while at < len(tokens) and tokens[at].word in LED_IN:
        at += 1
    framed = at + 2 < len(tokens) and noun_lemma(tokens[at].word) in FRAMES
    if not framed or tokens[at + 1].word not in ("of", "showing"):
        return tokens
    ahead = [token.word for token in tokens[at + 2 :]]
    for here, word in enumerate(ahead):
        if word in RELATIVE or (word.endswith("ing") and word not in PLACED):
            break
        on_wall = WALLS & set(ahead[here + 1 : here + 4])
        if word in ("on", "above") and not on_wall:
            break
        if word in PLACED:
            return tokens
    return [replace(tokens[at + 2], gap=0), *tokens[at + 3 :]]


def _dressed(tokens: Clause) -> Clause:
    """ "a man in black" is in black clothes."""
    out: Clause = []
    for here, token in enumerate(tokens):
        out.append(token)
        if here < 2 or tokens[here - 1].word != "in" or not _is_color(tokens, here):
            continue
        after = tokens[here + 1] if here + 1 < len(tokens) else None
        ends = after is None or after.gap or after.word in ENDS_PHRASE
        joined = after is not None and after.word == "and" and not _is_color(tokens, here + 2)
        if noun_lemma(tokens[here - 2].word) in WEARERS and (ends or joined):
            out.append(Token("clothes", 0, token.at))
    return out


def _passives(tokens: Clause) -> Clause:
    """ "a boy chased by a dog" is being chased."""
    said = [token.word for token in tokens]
    out: Clause = []
    for here, token in enumerate(tokens):
        by = here and said[here + 1 : here + 2] == ["by"] and not tokens[here + 1].gap
        # "covered by" is read well as it is
        short = by and said[here - 1] not in AUXILIARIES and token.word not in TURNED
        if short and is_participle(token.word):
            out.append(Token("being", token.gap, token.at))
            token = replace(token, gap=0)
        out.append(token)
    return out


def _straight(tokens: Clause) -> Clause:
    """ "on a bench sits an old man": an old man sits on a bench."""
    for start in range(len(tokens) - 1, -1, -1):
        opens = start == 0 or tokens[start].gap or tokens[start - 1].word in JOINING | {"and"}
        if opens and tokens[start].word in PREPOSITIONS:
            tokens = [*tokens[:start], *_subject_first(tokens[start:])]
    return tokens


def _subject_first(tokens: Clause) -> Clause:
    said = [token.word for token in tokens]
    parted = range(1, len(said))
    end = next((at for at in parted if tokens[at].gap or _joins(said[at : at + 2])), len(said))
    verb = next((at for at in range(2, end) if _is_stance(said[at])), end)
    who = said[verb + 1 : end]
    if not DETERMINERS & set(who[:1]) or said[verb - 1] in PREPOSITIONS | DETERMINERS:
        return tokens
    doer = [replace(tokens[verb + 1], gap=tokens[0].gap), *tokens[verb + 2 : end]]
    return [*doer, tokens[verb], replace(tokens[0], gap=0), *tokens[1:verb], *tokens[end:]]


def _joins(words: Sequence[str]) -> bool:
    """Whether a new clause begins: "and beside him", but not "a man and a woman"."""
    return words[0] in JOINING or (words[0] == "and" and PREPOSITIONS.issuperset(words[1:]))


def _is_stance(word: str) -> bool:
    return word in BE or (verb_lemma(word) in STANCES and not word.endswith("ing"))


def _is_color(tokens: Clause, here: int) -> bool:
    return here < len(tokens) and tokens[here].word in COLORS


def _affirmed(tokens: Clause) -> Clause:
    """The same without its negations."""
    said = [token.word for token in tokens]
    cues = {cue.at for cue in negation_cues(said)}
    if not cues:
        return tokens
    out: Clause = []
    dropped_gap = 0
    for here, token in enumerate(tokens):
        word = token.word
        if here in cues:
            if word.endswith("n't") and verb_lemma(word[:-3]) != "do" and word[:-3] in AUXILIARIES:
                word = word[:-3]
            elif word == "without" and here + 1 < len(said) and said[here + 1][-3:] == "ing":
                word = ""
            else:
                word = AFFIRMED.get(word, "")
        elif here - 1 in cues and tuple(said[here - 1 : here + 1]) in WITHOUT_PAIRS:
            word = ""
        elif word == "one" and here - 1 in cues and said[here - 1] == "no":
            word = "person"
        elif word == "but" and here + 1 in cues:
            word = "and"
        elif word in ("do", "does", "did") and here + 1 in cues:
            word = ""
        elif word == "or" and cues & set(range(max(0, here - 5), here)):
            word = "and"
        if word:
            out.append(replace(token, word=word, gap=max(token.gap, dropped_gap)))
            dropped_gap = 0
        else:
            dropped_gap = max(dropped_gap, token.gap)
    return out


# Relative clauses


def _relative_clauses(tokens: Clause) -> list[Clause]:
    """A sentence without its relative clauses, and these with what they are about as their subject:
    "a man", "man is riding a bike"."""
    for q in range(1, len(tokens) - 1):
        word, after = tokens[q].word, tokens[q + 1].word
        before = tokens[q - 1].word
        if word in RELATIVE and is_verb(after) and before not in PREPOSITIONS | AUXILIARIES:
            noun, end = _antecedent(tokens, q), _clause_end(tokens, q)
            if noun is None or (end == len(tokens) and not _is_ambiguous(tokens, q)):
                continue  # a noun and its clause are read well together
            clause = [replace(tokens[noun], gap=0), *tokens[q + 1 : end]]
            return [
                *_relative_clauses([*tokens[:q], *tokens[end:]]),
                *_relative_clauses(clause),
            ]
    return [tokens]


def _is_opened(tokens: Clause) -> bool:
    """Whether more than the noun phrase of its subject has been said in a sentence."""
    return any(is_verb(token.word) or token.word in PREPOSITIONS for token in tokens)


def _is_ambiguous(tokens: Clause, q: int) -> bool:
    """Whether a relative clause at the end of a sentence may be about several things before it."""
    if tokens[q].word == "who":
        return len(_persons(tokens[:q])) > 1
    return _is_opened(tokens[: q - 1])


def _antecedent(tokens: Clause, q: int) -> int | None:
    """The noun that a relative clause is about: before it, and a person if it begins with "who"."""
    if tokens[q].word != "who":
        return q - 1
    return max(_persons(tokens[:q]), default=None)


def _persons(tokens: Clause) -> list[int]:
    return [at for at, token in enumerate(tokens) if noun_lemma(token.word) in PERSONS]


def _clause_end(tokens: Clause, q: int) -> int:
    """Where the relative clause that begins at ``q`` ends: before the verb of the sentence, if that
    is still to come, else at a comma or conjunction or with the sentence."""
    first = next(
        (at for at in range(q + 1, len(tokens)) if tokens[at].word not in AUXILIARIES), q + 1
    )
    opened = _is_opened(tokens[: q - 1])
    for at in range(first + 1, len(tokens)):
        word, before = tokens[at].word, tokens[at - 1].word
        if tokens[at].gap or word in ("while", "as"):
            return at
        noun_follows = before in OPENS_PHRASE
        if not opened and not noun_follows and _is_finite(word):
            return at
    return len(tokens)


def is_verb(word: str) -> bool:
    """Whether a word is an auxiliary or a form of a verb that is seldom a noun."""
    return word in AUXILIARIES or (verb_lemma(word) in VERBS and word not in PREPOSITIONS)


def _is_finite(word: str) -> bool:
    return word in AUXILIARIES or (
        word.endswith("s") and verb_lemma(word) != word and verb_lemma(word) in VERBS
    )


def gerund(verb: str) -> str:
    """The -ing form of a verb form, which the network takes for nothing but a verb.

    Example:
        >>> [gerund(verb) for verb in ("races", "hug", "stare", "lying", "fight")]
        ['racing', 'hugging', 'staring', 'lying', 'fighting']
    """
    lemma = verb_lemma(verb)
    if verb.endswith("ing") or lemma in AUXILIARIES:
        return verb
    if lemma.endswith("ie"):
        return lemma[:-2] + "ying"
    if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")):
        return lemma[:-1] + "ing"
    vowel, last = lemma[-2:-1] in "aeiou", lemma[-1:] in "bdgmnprt"
    if vowel and last and len(lemma) <= 4 and lemma[-3:-2] not in "aeiou":
        return lemma + lemma[-1] + "ing"
    return lemma + "ing"
