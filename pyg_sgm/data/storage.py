"""Graph collections as one safetensors file."""

import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch_geometric.typing import NodeType

from pyg_sgm.data.features import CheckedRows
from pyg_sgm.data.ragged import Field, Ragged, Spans, Store
from pyg_sgm.data.schema import IMAGE_EDGES, IMAGE_NODES, TEXT_EDGES, TEXT_NODES
from pyg_sgm.io import write_tensors

FORMAT = {"format": "pyg_sgm graph collection", "version": "1"}


Fields: TypeAlias = tuple[
    list[str], dict[NodeType, Tensor], dict[Field, Ragged], dict[str, Tensor]
]  # the arguments of GraphCollection


def write_fields(
    path: str | os.PathLike[str],
    names: Sequence[str],
    num_nodes: Mapping[NodeType, Tensor],
    fields: Mapping[Field, Ragged],
    sizes: Mapping[str, Tensor],
) -> None:
    """Writes the file whole or not at all.

    Tensors: ``ids`` and ``id_lengths`` (UTF-8 bytes), ``nodes/TYPE`` (nodes per graph),
    ``rows/STORE/FIELD`` and, where it is not that of the nodes, ``count/STORE/FIELD`` (rows a
    graph), ``size/NAME``. An edge type is written ``object,subject_of,relation``.
    """
    # Names of files need not be Unicode.
    ids = [name.encode(errors="surrogatepass") for name in names]
    tensors = {
        "ids": torch.tensor(list(b"".join(ids)), dtype=torch.uint8),
        "id_lengths": torch.tensor([len(name) for name in ids], dtype=torch.long),
    }
    for node, count in num_nodes.items():
        tensors[f"nodes/{node}"] = count
    for (store, name), field in fields.items():
        key = f"{store if isinstance(store, str) else ','.join(store)}/{name}"
        tensors[f"rows/{key}"] = field.rows[field.spans.rows()]
        if not (isinstance(store, str) and torch.equal(field.spans.count, num_nodes[store])):
            tensors[f"count/{key}"] = field.spans.count
    for name, size in sizes.items():
        tensors[f"size/{name}"] = size
    write_tensors(path, tensors, FORMAT)


def read_fields(path: str | os.PathLike[str]) -> Fields:
    """Opens a file; region features are memory-mapped, and checked when they are read.

    Raises:
        ValueError: Naming the file, if it is cut short or not a collection.
    """
    try:
        with safe_open(path, framework="pt") as file:
            if file.metadata() != FORMAT:
                raise ValueError(f"{path}: not a graph collection of version {FORMAT['version']}")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path}: cut short or not a safetensors file; pickles are never read ({error})"
        ) from error
    try:
        return _assemble(tensors, str(path))
    except KeyError as error:
        raise ValueError(f"{path}: {error.args[0]} is missing") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _assemble(tensors: dict[str, Tensor], path: str) -> Fields:
    for key, value in tensors.items():
        if key.startswith(("nodes/", "count/", "id_lengths")) and (
            value.dtype != torch.long or value.dim() != 1 or bool((value < 0).any())
        ):
            raise ValueError(f"{key}: expected counts")
    text = "nodes/word" in tensors
    nodes, edges = (TEXT_NODES, TEXT_EDGES) if text else (IMAGE_NODES, IMAGE_EDGES)
    num_nodes = {node: tensors[f"nodes/{node}"] for node in nodes}
    per_node = {node: Spans.packed(count) for node, count in num_nodes.items()}
    stores: dict[str, Store] = {node: node for node in nodes} | {",".join(e): e for e in edges}
    fields: dict[Field, Ragged] = {}
    for key, rows in tensors.items():
        if key.startswith("rows/"):
            _, stored, name = key.split("/")
            if stored not in stores:
                raise ValueError(f"{key}: no such node or edge type")
            count = tensors.get(f"count/{stored}/{name}")
            spans = per_node[stored] if count is None else Spans.packed(count)
            if rows.dim() == 0 or int(spans.count.sum()) != len(rows):
                raise ValueError(f"{key}: expected {int(spans.count.sum())} rows")
            lazy = name == "x"
            if rows.dtype == torch.bfloat16:  # NumPy has none
                rows = rows.float()
            fields[stores[stored], name] = Ragged(
                CheckedRows(rows.numpy(), f"{path}: {stored}.x") if lazy else rows, spans
            )
    sizes = {key[len("size/") :]: value for key, value in tensors.items() if key[:5] == "size/"}
    return _ids(tensors), num_nodes, fields, sizes


def _ids(tensors: dict[str, Tensor]) -> list[str]:
    raw, ends = bytes(tensors["ids"].tolist()), tensors["id_lengths"].cumsum(0).tolist()
    if (ends[-1] if ends else 0) != len(raw):
        raise ValueError("ids: lengths do not fit")
    return [raw[a:b].decode(errors="surrogatepass") for a, b in zip([0, *ends], ends, strict=False)]
