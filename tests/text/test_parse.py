"""Both parsers on captions that nobody expects."""

import pytest

from pyg_sgm.data import Vocabulary, tokenize, validate
from pyg_sgm.text import parse, parse_batch, parse_stream
from pyg_sgm.text.words import noun_lemma, split_words, verb_lemma

ODD = {
    "empty": "",
    "blank": "  \n ",
    "punctuation": "?! ... --",
    "one word": "dog",
    "one verb": "running",
    "one preposition": "of",
    "capitals": "A MAN RIDES A HORSE ON THE BEACH",
    "emoji": "🐶 chases 🐱 on the 🏖️ !!",
    "only emoji": "👩‍🍳🏽",
    "500 words": " ".join(["a black dog chases a white cat on the green grass and"] * 45),
    "500 joined nouns": " ".join(["dogs and"] * 250),
    "500 joined verbs": " ".join(["runs and"] * 250),
    "500 adjectives": " ".join(["big"] * 500),
    "one long word": "a" * 5000,
    "German": "Ein Mann mit Hut fährt auf einem roten Fahrrad über die Straße",
    "Chinese": "一只狗在草地上奔跑",
    "Arabic": "رجل يركب حصانا على الشاطئ",
    "typos": "a mna ridng a hrose on teh baech wiht hsi dgo",
    "numbers": "3 1/2 4x4 1,000 $5.99",
    "brackets": "( man , ride , horse ) [sign reads 'stop']",
    "other": "two dogs looking at each other and at each other",
    "control characters": "a dog\x00on\ta\r\nmat\u200b",
    "quotes": "the \u201cman\u2019s\u201d `hat' ''s 's",
    "questions": "what is it? who is he? it is his.",
}


@pytest.mark.parametrize("backend", ["learned", "rules"])
@pytest.mark.parametrize("caption", ODD.values(), ids=ODD.keys())
def test_odd_captions_give_a_sound_graph(caption, backend):
    if backend == "rules":
        pytest.importorskip("spacy")
    p = parse(caption, backend)
    assert p.caption == caption
    assert list(p.words) == tokenize(caption)
    assert len(p.objects) == len(p.object_spans)
    assert len(p.attributes) == len(p.attribute_spans)
    assert len(p.relations) == len(p.relation_spans)
    assert all(p.objects)
    validate(p.to_graph(Vocabulary(["dog"])))
    p.to_networkx()
    p.to_dict()
    str(p)


def test_odd_captions_keep_their_places_in_a_batch():
    captions = list(ODD.values())
    assert [p.caption for p in parse_batch(captions)] == captions
    assert list(parse_stream(iter(captions), batch_size=4)) == parse_batch(captions)
    assert parse_batch([]) == []
    assert list(parse_stream([])) == []


@pytest.mark.parametrize("backend", ["learned", "rules"])
def test_capitals_are_the_same_caption(backend):
    if backend == "rules":
        pytest.importorskip("spacy")
    shouted = parse("A MAN RIDES A HORSE", backend)
    assert str(shouted) == str(parse("a man rides a horse", backend))


def test_mistaken_arguments():
    with pytest.raises(ValueError, match="backend: expected one of"):
        parse("a dog", "oracle")
    with pytest.raises(ValueError, match=r"captions\[1\]: expected a string, got NoneType"):
        parse_batch(["a dog", None])


@pytest.mark.parametrize(
    "caption",
    ["man 's hat", "the man's hat", "a T-shirt, isn't it?", "it\u2019s a dog\u2019s", "don't"],
)
def test_words_are_those_of_the_vocabulary(caption):
    assert split_words(caption)[0] == tokenize(caption)


def test_gaps_tell_commas_from_full_stops():
    assert split_words("a dog, a cat. A cow")[1] == [0, 0, 1, 0, 2, 0]


@pytest.mark.parametrize(
    ("word", "lemma"),
    [
        *[("dogs", "dog"), ("buses", "bus"), ("boxes", "box"), ("puppies", "puppy")],
        *[("knives", "knife"), ("firemen", "fireman"), ("grass", "grass"), ("tennis", "tennis")],
        *[("shoes", "shoe"), ("horses", "horse"), ("glasses", "glass"), ("is", "is")],
    ],
)
def test_nouns(word, lemma):
    assert noun_lemma(word) == lemma


@pytest.mark.parametrize(
    ("word", "lemma"),
    [
        *[("sitting", "sit"), ("standing", "stand"), ("lying", "lie"), ("riding", "ride")],
        *[("wearing", "wear"), ("surfing", "surf"), ("catches", "catch"), ("flies", "fly")],
        *[("jumped", "jump"), ("placed", "place"), ("pulling", "pull"), ("running", "run")],
        *[("leaning", "lean"), ("using", "use"), ("crossing", "cross"), ("reaching", "reach")],
        *[("hanging", "hang"), ("making", "make"), ("has", "have"), ("passes", "pass")],
        *[("putting", "put"), ("changing", "change"), ("begging", "beg"), ("padding", "pad")],
        *[("guiding", "guide"), ("creating", "create"), ("competing", "compete")],
        *[("tasting", "taste"), ("kayaking", "kayak"), ("kayaked", "kayak"), ("adding", "add")],
        *[("travelling", "travel"), ("cancelled", "cancel"), ("modelling", "model")],
        *[("filled", "fill"), ("swinging", "swing"), ("eating", "eat"), ("lasting", "last")],
        *[("bitten", "bite"), ("knelt", "kneel"), ("blown", "blow"), ("overtaken", "overtake")],
        *[("lost", "lose"), ("felt", "feel"), ("ground", "ground"), ("rose", "rose")],
        *[("touching", "touch"), ("looks", "look"), ("grazing", "graze"), ("feeding", "feed")],
    ],
)
def test_verbs(word, lemma):
    assert verb_lemma(word) == lemma
