"""Graphs of images on disk: a folder of shards, each written whole or not at all."""

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyg_sgm.data import ImageRecord, Ragged, Spans, open_npy
from pyg_sgm.data.features import FolderRows
from pyg_sgm.io import (
    atomic_write,
    is_temporary,
    is_there,
    local_copies,
    make_folder_of,
    printable,
    read_json,
    read_json_lines,
    to_path,
    write_json,
    write_text,
)
from pyg_sgm.vision._shards import (
    KINDS,
    Source,
    feature_file,
    next_number,
    read_shards,
    record_of,
    write_rows,
)
from pyg_sgm.vision.fingerprint import migrated

HEADER = "graphs.json"
SKIPPED = "skipped.jsonl"
FORMAT = {"format": "pyg_sgm graph folder", "version": 1}


def open_graphs(path: str | os.PathLike[str]) -> tuple[list[ImageRecord], dict[str, Ragged]]:
    """Opens a folder that :func:`extract` wrote.

    Args:
        path (str or PathLike): The folder, or its URI: then the shards are fetched once, into a
            cache, which the variable ``PYG_SGM_CACHE`` of the environment names.

    Returns:
        The graphs, sorted by id, with boxes in ``[0, 1]``; and region features ``{"object",
        "relation"}``, memory-mapped, which give float32 rows when a batch asks for them.

    Raises:
        FileNotFoundError: If it is absent or no graph folder.
        ValueError: Naming the file, if one is cut short or does not fit the others.
    """
    folder = to_path(path)
    dim = read_header(folder)["dim"]
    shards = read_shards(folder)
    newest = _newest(folder, shards)
    records: list[ImageRecord] = []
    starts: dict[str, list[int]] = {kind: [] for kind in KINDS}
    ends = dict.fromkeys(KINDS, 0)
    files: dict[str, list[tuple[Path, int]]] = {kind: [] for kind in KINDS}
    stored = {kind: _stored(shards, kind) for kind in KINDS}
    for shard, rows in shards.items():
        before = dict(ends)
        for row in rows:
            record = record_of(row, shard)
            if newest[record.id] == shard:
                records.append(record)
                for kind in KINDS:
                    starts[kind].append(ends[kind])
            ends["object"] += len(record.objects)
            ends["relation"] += len(record.relations)
        for kind in KINDS:
            file = stored[kind][shard]
            count = ends[kind] - before[kind]
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
        of_kind = FolderRows([file for file, _ in files[kind]], ptr, dim)
        start = torch.tensor([starts[kind][i] for i in order], dtype=torch.long)
        spans = Spans(start, torch.tensor(counts[kind], dtype=torch.long))
        features[kind] = Ragged(of_kind, spans)
    return records, features


def make_folder(folder: Path, header: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """The header of a graph folder, which is made if it is absent or empty.

    Args:
        folder (Path): The folder.
        header (callable): Gives what a new one gets.

    Raises:
        ValueError: If it holds other files.
    """
    if not is_there(folder / HEADER):
        if folder.is_dir() and any(not _ours(path) for path in folder.iterdir()):
            raise ValueError(f"{folder} holds files that are no graphs; give another folder")
        make_folder_of(folder)
        write_json(folder / HEADER, FORMAT | dict(header()))
    return read_header(folder)


def read_header(folder: Path) -> dict[str, Any]:
    """What made the graphs of a folder.

    Raises:
        FileNotFoundError: If it is no graph folder.
        ValueError: Naming the file, if it is none of a graph folder.
    """
    path = folder / HEADER
    if not is_there(path):
        raise FileNotFoundError(f"{folder}: no folder of graphs ({HEADER} is not there)")
    header = read_json(path)
    if not isinstance(header, dict) or {key: header.get(key) for key in FORMAT} != FORMAT:
        raise ValueError(f"{path}: not a graph folder of version {FORMAT['version']}")
    if type(header.get("dim")) is not int or header["dim"] < 1:
        raise ValueError(f"{path}: dim: expected a positive number, got {header.get('dim')!r}")
    return migrated(header)


def read_skipped(path: str | os.PathLike[str]) -> dict[str, str]:
    """Why images of a graph folder have no graph, by their ids.

    Args:
        path (str or PathLike): The folder.

    Raises:
        ValueError: Naming the file, if it is cut short or another.
    """
    file = to_path(path) / SKIPPED
    if not is_there(file):
        return {}
    skipped = {}
    for number, row in read_json_lines(file):
        row = row if isinstance(row, dict) else {}
        image, why = row.get("image"), row.get("reason")
        if not isinstance(image, str) or not isinstance(why, str):
            raise ValueError(f"{file}: line {number}: expected an image and a reason")
        skipped[image] = why
    return skipped


def write_skipped(folder: Path, skipped: Mapping[str, str]) -> None:
    """Writes the images that have no graph, unless the file says so already."""
    if is_there(folder / SKIPPED) and dict(skipped) == read_skipped(folder):
        return  # a folder that nothing is added to may be one that cannot be written to
    rows = [{"image": id, "reason": why} for id, why in sorted(skipped.items())]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    # Names of files that are not UTF-8 become escapes, which JSON reads back as they were.
    write_text(folder / SKIPPED, printable(text))


def sources(folder: Path) -> dict[str, Source]:
    """The state of the files whose graphs are there, by the ids of their images."""
    return {
        row["id"]: tuple(row["source"]) for rows in read_shards(folder).values() for row in rows
    }


def remove_others(folder: Path, keep: Collection[str]) -> int:
    """Removes graphs of other images and those that newer ones have replaced; gives their number.

    A shard that has any is written again without them and then removed. A process that has the
    folder open loses them.

    Args:
        folder (Path): A graph folder that the caller alone writes to.
        keep (list of str): Ids of images.
    """
    shards = read_shards(folder)
    newest = _newest(folder, shards)
    number, removed = next_number(folder), 0
    for shard, rows in shards.items():
        live = [row["id"] in keep and newest[row["id"]] == shard for row in rows]
        if all(live):
            continue
        removed += live.count(False)
        if any(live):
            new = folder / f"{number:06d}.json"
            number += 1
            for kind in KINDS:
                counts = [len(row[f"{kind}s"]) for row in rows]
                mask = np.repeat(live, counts)
                with atomic_write(feature_file(new, kind)) as side, side.open("wb") as file:
                    np.save(file, open_npy(feature_file(shard, kind))[mask], allow_pickle=False)
            write_rows(new, [row for row, alive in zip(rows, live, strict=True) if alive])
        shard.unlink()  # first, so that what is left are features without graphs
        for kind in KINDS:
            feature_file(shard, kind).unlink(missing_ok=True)
    write_skipped(folder, {id: why for id, why in read_skipped(folder).items() if id in keep})
    return removed


def _newest(folder: Path, shards: Mapping[Path, Sequence[Mapping[str, Any]]]) -> dict[str, Path]:
    """The shard that holds for each image."""
    # An image that has been extracted again is in two shards, and the later one holds.
    newest = {row["id"]: shard for shard, rows in shards.items() for row in rows}
    # One that could no longer be read is in an old shard.
    return newest | dict.fromkeys(read_skipped(folder), Path())


def _stored(shards: Iterable[Path], kind: str) -> dict[Path, Path]:
    """Where the features of shards are on this disk."""
    files = {shard: feature_file(shard, kind) for shard in shards}
    return dict(zip(files, local_copies(list(files.values())), strict=True))


def _ours(path: Path) -> bool:
    """Whether a file is a temporary one of a process that was killed."""
    return is_temporary(path.name) or (path.name.startswith(".") and path.name.endswith(".tmp"))
