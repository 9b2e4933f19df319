import pytest
import torch

from pyg_sgm.data import (
    Ragged,
    Spans,
    Vocabulary,
    image_graph,
    image_record,
    pack_texts,
    text_graph,
    text_record,
    validate,
)
from tests.helpers.graphs import VOCABULARIES, WORDS, images, texts

BOX = [0.1, 0.1, 0.5, 0.5]


def test_graphs_are_valid() -> None:
    for graph in (*images(), *texts()):
        validate(graph, VOCABULARIES)


def test_records_know_whether_their_graph_is_known() -> None:
    assert not image_record(id="1").has_graph
    assert image_record([], id="1").has_graph
    assert not text_record("a dog", id="1").has_graph
    for known in ({"objects": []}, {"attributes": []}, {"relations": []}):
        assert text_record("a dog", **known).has_graph


def test_boxes_reach_a_pixel_beyond_the_image() -> None:
    for width, height in ((1000, 10), (375, 500), (3, 7)):
        boxes = [[-1, -1, width + 1, height + 1]]
        record = image_record(["dog"], boxes, size=(width, height), id="1")
        assert record.boxes.tolist() == [[0, 0, 1, 1]]


def test_image_graph() -> None:
    graph = image_graph(
        ["dog", "unicorn"],
        [[0, 0, 50, 100], [10, 20, 100.5, 100]],
        VOCABULARIES,
        [(1, "near", 0), (0, "on", 1)],
        [(1, "black")],
        size=(100, 100),
        id="x",
    )
    assert graph["object"].label.tolist() == [1, 0]
    assert graph["object"].box.dtype == torch.float32
    assert torch.allclose(graph["object"].box[1], torch.tensor([0.1, 0.2, 1.0, 1.0]))
    assert graph["object", "subject_of", "relation"].edge_index.tolist() == [[1, 0], [0, 1]]
    assert graph["relation", "has_object", "object"].edge_index.tolist() == [[0, 1], [0, 1]]
    assert graph["attribute", "describes", "object"].edge_index.tolist() == [[0], [1]]
    assert (graph.id, graph.width, graph.height) == ("x", 100.0, 100.0)


def test_text_graph_from_triplets_merges_equal_phrases() -> None:
    relations = [("dog", "in front of", "black cat"), ("dog", "near", "bench")]
    graph = text_graph("A dog in front of a cat.", WORDS, relations=relations)
    assert graph["object"].num_nodes == 3
    assert graph["object"].label.tolist() == WORDS.encode(["dog", "cat", "bench"]).tolist()
    assert graph["object"].length.tolist() == [1, 2, 1]
    assert graph["object"].token.tolist() == WORDS.encode(["dog", "black", "cat", "bench"]).tolist()
    assert graph["relation"].label.tolist() == WORDS.encode(["in", "near"]).tolist()
    assert graph["relation"].length.tolist() == [3, 1]
    assert graph["word", "next", "word"].edge_index.tolist() == [
        [0, 1, 2, 3, 4, 5],
        [1, 2, 3, 4, 5, 6],
    ]
    # "black cat" is not in the caption as a whole, its word "cat" is; "bench" and "near" are not.
    assert graph["object", "spans", "word"].edge_index.tolist() == [[0, 1], [1, 6]]
    assert graph["relation", "spans", "word"].edge_index.tolist() == [[0, 0, 0], [2, 3, 4]]


def test_text_graph_by_index_keeps_instances_apart() -> None:
    graph = text_graph(
        "a dog chases a black dog",
        WORDS,
        objects=["dog", "dog"],
        attributes=[(1, "black")],
        relations=[(0, "chases", 1)],
        spans={"object": [[1], [5]], "relation": [[2]], "attribute": [[4]]},
    )
    assert graph["object"].num_nodes == 2
    assert graph["object", "subject_of", "relation"].edge_index.tolist() == [[0], [0]]
    assert graph["relation", "has_object", "object"].edge_index.tolist() == [[0], [1]]
    assert graph["attribute", "describes", "object"].edge_index.tolist() == [[0], [1]]
    assert graph["object", "spans", "word"].edge_index.tolist() == [[0, 1], [1, 5]]


