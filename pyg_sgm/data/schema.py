"""The one schema of image graphs and text graphs, and its validation."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.typing import EdgeType

from pyg_sgm.data.vocabulary import Vocabularies

SUBJECT_OF: EdgeType = ("object", "subject_of", "relation")
HAS_OBJECT: EdgeType = ("relation", "has_object", "object")
DESCRIBES: EdgeType = ("attribute", "describes", "object")
NEXT: EdgeType = ("word", "next", "word")

IMAGE_NODES = ("object", "relation", "attribute")
TEXT_NODES = ("word", "object", "relation", "attribute")
IMAGE_EDGES: tuple[EdgeType, ...] = (SUBJECT_OF, HAS_OBJECT, DESCRIBES)
SPANS: tuple[EdgeType, ...] = tuple((node, "spans", "word") for node in IMAGE_NODES)
TEXT_EDGES: tuple[EdgeType, ...] = (*IMAGE_EDGES, NEXT, *SPANS)

# Which vocabulary a label of an image graph belongs to.
VOCABULARY_OF = {"object": "objects", "relation": "predicates", "attribute": "attributes"}


def is_text(graph: HeteroData) -> bool:
    """Whether a graph is a text graph: it then has the node type ``word``, if only empty."""
    return "word" in graph.node_types


def validate(graph: HeteroData, vocabularies: Vocabularies | None = None, name: str = "") -> None:
    """Checks one scene graph against the schema.

    Args:
        graph (HeteroData): An image graph, or a text graph (one with the node type ``word``).
        vocabularies (Vocabularies, optional): If given, labels and tokens must also lie within
            their vocabulary. (default: :obj:`None`)
        name (str, optional): What error messages call the graph. (default: its ``id``)

    Raises:
        ValueError: Naming graph and field: a node or edge type is missing, a tensor has the wrong
            shape or type, an edge points to a node that is not there, a relation has not exactly
            one subject and one object, a box is empty or outside the image, a feature or score is
            not finite.
    """
    name = name or f"graph {getattr(graph, 'id', '')!r}"
    text = is_text(graph)
    for node in TEXT_NODES if text else IMAGE_NODES:
        if node not in graph.node_types:
            raise ValueError(f"{name}: node type {node} is missing")
        if not isinstance(graph[node].get("num_nodes"), int):
            raise ValueError(f"{name}: {node}.num_nodes is not set")
    for edge in TEXT_EDGES if text else IMAGE_EDGES:
        if edge not in graph.edge_types:
            raise ValueError(f"{name}: edge type {edge} is missing")
        _check_edges(graph, edge, name)
    if text:
        _check_indices(graph, "word", "token", graph["word"].num_nodes, _limit(vocabularies), name)
        _check_floats(graph, "word", "x", 2, name)
    for node in IMAGE_NODES:
        _check_nodes(graph, node, text, vocabularies, name)


def _check_nodes(
    graph: HeteroData, node: str, text: bool, vocabularies: Vocabularies | None, name: str
) -> None:
    store, count = graph[node], graph[node].num_nodes
    limit = _limit(vocabularies, "words" if text else VOCABULARY_OF[node])
    _check_indices(graph, node, "label", count, limit, name)
    if text:
        length = _tensor(graph, node, "length", name)
        if length.shape != (count,) or (count and int(length.min()) < 1):
            raise ValueError(f"{name}: {node}.length: expected [{count}] numbers of words, all > 0")
        _check_indices(graph, node, "token", int(length.sum()), limit, name)
    _check_floats(graph, node, "score", 1, name)
    _check_floats(graph, node, "x", 2, name)
    _check_floats(graph, node, "label_x", 2, name)
    if "box" in store:
        box = _tensor(graph, node, "box", name)
        if box.shape != (count, 4) or not box.is_floating_point():
            raise ValueError(
                f"{name}: {node}.box: expected floats [{count}, 4], got {_describe(box)}"
            )
        check_boxes(box, f"{name}: {node}.box")


def _check_floats(graph: HeteroData, node: str, field: str, dim: int, name: str) -> None:
    if field not in graph[node]:
        return
    value, count = _tensor(graph, node, field, name), graph[node].num_nodes
    if value.dim() != dim or value.size(0) != count or not value.is_floating_point():
        shape = f"[{count}]" if dim == 1 else f"[{count}, dim]"
        raise ValueError(f"{name}: {node}.{field}: expected floats {shape}, got {_describe(value)}")
    check_finite(value, f"{name}: {node}.{field}")


def _check_indices(
    graph: HeteroData, node: str, field: str, count: int, limit: int | None, name: str
) -> None:
    value = _tensor(graph, node, field, name)
    if value.shape != (count,) or value.dtype != torch.long:
        raise ValueError(
            f"{name}: {node}.{field}: expected int64 [{count}], got {_describe(value)}"
        )
    if count and (int(value.min()) < 0 or (limit is not None and int(value.max()) >= limit)):
        raise ValueError(f"{name}: {node}.{field}: an index outside the vocabulary")


def _check_edges(graph: HeteroData, edge: EdgeType, name: str) -> None:
    field = f"{name}: {edge[0]} {edge[1]} {edge[2]}"
    index = graph[edge].get("edge_index")
    if not isinstance(index, Tensor) or index.dim() != 2 or index.size(0) != 2:
        raise ValueError(f"{field}: expected an edge_index of shape [2, num_edges]")
    if index.dtype != torch.long:
        raise ValueError(f"{field}: edge_index must be int64, got {index.dtype}")
    for row, node in zip(index, (edge[0], edge[2]), strict=True):
        count = graph[node].num_nodes
        bad = row[(row < 0) | (row >= count)]
        if bad.numel():
            raise ValueError(f"{field}: {node} {int(bad[0])} is not there ({count} nodes)")
    relation = {SUBJECT_OF: 1, HAS_OBJECT: 0}.get(edge)
    if relation is not None:
        expected = torch.arange(graph["relation"].num_nodes, device=index.device)
        if not torch.equal(index[relation], expected):
            raise ValueError(f"{field}: expected one edge for every relation, in their order")


def first_bad_row(value: Tensor) -> int | None:
    """The first row of ``value`` that holds NaN or infinity."""
    # A finite sum proves all finite at a fraction of the cost; large values may overflow it.
    if bool(torch.isfinite(value.sum())):
        return None
    bad = (~torch.isfinite(value)).reshape(len(value), -1).any(dim=1)
    return int(bad.nonzero()[0]) if bad.any() else None


def check_finite(value: Tensor, where: str) -> None:
    """Raises a ValueError that names the first row of ``value`` holding NaN or infinity."""
    row = first_bad_row(value)
    if row is not None:
        raise ValueError(f"{where}: NaN or infinity in row {row}")


def check_boxes(box: Tensor, where: str) -> None:
    """Raises a ValueError unless boxes ``[n, 4]`` are finite, not empty and within ``[0, 1]``."""
    check_finite(box, where)
    empty = (box[:, 2:] <= box[:, :2]).any(dim=1)
    if empty.any():
        i = int(empty.nonzero()[0])
        raise ValueError(f"{where}: box {i} is empty (x2 <= x1 or y2 <= y1): {box[i].tolist()}")
    outside = ((box < 0) | (box > 1)).any(dim=1)
    if outside.any():
        i = int(outside.nonzero()[0])
        raise ValueError(f"{where}: box {i} is outside the image: {box[i].tolist()}")


def _limit(vocabularies: Vocabularies | None, name: str = "words") -> int | None:
    return None if vocabularies is None else len(getattr(vocabularies, name))


def _tensor(graph: HeteroData, node: str, field: str, name: str) -> Tensor:
    value = graph[node].get(field)
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: {node}.{field} is missing or not a tensor")
    return value


def _describe(value: Tensor) -> str:
    return f"{value.dtype} {list(value.shape)}"
