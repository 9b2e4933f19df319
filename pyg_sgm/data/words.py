"""The words of a caption and where they are."""

import re
import unicodedata

# Letters and digits, joined inside by hyphens or apostrophes; a possessive "'s" is a word of its
# own, as in the corpora that word vectors are trained on.
_WORD = re.compile(r"[^\W_]+(?:[-'](?!s\b)[^\W_]+)*|'s\b")
_SURROGATE = re.compile("[\ud800-\udfff]")


def find_words(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text in normal form (NFC, lower case), and start and end of every word in it.

    Canonically equal texts have equal words. Combining marks belong to the letter before them.

    Args:
        text (str): Any text; it may be empty.

    Example:
        >>> find_words("A Cafe\\u0301")
        ('a café', [(0, 1), (2, 6)])
    """
    text = nfc(nfc(text).lower()).replace("\u2019", "'")
    lettered = text if text.isascii() else _marks_as_letters(text)
    return text, [match.span() for match in _WORD.finditer(lettered)]


def tokenize(caption: str) -> list[str]:
    """Splits a caption into lower-case words.

    Punctuation is dropped. Hyphens and apostrophes inside a word stay, except that a possessive
    ``'s`` becomes a word of its own.

    Args:
        caption (str): Any text; it may be empty.

    Example:
        >>> tokenize("A boy's T-shirt, isn't it?")
        ['a', 'boy', "'s", 't-shirt', "isn't", 'it']
    """
    text, spans = find_words(caption)
    return [text[start:end] for start, end in spans]


def nfc(text: str) -> str:
    """A text in Unicode's composed form, in which canonically equal texts are the same string."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_unicode(text: str) -> bool:
    """Whether a string has no lone surrogate, so that it can be written to a file."""
    return text.isascii() or _SURROGATE.search(text) is None


def _marks_as_letters(text: str) -> str:
    """The text with a letter in place of every combining mark that follows a letter."""
    out: list[str] = []
    for char in text:
        # Not the variation selectors and the keycap of emoji.
        mark = unicodedata.category(char) in ("Mn", "Mc") and not "\ufe00" <= char <= "\ufe0f"
        out.append("a" if mark and out and out[-1].isalnum() else char)
    return "".join(out)
