"""Shards of a graph folder: graphs in JSON, features in NumPy's format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pyg_sgm.data import ImageRecord, image_record
from pyg_sgm.io import atomic_write, is_there, local_copies, parse_json, read_text, write_text

KINDS = ("object", "relation")  # node types that have features

Source = tuple[int, ...]  # bytes, time of change and digest of a file


@dataclass(frozen=True)
class Graph:
    """The graph of one image with its features.

    Args:
        record (ImageRecord): Labels, boxes, relations, attributes and scores.
        size (tuple): Width and height in pixels of the image's file.
        features (dict): ``{"object": [num_objects, dim], "relation": [num_relations, dim]}``.
    """

    record: ImageRecord
    size: tuple[int, int]
    features: Mapping[str, np.ndarray]


def shard_files(folder: Path) -> list[Path]:
    """The shards in the order in which they were written."""
    is_there(folder)  # what was listed of a URI before is old
    return sorted(path for path in folder.glob("*.json") if path.stem.isdecimal())


def next_number(folder: Path) -> int:
    """Number of the next shard."""
    shards = shard_files(folder)
    return int(shards[-1].stem) + 1 if shards else 0


def read_shards(folder: Path) -> dict[Path, list[dict[str, Any]]]:
    """One mapping per image of each shard, whose id, source and lists are checked.

    Raises:
        ValueError: Naming the file, and the image where it has a name.
    """
    shards = shard_files(folder)
    copies = local_copies(shards)
    return {shard: _rows(copy, shard) for shard, copy in zip(shards, copies, strict=True)}


def _rows(copy: Path, path: Path) -> list[dict[str, Any]]:
    rows = parse_json(read_text(copy), f"{path}")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: expected a list of images")
    for i, row in enumerate(rows):
        if not isinstance(row.get("id"), str):
            raise ValueError(f"{path}: [{i}]: id: expected a name, got {row.get('id')!r}")
        where = f"{path}: image {row['id']!r}"
        source, size = row.get("source"), row.get("size")
        if not isinstance(source, list) or not all(type(value) is int for value in source):
            raise ValueError(f"{where}: source: expected numbers, got {source!r}")
        if (
            not isinstance(size, list)
            or len(size) != 2
            or not all(type(x) is int and x > 0 for x in size)
        ):
            raise ValueError(f"{where}: size: expected two positive numbers, got {size!r}")
        for name in ("objects", "boxes", "relations", "attributes"):
            if not isinstance(row.get(name), list):
                raise ValueError(f"{where}: {name}: expected a list, got {row.get(name)!r}")
        if not isinstance(row.get("scores"), dict):
            raise ValueError(f"{where}: scores: expected an object, got {row.get('scores')!r}")
    return rows


def feature_file(shard: Path, kind: str) -> Path:
    """Where the features of a shard are."""
    return shard.with_suffix(f".{kind}.npy")


def write_shard(path: Path, graphs: Sequence[Graph], sources: Sequence[Source]) -> None:
    """Writes the features first and the graphs last, so that a shard with graphs is whole.

    Args:
        path (Path): The file of graphs.
        graphs (list of Graph): At least one.
        sources (list of Source): What identifies the state of each image's file.

    Raises:
        ValueError: Naming the image, if a feature is not finite in float16.
    """
    for kind in KINDS:
        with np.errstate(over="ignore"):
            parts = [graph.features[kind].astype(np.float16) for graph in graphs]
        for graph, part in zip(graphs, parts, strict=True):
            if not np.isfinite(part).all():
                raise ValueError(f"image {graph.record.id!r}: {kind} features beyond float16")
        with atomic_write(feature_file(path, kind)) as side, side.open("wb") as file:
            np.save(file, np.concatenate(parts), allow_pickle=False)
    write_rows(path, [_row(graph, source) for graph, source in zip(graphs, sources, strict=True)])


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_text(path, "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def written_boxes(boxes: np.ndarray) -> np.ndarray:
    """Boxes in ``[0, 1]`` as a shard has them."""
    return boxes.astype(np.float64).round(6)


def _row(graph: Graph, source: Source) -> dict[str, Any]:
    record = graph.record
    assert record.boxes is not None
    return {
        "id": record.id,
        "source": list(source),
        "size": graph.size,
        "objects": list(record.objects),
        "boxes": written_boxes(record.boxes).tolist(),
        "relations": list(record.relations),
        "attributes": list(record.attributes),
        "scores": {
            node: np.asarray(score, np.float64).round(4).tolist()
            for node, score in record.scores.items()
        },
    }


def record_of(row: Mapping[str, Any], shard: Path) -> ImageRecord:
    try:
        record = image_record(
            row["objects"],
            row["boxes"],
            [(s, predicate, o) for s, predicate, o in row["relations"]],
            [(o, label) for o, label in row["attributes"]],
            scores=row["scores"],
            id=row["id"],
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{shard}: image {row['id']!r}: {error}") from error
    # The size is that of the file, the boxes are not in its pixels.
    return replace(record, size=tuple(row["size"]))
