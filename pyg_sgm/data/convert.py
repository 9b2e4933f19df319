"""Scene graphs to networkx and back."""

from operator import itemgetter
from typing import Any

import networkx as nx
import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.typing import EdgeType

from pyg_sgm.data.schema import (
    IMAGE_EDGES,
    IMAGE_NODES,
    SUBJECT_OF,
    TEXT_EDGES,
    TEXT_NODES,
    is_text,
    validate,
)

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_DTYPES = {str(dtype): dtype for dtype in (torch.int64, *_FLOATS)}


def to_networkx(graph: HeteroData) -> nx.MultiDiGraph:
    """Converts one scene graph.

    Nodes are ``(type, index)`` with ``type`` and every field as numbers and lists (``token`` of a
    phrase as the list of its words); edges have the name of their type as key. ``id``, ``width``
    and ``height`` are in ``.graph``, and so are type and width of the fields, so that
    :func:`from_networkx` restores empty ones too.

    Args:
        graph (HeteroData): A valid scene graph.

    Raises:
        ValueError: If the graph is not valid; see :func:`validate`.

    Example:
        >>> from pyg_sgm.data import Vocabulary, text_graph
        >>> words = Vocabulary(["dog", "chases", "cat"])
        >>> graph = to_networkx(text_graph("", words, relations=[("dog", "chases", "cat")]))
        >>> graph.nodes["object", 1]
        {'type': 'object', 'label': 3, 'token': [3], 'length': 1}
        >>> list(graph.edges(keys=True))[0]
        (('object', 0), ('relation', 0), 'subject_of')
    """
    validate(graph)
    text = is_text(graph)
    result = nx.MultiDiGraph()
    fields: dict[str, dict[str, tuple[str, list[int]]]] = {}
    for node in TEXT_NODES if text else IMAGE_NODES:
        store = graph[node]
        tensors = {name: value for name, value in store.items() if isinstance(value, Tensor)}
        fields[node] = {n: (str(v.dtype), list(v.shape[1:])) for n, v in tensors.items()}
        columns = {name: value.tolist() for name, value in tensors.items()}
        if "length" in tensors:
            columns["token"] = [part.tolist() for part in tensors["token"].split(columns["length"])]
        for i in range(store.num_nodes):
            values = {name: column[i] for name, column in columns.items()}
            result.add_node((node, i), type=node, **values)
    for edge in TEXT_EDGES if text else IMAGE_EDGES:
        for a, b in graph[edge].edge_index.t().tolist():
            result.add_edge((edge[0], a), (edge[2], b), key=edge[1])
    result.graph["fields"] = fields
    for name in ("id", "width", "height"):
        if name in graph:
            result.graph[name] = graph[name]
    return result


def from_networkx(graph: nx.MultiDiGraph) -> HeteroData:
    """Converts back what :func:`to_networkx` gives, also after nodes were added or removed.

    Nodes are numbered again, in the order the graph has them. Without ``graph["fields"]`` the
    fields are those of the first node of each type.

    Args:
        graph (nx.MultiDiGraph): Nodes with ``type`` and the fields of the schema, edges keyed by
            the name of their type.

    Raises:
        ValueError: If a node has no known type or lacks a field, an edge joins the wrong types,
            or the result is not valid.
    """
    text = "word" in graph.graph.get("fields", {}) or any(
        kind == "word" for _, kind in graph.nodes(data="type")
    )
    members: dict[str, list[Any]] = {node: [] for node in (TEXT_NODES if text else IMAGE_NODES)}
    for key, kind in graph.nodes(data="type"):
        if kind not in members:
            raise ValueError(f"node {key!r}: type {kind!r} is not one of {', '.join(members)}")
        members[kind].append(key)
    index = {key: i for keys in members.values() for i, key in enumerate(keys)}

    result = HeteroData()
    for kind, keys in members.items():
        result[kind].num_nodes = len(keys)
        for name, (dtype, shape) in _fields(graph, kind, keys, text).items():
            values = []
            for key in keys:
                if name not in graph.nodes[key]:
                    raise ValueError(f"node {key!r}: {name} is missing")
                values.append(graph.nodes[key][name])
            if name == "token" and kind != "word":
                values = [word for phrase in values for word in phrase]
            try:
                tensor = torch.tensor(values, dtype=_DTYPES[dtype]).reshape(-1, *shape)
            except (TypeError, ValueError, RuntimeError) as error:
                raise ValueError(f"{kind}.{name}: {error}") from error
            result[kind][name] = tensor

    edges: dict[EdgeType, list[tuple[int, int]]]
    edges = {edge: [] for edge in (TEXT_EDGES if text else IMAGE_EDGES)}
    for a, b, name in graph.edges(keys=True):
        edge = (graph.nodes[a]["type"], name, graph.nodes[b]["type"])
        if edge not in edges:
            raise ValueError(f"edge {a!r} {name} {b!r}: no such edge type")
        edges[edge].append((index[a], index[b]))
    for edge, pairs in edges.items():
        pairs.sort(key=itemgetter(1 if edge == SUBJECT_OF else 0))  # relations keep their order
        result[edge].edge_index = (
            torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t().contiguous()
        )
    for name in ("id", "width", "height"):
        if name in graph.graph:
            result[name] = graph.graph[name]
    validate(result)
    return result


def _fields(
    graph: nx.MultiDiGraph, kind: str, keys: list[Any], text: bool
) -> dict[str, tuple[str, list[int]]]:
    if kind in graph.graph.get("fields", {}):
        return graph.graph["fields"][kind]
    if kind == "word":
        return {"token": ("torch.int64", [])}
    fields: dict[str, tuple[str, list[int]]] = {"label": ("torch.int64", [])}
    if text:
        return {**fields, "token": ("torch.int64", []), "length": ("torch.int64", [])}
    first = graph.nodes[keys[0]] if keys else {}
    if "box" in first:
        fields["box"] = ("torch.float32", [4])
    if "score" in first:
        fields["score"] = ("torch.float32", [])
    if "x" in first:
        fields["x"] = ("torch.float32", [len(first["x"])])
    return fields
