"""Many graphs of one modality in packed storage."""

import os
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.typing import NodeType

from pyg_sgm.data.ragged import Field, Ragged, Spans, Store
from pyg_sgm.data.schema import (
    IMAGE_EDGES,
    IMAGE_NODES,
    TEXT_EDGES,
    TEXT_NODES,
    VOCABULARY_OF,
    is_text,
    validate,
)
from pyg_sgm.data.storage import read_fields, write_fields
from pyg_sgm.data.vocabulary import Vocabularies
from pyg_sgm.io import counted


class GraphCollection:
    """Packed storage of many image graphs, or of many text graphs.

    Every field of every node and edge type is one array with the rows of all graphs, so a batch
    is a few gathers and no loop over graphs. Rows may be memory-mapped: only those of a batch
    are then read.

    Args:
        ids (list of str): One name per graph.
        num_nodes (dict): Nodes of each type in each graph, ``{node type: [num_graphs]}``.
        fields (dict): ``{(node or edge type, name): Ragged}``; edges are stored as ``[num_edges,
            2]`` rows that number the nodes within their graph.
        sizes (dict, optional): Optional numbers of whole graphs such as ``width`` and ``height``,
            ``{name: [num_graphs]}``. (default: none)

    Example:
        >>> from pyg_sgm.data import GraphCollection, Vocabulary, text_graph
        >>> words = Vocabulary(["a", "dog", "chases", "cat"])
        >>> first = text_graph("A dog chases a cat", words, relations=[("dog", "chases", "cat")])
        >>> texts = GraphCollection.from_graphs([first, text_graph("a cat", words)])
        >>> batch = texts.batch([1, 0])
        >>> batch["word"].ptr, batch["relation"].ptr
        (tensor([0, 2, 7]), tensor([0, 0, 1]))
    """

    def __init__(
        self,
        ids: Sequence[str],
        num_nodes: Mapping[NodeType, Tensor],
        fields: Mapping[Field, Ragged],
        sizes: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.ids = list(ids)
        self.num_nodes = dict(num_nodes)
        self.fields = dict(fields)
        self.sizes = dict(sizes or {})

    @property
    def is_text(self) -> bool:
        """Whether the graphs are text graphs."""
        return "word" in self.num_nodes

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> HeteroData:
        """One graph, with its ``id`` and without ``ptr`` and ``batch``."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"graph {index} of {len(self)}")
        index %= len(self)
        graph = self.batch([index])
        for node in self.num_nodes:
            del graph[node].ptr, graph[node].batch
        del graph.num_graphs
        graph.id = self.ids[index]
        for name, value in self.sizes.items():
            graph[name] = float(value[index])
        return graph

    def select(self, index: Tensor | Sequence[int]) -> "GraphCollection":
        """The collection of some graphs; it shares the storage and reads nothing.

        Args:
            index (Tensor or list of int): Positions of the graphs, in the order wanted.
        """
        index = torch.as_tensor(index, dtype=torch.long)
        spans = {id(f.spans): f.spans.select(index) for f in self.fields.values()}
        return GraphCollection(
            [self.ids[i] for i in index.tolist()],
            {node: count[index] for node, count in self.num_nodes.items()},
            {key: Ragged(f.rows, spans[id(f.spans)]) for key, f in self.fields.items()},
            {name: value[index] for name, value in self.sizes.items()},
        )

    def batch(self, index: Tensor | Sequence[int] | None = None) -> HeteroData:
        """Joins graphs into one disconnected graph.

        Args:
            index (Tensor or list of int, optional): The graphs in order, repeats allowed. (default:
                all)

        Returns:
            Their union: every node type has ``ptr`` ``[num_graphs + 1]`` and ``batch``
            ``[num_nodes]``, edges are offset, ``num_graphs`` is set and ``id`` is a list.
        """
        part = self if index is None else self.select(index)
        data = HeteroData()
        ptr: dict[NodeType, Tensor] = {}
        for node, count in part.num_nodes.items():
            ptr[node] = torch.cat([count.new_zeros(1), count.cumsum(0)])
            data[node].num_nodes = int(ptr[node][-1])
            data[node].ptr = ptr[node]
            data[node].batch = torch.arange(len(part)).repeat_interleave(count)
        row_of: dict[int, Tensor] = {}  # many fields share their spans
        for (store, name), field in part.fields.items():
            key = id(field.spans)
            if key not in row_of:
                row_of[key] = field.spans.rows()
            value = field.rows[row_of[key]]
            if isinstance(store, tuple):
                offset = torch.stack([ptr[store[0]][:-1], ptr[store[2]][:-1]], dim=1)
                offset = offset.repeat_interleave(field.spans.count, dim=0)
                value = (value + offset).t().contiguous()  # [2, num_edges]
            data[store][name] = value
        data.num_graphs = len(part)
        data.id = part.ids
        for name, size in part.sizes.items():
            data[name] = size
        return data

    def check(self, vocabularies: Vocabularies) -> "GraphCollection":
        """The collection itself, if all its labels and words are of these vocabularies.

        Args:
            vocabularies (Vocabularies): Those of the model that is to take the graphs.

        Raises:
            ValueError: Naming the graph and the field of an index outside its vocabulary.
        """
        for (store, name), field in self.fields.items():
            if name not in ("label", "token") or not isinstance(store, str):
                continue
            limit = len(vocabularies.words)
            if not self.is_text:
                limit = len(getattr(vocabularies, VOCABULARY_OF[store]))
            bad = field.rows[field.spans.rows()] >= limit
            if bad.any():
                row = int(bad.nonzero()[0])
                i = int(torch.searchsorted(field.spans.count.cumsum(0), row, right=True))
                raise ValueError(
                    f"graph {i} ({self.ids[i]!r}): {store}.{name}: an index outside the "
                    f"vocabulary, which has {limit} words"
                )
        return self

    @classmethod
    def from_graphs(cls, graphs: Sequence[HeteroData]) -> "GraphCollection":
        """Packs single graphs.

        Args:
            graphs (list of HeteroData): At least one graph, all image graphs or all text graphs,
                with the same fields.

        Raises:
            ValueError: If a graph is not valid (see :func:`validate`), if the modalities are
                mixed, or if a field is missing from some graphs or differs in width.
        """
        if not graphs:
            raise ValueError("from_graphs: no graphs given")
        names = [_name(graph, i) for i, graph in enumerate(graphs)]
        keys = _field_keys(graphs[0])
        for name, graph in zip(names, graphs, strict=True):
            validate(graph, name=name)
            if is_text(graph) != is_text(graphs[0]):
                raise ValueError(f"{name}: image and text graphs in one collection")
            if odd := keys.symmetric_difference(_field_keys(graph)):
                listed = ", ".join(sorted(f"{store} {field}" for store, field in odd))
                raise ValueError(f"{name}: fields that only some graphs have: {listed}")
        text = is_text(graphs[0])
        num_nodes = {
            node: torch.tensor([graph[node].num_nodes for graph in graphs])
            for node in (TEXT_NODES if text else IMAGE_NODES)
        }
        per_node = {node: Spans.packed(count) for node, count in num_nodes.items()}
        fields: dict[Field, Ragged] = {}
        for store, field in sorted(keys, key=str):
            values = [graph[store][field] for graph in graphs]
            if isinstance(store, tuple):
                values = [value.t() for value in values]
            for name, value in zip(names, values, strict=True):
                if value.shape[1:] != values[0].shape[1:] or value.dtype != values[0].dtype:
                    raise ValueError(
                        f"{name}: {store} {field}: {value.dtype} of width {list(value.shape[1:])}, "
                        f"but {values[0].dtype} of width {list(values[0].shape[1:])} before"
                    )
            counts = torch.tensor([value.size(0) for value in values])
            spans = Spans.packed(counts)
            if isinstance(store, str) and torch.equal(counts, num_nodes[store]):
                spans = per_node[store]
            fields[store, field] = Ragged(torch.cat(values), spans)
        sizes = {
            size: torch.tensor([float(graph[size]) for graph in graphs])
            for size in ("width", "height")
            if all(size in graph for graph in graphs)
        }
        ids = [str(graph["id"]) if "id" in graph else "" for graph in graphs]
        return cls(ids, num_nodes, fields, sizes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the collection as one safetensors file; see :meth:`load`.

        Args:
            path (str or PathLike): The file.
        """
        write_fields(path, self.ids, self.num_nodes, self.fields, self.sizes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "GraphCollection":
        """Opens a file written by :meth:`save`; features are memory-mapped, nothing is unpickled.

        All of it is checked here, except region features, which are checked when they are read.

        Args:
            path (str or PathLike): The file.

        Raises:
            ValueError: Naming the file, if it is cut short, not a collection, or inconsistent.
        """
        collection = cls(*read_fields(path))
        try:
            _check(collection)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        return collection

    def __repr__(self) -> str:
        graph = "text graph" if self.is_text else "image graph"
        return f"GraphCollection({counted(len(self), graph)})"


def _name(graph: HeteroData, position: int) -> str:
    return f"graph {position} ({graph['id']})" if "id" in graph else f"graph {position}"


def _field_keys(graph: HeteroData) -> set[Field]:
    nodes, edges = (TEXT_NODES, TEXT_EDGES) if is_text(graph) else (IMAGE_NODES, IMAGE_EDGES)
    stores: tuple[Store, ...] = (*nodes, *edges)
    return {
        (store, name)
        for store in stores
        if store in (*graph.node_types, *graph.edge_types)
        for name, value in graph[store].items()
        if isinstance(value, Tensor) and name not in ("ptr", "batch")
    }


def _check(collection: GraphCollection) -> None:
    """All graphs at once: edges within each graph, then their union as one graph."""
    for name, values in {**collection.num_nodes, **collection.sizes}.items():
        if values.shape != (len(collection),):
            raise ValueError(f"{name}: expected one number for each of {len(collection)} graphs")
    for (store, name), field in collection.fields.items():
        if len(field.spans.count) != len(collection):
            raise ValueError(f"{store} {name}: expected {len(collection)} graphs")
        if isinstance(store, tuple):
            edges = field.rows[field.spans.rows()]
            if edges.dim() != 2 or edges.size(1) != 2 or edges.dtype != torch.long:
                raise ValueError(f"{store}: expected int64 [num_edges, 2]")
            for column, node in zip(edges.t(), (store[0], store[2]), strict=True):
                limit = collection.num_nodes[node].repeat_interleave(field.spans.count)
                if bool(((column < 0) | (column >= limit)).any()):
                    raise ValueError(f"{store}: an edge to a {node} that is not there")
    small = {key: field for key, field in collection.fields.items() if key[1] != "x"}
    validate(GraphCollection(collection.ids, collection.num_nodes, small).batch(), name="graphs")
