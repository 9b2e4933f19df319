"""Words, nodes and positions of a text change together."""

import random

import pytest

pytest.importorskip("fastapi")

from pyg_sgm.data import TextRecord, text_record
from pyg_sgm.data.records import node_phrases
from pyg_sgm.serve import edit
from pyg_sgm.serve.saying import excluded, said_anew
from pyg_sgm.text import parse

SENTENCES = [
    "a young man in a red shirt is riding a brown horse on the beach",
    "two dogs chase a cat and a bird",
    "a girl turns the old lamp on",
    "snow",
    "a man 's hat lies beside the man",
]


def triplets(text: TextRecord) -> list[tuple[str, str, str]]:
    return [(text.objects[s], label, text.objects[o]) for s, label, o in text.relations]


def described(text: TextRecord) -> list[tuple[str, str]]:
    return [(text.objects[owner], label) for owner, label in text.attributes]


def is_whole(text: TextRecord) -> None:
    """The record is one that :func:`text_record` takes, and its words are those of its caption."""
    rebuilt = text_record(
        list(text.words), text.objects, text.attributes, text.relations, spans=text.spans
    )
    assert rebuilt.caption == text.caption


@pytest.mark.parametrize("seed", range(20))
def test_any_edits_leave_a_whole_text(seed: int) -> None:
    choose = random.Random(seed)
    text = parse(choose.choice(SENTENCES)).to_record()
    for _ in range(8):
        kinds = [kind for kind, nodes in node_phrases(text).items() if nodes]
        kind = choose.choice(kinds) if kinds else None
        act = choose.choice(["swap", "rename", "remove", "object", "attribute", "relation", "anew"])
        index = choose.randrange(len(node_phrases(text)[kind])) if kind else 0
        some = range(len(text.objects))
        if act == "object" or kind is None:
            text = edit.with_object(text, "big tree")
        elif act == "rename":
            text = edit.renamed(text, kind, index, "new thing")
            assert "new thing" in node_phrases(text)[kind]
            assert "new thing" in text.caption
        elif act == "remove":
            left = len(node_phrases(text)[kind])
            text = edit.removed(text, kind, index)
            assert len(node_phrases(text)[kind]) < left or kind == "object"
        elif act == "swap" and text.relations:
            relation = choose.randrange(len(text.relations))
            s, label, o = triplets(text)[relation]
            text = edit.swapped(text, relation)
            assert triplets(text)[relation] == (o, label, s)
        elif act == "attribute" and some:
            text = edit.with_attribute(text, choose.choice(some), "tiny")
            assert described(text)[-1][1] == "tiny"
        elif act == "relation" and some:
            text = edit.with_relation(text, choose.choice(some), "next to", choose.choice(some))
            assert text.words[text.spans["relation"][-1][0]] == "next"
        elif act == "anew":
            before = triplets(text), described(text)
            text = said_anew(text)
            assert (triplets(text), described(text)) == before
        is_whole(text)


def test_what_was_not_touched_stays_as_it_was_read() -> None:
    text = parse(SENTENCES[0]).to_record()
    shirt = list(text.objects).index("shirt")
    without = edit.removed(text, "object", shirt)
    assert without.caption == "a young man is riding a brown horse on the beach"
    assert [one for one in triplets(text) if "shirt" not in one] == triplets(without)
    again = edit.renamed(text, "object", shirt, "shirt")
    assert (again.caption, again.objects) == (text.caption, list(text.objects))
    assert {node: [list(span) for span in spans] for node, spans in text.spans.items()} == (
        again.spans
    )


def test_a_word_of_two_nodes_stays_with_the_other() -> None:
    spans = {"object": [[0], [0]], "attribute": [], "relation": []}
    text = text_record("raincoat", ["rain", "coat"], spans=spans)
    left = edit.removed(text, "object", 0)
    assert (left.caption, left.objects, left.spans["object"]) == ("raincoat", ["coat"], [[0]])


def test_a_swap_that_the_sentence_does_not_allow_is_said_anew() -> None:
    text = text_record("two dogs chase the dog", relations=[("dogs", "chase", "dog")])
    assert edit.swapped(text, 0).caption == "dog chase dogs"


def test_exclusions_are_said_in_their_own_words() -> None:
    text = parse("a man wears a black hat").to_record()
    said = {excluded(text, "object", 1).caption, excluded(text, "attribute", 0).caption}
    assert said == {"hat", "black hat"}
    assert triplets(excluded(text, "relation", 0)) == [("man", "wear", "hat")]
    with pytest.raises(ValueError, match="no relation 1 among 1"):
        excluded(text, "relation", 1)
