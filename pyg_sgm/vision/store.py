"""Graphs of images on disk: a folder of shards, each written whole or not at all."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyg_sgm.data import ImageRecord, Ragged, Spans, image_record, open_npy
from pyg_sgm.data.features import FolderRows
from pyg_sgm.io import atomic_write, read_json, read_json_lines, write_text

HEADER = "graphs.json"
SKIPPED = "skipped.jsonl"
FORMAT = {"format": "pyg_sgm graph folder", "version": 1}
_RENAMED = {"key": "fingerprint", "half": "dtype", "colours": "colors"}  # in descriptions
_MOVED = {"pyg_sgm.vision.attributes.attributes": "pyg_sgm.vision.colors.color_attributes"}
KINDS = ("object", "relation")  # node types that have features


@dataclass(frozen=True)
class Graph:
    """The graph of one image with its features.

    Args:
        record: Labels, boxes, relations, attributes and scores.
        size: Width and height in pixels of the image's file.
        features: ``{"object": [num_objects, dim], "relation": [num_relations, dim]}``.
    """

    record: ImageRecord
    size: tuple[int, int]
    features: Mapping[str, np.ndarray]


def open_graphs(path: str | os.PathLike[str]) -> tuple[list[ImageRecord], dict[str, Ragged]]:
    """Opens a folder that :func:`extract` wrote.

    Args:
        path: The folder.

    Returns:
        The graphs, sorted by id, with boxes in ``[0, 1]``; and region features ``{"object",
        "relation"}``, memory-mapped, which give float32 rows when a batch asks for them.

    Raises:
        FileNotFoundError: If it is absent or no graph folder.
        ValueError: Naming the file, if one is cut short or does not fit the others.
    """
    folder = Path(path)
    header = read_header(folder)
    shards = {shard: read_shard(shard) for shard in shard_files(folder)}
    # An image that has been extracted anew stands in two shards, and the later one holds.
    newest = {row["id"]: shard for shard, rows in shards.items() for row in rows}
    # One that could no longer be read stands in an old shard.
    newest |= dict.fromkeys(read_skipped(folder), Path())
    records: list[ImageRecord] = []
    starts: dict[str, list[int]] = {kind: [] for kind in KINDS}
    ends = dict.fromkeys(KINDS, 0)
    files: dict[str, list[tuple[Path, int]]] = {kind: [] for kind in KINDS}
    for shard, rows in shards.items():
        before = dict(ends)
        for row in rows:
            record = _record(row, shard)
            if newest[record.id] == shard:
                records.append(record)
                for kind in KINDS:
                    starts[kind].append(ends[kind])
            ends["object"] += len(record.objects)
            ends["relation"] += len(record.relations)
        for kind in KINDS:
            file = feature_file(shard, kind)
            count, dim = ends[kind] - before[kind], header["dim"]
            shape = open_npy(file).shape
            if shape != (count, dim):
                raise ValueError(f"{file}: expected [{count}, {dim}], got {list(shape)}")
            files[kind].append((file, ends[kind]))
    order = sorted(range(len(records)), key=lambda i: records[i].id)
    records = [records[i] for i in order]
    counts = {
        "object": [len(record.objects) for record in records],
        "relation": [len(record.relations) for record in records],
    }
    features = {}
    for kind in KINDS:
        ptr = torch.tensor([0, *(end for _, end in files[kind])])
        stored = FolderRows([file for file, _ in files[kind]], ptr, header["dim"])
        start = torch.tensor([starts[kind][i] for i in order], dtype=torch.long)
        spans = Spans(start, torch.tensor(counts[kind], dtype=torch.long))
        features[kind] = Ragged(stored, spans)
    return records, features


def read_header(folder: Path) -> dict[str, Any]:
    """What made the graphs of a folder."""
    path = folder / HEADER
    if not path.exists():
        raise FileNotFoundError(f"{folder}: no folder of graphs ({HEADER} is not there)")
    header = read_json(path)
    if not isinstance(header, dict) or {key: header.get(key) for key in FORMAT} != FORMAT:
        raise ValueError(f"{path}: not a graph folder of version {FORMAT['version']}")
    return migrated(header)


def migrated(made: Mapping[str, Any]) -> dict[str, Any]:
    """The description of an extractor in today's words, whatever version wrote it."""
    made = {_RENAMED.get(name, name): value for name, value in made.items()}
    renamed = {"efficientnet-lite0": "efficientnet_lite0"}  # backbones
    if isinstance(made.get("options"), dict):
        options = {_RENAMED.get(name, name): value for name, value in made["options"].items()}
        if isinstance(options.get("dtype"), bool):  # was "half", and true or false
            options["dtype"] = "bfloat16" if options["dtype"] else "float32"
        if "half" in made["options"]:  # of a version that merged no boxes
            options["merge"] = False
        if isinstance(options.get("backbone"), str):
            new = _backbone(options["backbone"])
            renamed[options["backbone"]] = options["backbone"] = new
        made["options"] = options
    parts = made.get("fingerprint")
    if isinstance(parts, dict):
        parts = {name: _MOVED.get(str(part), part) for name, part in parts.items()}
        if isinstance(parts.get("features"), str):
            name, space, rest = parts["features"].partition(" ")
            parts["features"] = renamed.get(name, name) + space + rest
        made["fingerprint"] = parts
    return made


