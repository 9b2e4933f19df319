"""Words of a caption and the lemmas of nouns and verbs."""

import re
from functools import lru_cache

from pyg_sgm.data.words import find_words
from pyg_sgm.text.word_lists import IRREGULAR_NOUNS, IRREGULAR_VERBS, SINGULAR_IN_S

# Sentences that are longer are cut: nobody writes them, and trees of them grow too deep.
LONGEST = 48
_SENTENCE_END = re.compile(r"[.!?;\n]")

_DOUBLED = re.compile(r"([bdgklmnprtv])\1$")
# Doubled at the end of the bare verb too: "rolling" is of "roll", "pulling" of "pull".
_KEEPS_DOUBLE = re.compile(
    r"(\b[^aeiou-]*u?[aeiou]ll|(inst|rec|enthr)all|(en|un)roll|(over|re)fill|misspell|ss|ff|zz"
    r"|\b(add|odd|egg|ebb|err|purr|mitt))$"
)
# Stems to which a silent e belongs: "riding", "surfaced", "giving", "using", "bridged", "bounced".
_SILENT_E = re.compile(
    r"([^aeiou][aiou](?<!o[ou])(d|k|m|n|p|t|b|r|g|z|l)|[aeiou](c|s|z|v|g)|[lrn]v|(?<![aeiou])v"
    r"|[lrnsd]g|[rnl]c|[rnp]s|[bcdfgkptsz]l|[ae]as|eez|u|[^aeiou]os"
    r"|^(guid|(re)?creat|compl?et|delet|[bhptw]ast))$"
)
_NO_SILENT_E = re.compile(
    r"(\b(b?|over)hang|\b(b?|sp?|st|w)ring|\b(c?l|f?l|s|sl|st|sw|w)ing|\b(be|pro)?long|\bbang"
    r"|focus|gas|open|happen|listen|visit|edit|exit|offer|cover|gather|enter|orbit|profit|limit"
    r"|vomit|bottom|blossom|pilot|pivot|button|reason|season|abandon|fasten|carpet|travel|label"
    r"|model|signal|pedal|develop|gallop|color|collar|harbor|anchor|mirror|sponsor|monitor|kayak"
    r"|gossip|worship)$"
)


def split_words(caption: str) -> tuple[list[str], list[int]]:
    """Lower-case words of a caption, and what parts each from the word before it.

    A possessive ``'s`` is a word of its own. The second list holds, for every word, 0 for a plain
    gap, 1 for punctuation and 2 for the end of a sentence between it and the word before.

    Example:
        >>> split_words("The man's T-shirt, red.")
        (['the', 'man', "'s", 't-shirt', 'red'], [0, 0, 0, 0, 1])
    """
    text, spans = find_words(caption)
    words: list[str] = []
    gaps: list[int] = []
    last = 0
    for start, end in spans:
        between = text[last:start].strip()
        last = end
        gap = 2 if _SENTENCE_END.search(between) else int(bool(between))
        words.append(text[start:end])
        gaps.append(gap if len(words) > 1 and words[-1] != "'s" else 0)
    return words, gaps


@lru_cache(maxsize=65536)
def noun_lemma(word: str) -> str:
    """Singular of an English noun; anything else comes back as it is.

    Example:
        >>> [noun_lemma(word) for word in ("men", "branches", "berries", "dress", "jeans")]
        ['man', 'branch', 'berry', 'dress', 'jeans']
    """
    if word in IRREGULAR_NOUNS:
        return IRREGULAR_NOUNS[word]
    if word.endswith("men") and len(word) > 5:
        return word[:-2] + "an"
    if (
        len(word) < 4
        or not word.endswith("s")
        or word in SINGULAR_IN_S
        or word.endswith(("ss", "us", "is"))
    ):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zzes")):
        return word[:-2]
    return word[:-1].removesuffix("'")


@lru_cache(maxsize=65536)
def verb_lemma(word: str) -> str:
    """Infinitive of an English verb form.

    Example:
        >>> [verb_lemma(word) for word in ("riding", "sat", "swimming", "carries", "covered")]
        ['ride', 'sit', 'swim', 'carry', 'cover']
    """
    if word in IRREGULAR_VERBS:
        return IRREGULAR_VERBS[word]
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        return word[:-2] if word.endswith(("ches", "shes", "xes", "sses", "zzes")) else word[:-1]
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 1 and re.search("[aeiouy]", stem):
            if _DOUBLED.search(stem) and not _KEEPS_DOUBLE.search(stem):
                return stem[:-1]
            if _SILENT_E.search(stem) and not _NO_SILENT_E.search(stem):
                return stem + "e"
            return stem
    return word
