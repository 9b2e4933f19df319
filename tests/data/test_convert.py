import networkx as nx
import pytest
import torch

from pyg_sgm.data import from_networkx, to_networkx
from tests.helpers.graphs import images, same, texts


@pytest.mark.parametrize("index", range(5))
def test_round_trip_keeps_everything(index: int) -> None:
    for graph in (images()[index], texts()[index]):
        back = from_networkx(to_networkx(graph))
        assert same(back, graph)
        assert back.id == graph.id
        assert getattr(back, "width", None) == getattr(graph, "width", None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_of_half_precision(dtype: torch.dtype) -> None:
    graph = images()[0]
    graph["object"].x = torch.randn(graph["object"].num_nodes, 3).to(dtype)
    back = from_networkx(to_networkx(graph))
    assert back["object"].x.dtype == dtype
    assert torch.equal(back["object"].x, graph["object"].x)


def test_nodes_may_be_removed() -> None:
    graph = to_networkx(images()[0])
    gone = [(kind, i) for kind, i in graph if kind == "relation" and i == 1]
    graph.remove_nodes_from(gone)
    back = from_networkx(graph)
    assert back["relation"].num_nodes == 2
    kept = images()[0]["object", "subject_of", "relation"].edge_index[0, [0, 2]]
    assert torch.equal(back["object", "subject_of", "relation"].edge_index[0], kept)


def test_graph_of_ones_own() -> None:
    graph = nx.MultiDiGraph(id="mine")
    graph.add_node("rex", type="object", label=1, box=[0, 0, 0.5, 1])
    graph.add_node("tom", type="object", label=2, box=[0.5, 0, 1, 1])
    graph.add_node("r", type="relation", label=1)
    graph.add_edge("rex", "r", key="subject_of")
    graph.add_edge("r", "tom", key="has_object")
    data = from_networkx(graph)
    assert data["object"].box.shape == (2, 4)
    assert data["attribute"].num_nodes == 0
    assert data.id == "mine"


def test_bad_networkx_graphs() -> None:
    graph = nx.MultiDiGraph()
    graph.add_node("a", type="object", label=1)
    graph.add_node("b", type="object")
    with pytest.raises(ValueError, match="'b': label is missing"):
        from_networkx(graph)
    graph.nodes["b"]["label"] = "dog"
    with pytest.raises(ValueError, match=r"object\.label"):
        from_networkx(graph)
    graph.nodes["b"]["label"] = 2
    graph.add_edge("a", "b", key="near")
    with pytest.raises(ValueError, match="no such edge type"):
        from_networkx(graph)
    graph.nodes["b"]["type"] = "thing"
    with pytest.raises(ValueError, match="type 'thing'"):
        from_networkx(graph)
    graph = to_networkx(images()[0])
    graph.remove_node(
        ("object", int(images()[0]["object", "subject_of", "relation"].edge_index[0, 0]))
    )
    with pytest.raises(ValueError, match="one edge for every"):
        from_networkx(graph)