def test_string_means_the_first_object_of_that_name() -> None:
    graph = text_graph("", WORDS, ["cat", "cat"], [("cat", "black"), ("dog", "black")])
    assert graph["object"].num_nodes == 3
    assert graph["attribute", "describes", "object"].edge_index.tolist() == [[0, 1], [0, 2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"relations": [(0, "near", 99)]}, "relation 0: object 99 is not there"),
        ({"relations": [(0, "near", 0), (-1, "near", 0)]}, "relation 1: object -1"),
        ({"attributes": [(1, "black")]}, "attribute 0: object 1"),
        ({"boxes": [[0.5, 0.1, 0.5, 0.9]]}, "box 0 is empty"),
        ({"boxes": [[0.5, 0.9, 0.6, 0.1]]}, "box 0 is empty"),
        ({"boxes": [[0.5, 0.1, 0.5 + 1e-12, 0.9]]}, "box 0 is empty"),  # in float32
        ({"boxes": [[0.5, 0.1, 1.2, 0.9]]}, "box 0 is outside"),
        ({"boxes": [[-0.5, 0.1, 0.2, 0.9]]}, "box 0 is outside"),
        ({"boxes": [[0, 0, 1002, 10]], "size": (1000, 10)}, "box 0 is outside"),
        ({"boxes": [[0, 0, 1000, 11.5]], "size": (1000, 10)}, "box 0 is outside"),
        ({"boxes": [[float("nan"), 0.1, 0.2, 0.9]]}, "box: NaN"),
        ({"boxes": [BOX, BOX]}, "2 boxes for 1"),
        ({"boxes": [[1, 2]]}, "box"),
        ({"boxes": [["a", 0, 0, 1]]}, "box"),
        ({"boxes": [["0", "0", "1", "1"]]}, "box: expected numbers"),
        ({"boxes": [[False, False, True, True]]}, "box: expected numbers"),
        ({"boxes": [[0, 0, 10**400, 1]]}, "box: expected numbers"),
        ({"boxes": [0, 0, 1, 1]}, r"box: expected \[1, 4\]"),
        ({"objects": "d"}, "objects: expected strings"),
        ({"objects": [1]}, "objects: expected a string, got 1"),
        ({"objects": [" "]}, "a label is empty"),
        ({"objects": ["\ud800"]}, "objects: .* is not Unicode"),
        ({"relations": [(0, "near")]}, "relation 0: expected 3 parts"),
        ({"relations": [(False, "near", 0)]}, "relation 0: expected the index"),
        ({"relations": [(0.0, "near", 0)]}, "relation 0: expected the index"),
        ({"relations": [(0, None, 0)]}, "relation 0: expected a string"),
        ({"relations": 7}, "relations: expected a list"),
        ({"attributes": [("dog", "black")]}, "attribute 0: expected the index"),
        ({"scores": {"object": [None]}}, r"object\.score: expected numbers"),
        ({"scores": {"object": ["1"]}}, r"object\.score: expected numbers"),
        ({"size": (10**400, 10)}, "size: expected numbers"),
        ({"size": (10,)}, "size: expected a positive"),
        ({"size": (0, 10)}, "size"),
        ({"scores": {"object": [float("inf")]}}, r"object\.score"),
        ({"scores": {"object": [1.0, 1.0]}}, r"object\.score"),
        ({"scores": {"objects": [1.0]}}, "no node type"),
        ({"features": {"object": [[1.0], [2.0]]}}, "2 rows of features for 1 nodes"),
        ({"features": {"object": [[float("nan")]]}}, r"object\.x: NaN"),
        ({"features": {"object": [1.0]}}, r"object\.x"),
    ],
)
def test_bad_image(arguments: dict, message: str) -> None:
    arguments = {
        "objects": ["dog"],
        "boxes": [BOX],
        "vocabularies": VOCABULARIES,
        "id": "7.jpg",
    } | arguments
    with pytest.raises(ValueError, match=message) as error:
        image_graph(**arguments)
    assert "7.jpg" in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"relations": [(0, "near", "dog")]}, None),
        ({"relations": [(1, "near", "dog")]}, "object 1 is not there"),
        ({"attributes": [(3, "black")]}, "object 3 is not there"),
        ({"objects": ["..."]}, "has no word"),
        ({"objects": [None]}, "objects: expected a string"),
        ({"objects": ["\udfff"]}, "not Unicode"),
        ({"attributes": [(True, "black")]}, "attribute 0: expected the index"),
        ({"relations": ["abc"]}, "relation 0: expected 3 parts"),
        ({"caption": "a \ud83d dog"}, "caption: .* is not Unicode"),
        ({"caption": 3}, "caption: expected strings"),
        ({"objects": ["dog"], "spans": {"object": [["1"]]}}, "no word '1'"),
        ({"relations": [("a", "", "b")]}, "has no word"),
        ({"objects": ["dog"], "spans": {}}, "spans of object: 0 for 1"),
        ({"objects": ["dog"], "spans": {"object": [[5]]}}, "no word 5 of 2"),
    ],
)
def test_bad_text(arguments: dict, message: str | None) -> None:
    if message is None:
        assert text_graph("a dog", WORDS, **arguments)["object"].num_nodes == 1
        return
    arguments = {"caption": "a dog", "words": WORDS, "id": "t7"} | arguments
    with pytest.raises(ValueError, match=message) as error:
        text_graph(**arguments)
    assert "t7" in str(error.value)


def test_equal_labels_are_equal_strings_however_they_are_composed() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    image = image_record([decomposed], relations=[(0, decomposed, 0)], attributes=[(0, decomposed)])
    assert (image.objects, image.attributes) == ([composed], [(0, composed)])
    assert image.relations == [(0, composed, 0)]
    text = text_record(decomposed, [composed], relations=[(decomposed, "is", composed)])
    assert (text.words, text.objects, text.relations) == ([composed], [composed], [(0, "is", 0)])
    assert text.caption == decomposed


def test_unknown_words_are_index_zero() -> None:
    graph = text_graph("a dog", Vocabulary([]), relations=[("dog", "near", "cat")])
    assert graph["word"].token.tolist() == [0, 0]
    assert graph["relation"].token.tolist() == [0]


def test_features_of_words() -> None:
    words = Vocabulary(["a", "dog"])
    records = [text_record("a dog", id="1"), text_record("dog", id="2")]
    rows = torch.arange(6.0).reshape(3, 2)
    texts = pack_texts(records, words, {"word": Ragged(rows, Spans.packed(torch.tensor([2, 1])))})
    assert torch.equal(texts.batch([1, 0])["word"].x, rows[[2, 0, 1]])
    validate(texts[0])
    for count, value, message in (
        ([1, 2], 0.0, "text '1': word.x: 1 rows of features for 2 nodes"),
        ([2, 1], torch.nan, "text '2': word.x: NaN or infinity"),
    ):
        bad = torch.full((3, 2), 0.0)
        bad[2] = value
        features = {"word": Ragged(bad, Spans.packed(torch.tensor(count)))}
        with pytest.raises(ValueError, match=message):
            pack_texts(records, words, features)
