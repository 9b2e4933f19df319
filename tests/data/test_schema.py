from collections.abc import Callable

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_sgm.data import validate
from tests.helpers.graphs import VOCABULARIES, images, texts

Break = Callable[[HeteroData], object]


def put(store: str | tuple[str, str, str], name: str, value: object) -> Break:
    return lambda graph: graph[store].__setattr__(name, value)


SUBJECT = ("object", "subject_of", "relation")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda g: g.__delitem__("attribute"), "attribute is missing"),
        (put(SUBJECT, "edge_index", torch.tensor([[0, 1, 9], [0, 1, 2]])), "object 9 is not there"),
        (put(SUBJECT, "edge_index", torch.tensor([[0, 1, 1], [0, 1, 3]])), "relation 3 is not"),
        (put(SUBJECT, "edge_index", torch.tensor([[0, 1, 1], [0, 1, 1]])), "one edge for every"),
        (put(SUBJECT, "edge_index", torch.tensor([[0, 1], [0, 1]])), "one edge for every"),
        (put(SUBJECT, "edge_index", torch.zeros(3, 2)), "shape"),
        (put(SUBJECT, "edge_index", torch.zeros(2, 3)), "int64"),
        (put(SUBJECT, "edge_index", None), "edge_index"),
        (put("object", "label", torch.tensor([0, 1])), "object.label"),
        (put("object", "label", torch.zeros(4)), "object.label"),
        (put("object", "label", torch.tensor([0, 1, 2, -1])), "outside the vocabulary"),
        (put("object", "label", torch.tensor([0, 1, 2, 4])), "outside the vocabulary"),
        (put("object", "label", [0, 1, 2, 3]), "not a tensor"),
        (put("object", "box", torch.zeros(4, 4)), "box 0 is empty"),
        (put("object", "box", torch.tensor([[0, 0, 1, 1.5]] * 4)), "box 0 is outside"),
        (put("object", "box", torch.full((4, 4), float("nan"))), "NaN or infinity in row 0"),
        (put("object", "box", torch.zeros(3, 4)), "object.box"),
        (put("object", "score", torch.tensor([1, 1, float("inf"), 1])), "infinity in row 2"),
        (put("object", "score", torch.ones(3)), "object.score"),
        (put("object", "x", torch.ones(3, 5)), "object.x"),
        (put("relation", "x", torch.full((3, 5), float("nan"))), "relation.x: NaN"),
    ],
)
def test_bad_image_graphs(spoil: Break, message: str) -> None:
    graph = images()[0]
    spoil(graph)
    with pytest.raises(ValueError, match=message) as error:
        validate(graph, VOCABULARIES)
    assert "image 0" in str(error.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (put("word", "token", torch.zeros(3, dtype=torch.long)), "word.token"),
        (put("word", "token", torch.full((10,), 99)), "outside the vocabulary"),
        (put("object", "length", torch.tensor([1, 1, 0])), "object.length"),
        (put("object", "token", torch.zeros(9, dtype=torch.long)), "object.token"),
        (put(("object", "spans", "word"), "edge_index", torch.tensor([[0], [10]])), "word 10"),
        (lambda g: g.__delitem__(("word", "next", "word")), "edge type"),
    ],
)
def test_bad_text_graphs(spoil: Break, message: str) -> None:
    graph = texts()[0]
    spoil(graph)
    with pytest.raises(ValueError, match=message):
        validate(graph, VOCABULARIES)


def test_large_finite_values_are_fine() -> None:
    graph = images()[0]
    graph["object"].x = torch.full((4, 5), 3e38)  # their sum overflows
    validate(graph)
