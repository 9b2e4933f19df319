"""Words of any script, however their letters are encoded."""

import unicodedata

import pytest

from pyg_sgm.data.words import find_words, tokenize


@pytest.mark.parametrize(
    "caption",
    ["Ein Ku\u0308bel a\u0300 la carte", "un ni\u00f1o de Bogot\u00e1", "\u1ea5m \u0130stanbul"],
)
def test_canonically_equal_captions_have_equal_words(caption):
    forms = {tuple(tokenize(unicodedata.normalize(form, caption))) for form in ("NFC", "NFD")}
    assert len(forms) == 1
    (words,) = forms
    assert len(words) == len(caption.split())


def test_accents_stay():
    assert tokenize("creme bru\u0302le\u0301e") == ["creme", "br\u00fbl\u00e9e"]


def test_combining_marks_are_inside_words():
    hindi = "\u0915\u0941\u0924\u094d\u0924\u093e \u092c\u093f\u0932\u094d\u0932\u0940"  # dog cat
    thai = "\u0e17\u0e35\u0e48\u0e19\u0e31\u0e48\u0e07"  # seat
    assert tokenize(f"{hindi}, {thai}!") == [*hindi.split(), thai]


def test_emoji_are_no_words():
    assert tokenize("\U0001f3d6\ufe0f 3\ufe0f\u20e3 dogs \u0301") == ["3", "dogs"]


def test_spans_are_those_of_the_text_in_normal_form():
    text, spans = find_words("Cafe\u0301s' T-Shirt")
    assert [text[start:end] for start, end in spans] == ["caf\u00e9s", "t-shirt"]
