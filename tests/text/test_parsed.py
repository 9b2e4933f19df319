"""A parsed caption by hand: its text, its lists, its graphs."""

import torch

from pyg_sgm.data import Vocabulary, validate
from pyg_sgm.text import ParsedCaption

PARSED = ParsedCaption(
    caption="Two men on a red bus see a man",
    words=("two", "men", "on", "a", "red", "bus", "see", "a", "man"),
    objects=("man", "bus", "man"),
    attributes=((0, "2"), (1, "red")),
    relations=((0, "on", 1), (0, "see", 2)),
    object_spans=((1,), (5,), (8,)),
    attribute_spans=((0,), (4,)),
    relation_spans=((2,), (6,)),
)


def test_text():
    assert str(PARSED).split("\n") == [
        "man:0 (2)",
        "bus (red)",
        "man:2",
        "man:0 -- on -> bus",
        "man:0 -- see -> man:2",
    ]


def test_lists_keep_the_words_of_the_caption():
    assert PARSED.to_dict() == {
        "caption": "Two men on a red bus see a man",
        "objects": ["men", "bus", "man"],
        "attributes": [["men", "2"], ["bus", "red"]],
        "relations": [["men", "on", "bus"], ["men", "see", "man"]],
        "exclusions": [],
    }


def test_a_renamed_object_keeps_its_name():
    parsed = ParsedCaption("a guy", ("a", "guy"), ("person",), object_spans=((1,),))
    assert parsed.to_dict()["objects"] == ["person"]


def test_graph():
    words = Vocabulary(["man", "bus", "red", "on", "men", "2"])
    graph = PARSED.to_graph(words, id="7")
    validate(graph)
    assert graph.id == "7"
    assert [words.word(int(at)) for at in graph["object"].label] == ["man", "bus", "man"]
    assert graph["object", "subject_of", "relation"].edge_index.tolist() == [[0, 0], [0, 1]]
    assert graph["relation", "has_object", "object"].edge_index.tolist() == [[0, 1], [1, 2]]
    assert graph["attribute", "describes", "object"].edge_index.tolist() == [[0, 1], [0, 1]]
    spans = graph["object", "spans", "word"].edge_index
    assert torch.equal(spans, torch.tensor([[0, 1, 2], [1, 5, 8]]))


def test_networkx():
    graph = PARSED.to_networkx()
    assert graph.nodes[1] == {"label": "bus", "attributes": ["red"]}
    assert sorted(graph.edges(data="label")) == [(0, 1, "on"), (0, 2, "see")]


def test_exclusions_are_told_and_no_part_of_the_graph():
    parsed = ParsedCaption(
        "a man without a hat", ("a", "man", "without", "a", "hat"), ("man",),
        object_spans=((1,),), exclusions=(("man", "wear", "hat"), ("dog",)),
    )  # fmt: skip
    assert str(parsed).split("\n") == ["man", "not: man, wear, hat", "not: dog"]
    assert parsed.to_dict()["exclusions"] == [["man", "wear", "hat"], ["dog"]]
    assert parsed.to_record().objects == ("man",)