def _backbone(name: str) -> str:
    """The name of a backbone of version 0.1, where names without a colon were models of timm."""
    if ":" in name or name.startswith("efficientnet_lite"):
        return name
    return "efficientnet_lite0" if name == "efficientnet-lite0" else f"timm:{name}"


def read_skipped(path: str | os.PathLike[str]) -> dict[str, str]:
    """Why images of a graph folder have no graph, by their ids."""
    file = Path(path) / SKIPPED
    if not file.exists():
        return {}
    try:
        return {row["image"]: row["reason"] for _, row in read_json_lines(file)}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{file}: cut short or not the list of skipped images") from error


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Waits until no other process writes to a folder, where the system has such locks."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with (folder / HEADER).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed, however the process ends
        yield


def shard_files(folder: Path) -> list[Path]:
    """The shards in the order in which they were written."""
    return sorted(path for path in folder.glob("*.json") if path.stem.isdigit())


def read_shard(path: Path) -> list[dict[str, Any]]:
    """One mapping an image."""
    rows = read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
        raise ValueError(f"{path}: expected a list of images")
    return rows


def feature_file(shard: Path, kind: str) -> Path:
    """Where the features of a shard are."""
    return shard.with_suffix(f".{kind}.npy")


def write_shard(path: Path, graphs: Sequence[Graph], sources: Sequence[Sequence[int]]) -> None:
    """Writes the features first and the graphs last, so that a shard with graphs is whole.

    Args:
        path: The file of graphs.
        graphs: At least one.
        sources: What identifies the state of each image's file.

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
    rows = [_row(graph, source) for graph, source in zip(graphs, sources, strict=True)]
    write_text(path, "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def _row(graph: Graph, source: Sequence[int]) -> dict[str, Any]:
    record = graph.record
    assert record.boxes is not None
    return {
        "id": record.id,
        "source": list(source),
        "size": graph.size,
        "objects": list(record.objects),
        "boxes": record.boxes.round(6).tolist(),
        "relations": list(record.relations),
        "attributes": list(record.attributes),
        "scores": {
            node: np.asarray(score, np.float64).round(4).tolist()
            for node, score in record.scores.items()
        },
    }


def _record(row: Mapping[str, Any], shard: Path) -> ImageRecord:
    try:
        record = image_record(
            row["objects"],
            row["boxes"],
            [(s, predicate, o) for s, predicate, o in row["relations"]],
            [(o, label) for o, label in row["attributes"]],
            scores=row["scores"],
            id=row["id"],
        )
        # The size is that of the file, the boxes are not in its pixels.
        return replace(record, size=tuple(row["size"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{shard}: image {row['id']!r}: {error}") from error
