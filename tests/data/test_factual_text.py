"""Graphs in FACTUAL's notation."""

import pytest

import pyg_sgm.metrics
from pyg_sgm.data import read_scene_graph


def test_read_scene_graph_tells_the_kinds_apart() -> None:
    graph = read_scene_graph("( man , ride , horse ) , ( horse , is , dark brown ) , ( dog )")
    assert graph == {
        "objects": ["dog"],
        "attributes": [("horse", "dark brown")],
        "relations": [("man", "ride", "horse")],
    }
    assert read_scene_graph("") == {"objects": [], "attributes": [], "relations": []}


def test_the_old_place_warns():
    with pytest.warns(DeprecationWarning, match="pyg_sgm.data"):
        assert pyg_sgm.metrics.read_scene_graph is read_scene_graph


@pytest.mark.parametrize("text", ["a dog", "( dog , on , grass", "( dog ) x", "dog , on , grass )"])
def test_what_is_no_graph(text: str) -> None:
    with pytest.raises(ValueError, match="scene_graph: expected"):
        read_scene_graph(text)
