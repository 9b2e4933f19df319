"""Images to rows: what is new is made a graph, encoded and written, part by part."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from pyg_sgm.data import ImageRecord, image_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.datasets._files.images import LIST
from pyg_sgm.datasets.image_folder import ImageFolder
from pyg_sgm.index.header import Header
from pyg_sgm.index.hits import Added
from pyg_sgm.index.rows import (
    Field,
    encoding_columns,
    fields_of,
    from_text,
    is_metadata,
    path_column,
    record_columns,
    to_text,
)
from pyg_sgm.index.store import Store, Table, cast_column
from pyg_sgm.io import counted, file_state, is_path, is_uri, to_path
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.retrieval.prepare import graphs_and_skipped, needs_graph

if TYPE_CHECKING:
    import pyarrow as pa

#: A dataset, a folder of images, or files and records.
Addable: TypeAlias = (
    "SceneGraphDataset | str | os.PathLike[str] | ImageRecord"
    " | Iterable[str | os.PathLike[str] | ImageRecord]"
)
Metadata: TypeAlias = Mapping[str, Mapping[str, Any]]
CHUNK = 1024  # images that are written at once: LanceDB is slow on small batches


def dataset_of(images: Addable) -> SceneGraphDataset:
    """Images as a dataset.

    Args:
        images (Addable): A dataset; a folder or its URI, whose images are known by their paths
            within it; a list of images (see :func:`~pyg_sgm.datasets.list_images`); or files and
            records.

    Raises:
        ValueError: If there is none, or two have the same id.
    """
    if isinstance(images, SceneGraphDataset):
        return images
    if isinstance(images, (str, os.PathLike)) or is_path(images):
        path = to_path(images)
        if path.is_dir() or path.suffix == LIST:
            return ImageFolder(path)
    if isinstance(images, (str, os.PathLike, ImageRecord)) or is_path(images):
        images = [images]
    records = []
    for image in images:
        if not (isinstance(image, (str, os.PathLike, ImageRecord)) or is_path(image)):
            raise ValueError(
                f"images: expected a dataset, a folder, files or records, got "
                f"{type(image).__name__}"
            )
        if not isinstance(image, ImageRecord):
            image = image_record(id=str(image), file=image)
        records.append(image)
    return SceneGraphDataset(records, [], [])


def content_hash(dataset: SceneGraphDataset, i: int) -> str | None:
    """What changes with an image: its file, or its graph and features, where it has these;
    :obj:`None`, if it cannot be read.

    Args:
        dataset (SceneGraphDataset): The images.
        i (int): Position of the image.
    """
    image = dataset.images[i]
    if needs_graph(image):
        try:
            if is_uri(image.file or ""):  # it is read when its graph is made, and but once
                state = [str(image.file), *file_state(to_path(image.file or ""))]
                return hashlib.sha256(json.dumps(state).encode()).hexdigest()
            with open(image.file or "", "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
    columns = record_columns([replace(image, file=None)])
    digest = hashlib.sha256(json.dumps([columns["graph"], list(image.size or ())]).encode())
    for name, part in sorted(dataset.features.items()):
        rows = part.rows[part.select(torch.tensor([i])).spans.rows()]
        digest.update(name.encode() + rows.contiguous().numpy().tobytes())
    return digest.hexdigest()


def chunks(
    dataset: SceneGraphDataset, places: Sequence[int], matcher: SceneGraphMatcher, folder: Path
) -> Iterator[tuple[SceneGraphDataset, list[int], Mapping[str, str]]]:
    """Parts of some images with their graphs, the positions that they had, and why some have none.

    Graphs of photos are made in a folder, which a process that was killed goes on with, and which
    is removed after each part.

    Args:
        dataset (SceneGraphDataset): The images.
        places (list of int): Positions of those to go through.
        matcher (SceneGraphMatcher): What makes graphs.
        folder (Path): See above.
    """
    for start in range(0, len(places), CHUNK):
        chosen = list(places[start : start + CHUNK])
        part = dataset.select_images(chosen)
        pixels = any(needs_graph(image) for image in part.images)
        why: Mapping[str, str] = {}
        if pixels:
            part, why = graphs_and_skipped(part, folder, matcher.extractor)
        unread = [image.id for image in part.images if not image.has_graph]
        yield part, chosen, {id: why.get(id, "it has neither graph nor file") for id in unread}
        if pixels:
            shutil.rmtree(folder)


def rows_of(
    part: SceneGraphDataset,
    matcher: SceneGraphMatcher,
    hashes: Sequence[str],
    metadata: Metadata,
    positions: Sequence[int],
    dtype: str,
    kept: Sequence[Field] | None,
) -> tuple[pa.Table, Sequence[Field]]:
    """Rows of images with graphs.

    Args:
        part (SceneGraphDataset): Images, some of which may have no graph.
        matcher (SceneGraphMatcher): What encodes them.
        hashes (list of str): See :func:`content_hash`.
        metadata (dict): Values by name, by the id of their image.
        positions (list of int): When each is added, among all.
        dtype (str): Type of the vectors.
        kept (list of Field, optional): How encodings are kept; :obj:`None` for the first rows.
    """
    import pyarrow as pa

    encoded = matcher.encode_images(part)
    known = encoded.known.tolist()
    records = [part.images[i] for i in known]
    kept = kept or fields_of(encoded.encoding, dtype)
    columns: dict[str, Any] = record_columns(records)
    columns["position"] = pa.array([positions[i] for i in known], pa.int64())
    columns["hash"] = [hashes[i] for i in known]
    columns |= encoding_columns(encoded.encoding, kept)
    columns |= metadata_columns([metadata.get(record.id, {}) for record in records])
    return pa.table(columns), kept


def metadata_columns(values: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    """Columns of metadata, without those that have no value.

    Args:
        values (list of dict): Values of each row by name.

    Raises:
        ValueError: If the values of a column are of several types.
    """
    import pyarrow as pa

    columns = {}
    for name in dict.fromkeys(name for row in values for name in row):
        try:
            column = pa.array([row.get(name) for row in values])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ValueError(f"metadata: {name!r}: {error}") from error
        if column.type != pa.null():
            columns[name] = column
    return columns


@dataclass(frozen=True)
class Changes:
    """What an addition changes of an index, by :func:`changes_of`.

    Args:
        hashes (list of str): See :func:`content_hash`, of all images that are added.
        metadata (dict): What each image has then, by name, by its id.
        new (list of int): Positions of images that are not there, or with other content.
        replaced (list of int): Positions of those of them that are there.
        columns (dict): New values of columns of images that stay, by name, by the id of their
            image: metadata, and where files are.
    """

    hashes: Sequence[str]
    metadata: Metadata
    new: Sequence[int]
    replaced: Sequence[int]
    columns: Metadata

    def added(self, dataset: SceneGraphDataset, skipped: Mapping[str, str]) -> Added:
        """What was done.

        Args:
            dataset (SceneGraphDataset): The images.
            skipped (dict): Why images could not be read, by their ids.
        """
        replaced = sum(dataset.images[i].id not in skipped for i in self.replaced)
        return Added(
            added=len(self.new) - replaced - len(skipped),
            replaced=replaced + len(self.columns),
            unchanged=len(dataset) - len(self.new) - len(self.columns),
            skipped=skipped,
        )


def changes_of(
    dataset: SceneGraphDataset,
    metadata: Metadata,
    before: Metadata,
    hashes: Mapping[str, str],
    paths: Mapping[str, str | None],
) -> Changes:
    """What changes of an index when images are added.

    Args:
        dataset (SceneGraphDataset): The images.
        metadata (dict): Values by name, by the id of their image; :obj:`None` is no value. Images
            keep those of other names that they had.
        before (dict): The same as it is.
        hashes (dict): Content of the images that are there, by
            :func:`~pyg_sgm.index.rows.to_text` of the id.
        paths (dict): Their files, likewise.
    """
    own = [content_hash(dataset, i) for i in range(len(dataset))]
    new, replaced = [], []
    merged, columns = {}, {}
    name_of = {path: name for name, path in paths.items() if path is not None}
    again: list[str] = []  # what is there by another name
    for i, image in enumerate(dataset.images):
        name, old = to_text(image.id), before.get(image.id, {})
        given = metadata.get(image.id, {}).items()
        merged[image.id] = dict(old) | {key: value for key, value in given if value is not None}
        path = path_column(image)
        if hashes.get(name, "") != own[i]:
            new.append(i)
            if name in hashes:
                replaced.append(i)
            elif path is not None and name_of.setdefault(path, name) != name:
                again.append(f"{name!r}, which is {name_of[path]!r}")
            continue
        values = {k: v for k, v in merged[image.id].items() if not _is_same(old.get(k), v)}
        if path is not None and path != paths[name]:
            values["path"] = path
        if values:
            columns[image.id] = values
    if again:
        warnings.warn(
            f"{counted(len(again), 'photo')} in the index by another name too, such as {again[0]}: "
            "photos of a folder are known by their paths within it, others as they are given",
            stacklevel=3,
        )
    return Changes([hash or "" for hash in own], merged, new, replaced, columns)


def _is_same(old: Any, value: Any) -> bool:
    """Whether a value is one that was read back."""
    if isinstance(value, tuple):
        value = list(value)
    return bool(old == value or (old != old and value != value))  # NaN is not equal to itself


def with_changes(table: Table, changes: Metadata) -> Iterator[pa.Table]:
    """Rows of images that are there, part by part, with other values in some columns.

    Args:
        table (Table): The rows.
        changes (dict): New values by name, by the id of their image.

    Raises:
        ValueError: If a value does not fit its column.
    """
    import pyarrow as pa

    if not changes:
        return
    rows = table.at(table.version())
    found = rows.read(["id"])
    names = map(from_text, found["id"].to_pylist())
    keys = dict(zip(names, found["_rowid"].to_pylist(), strict=True))
    ids = list(changes)
    for start in range(0, len(ids), CHUNK):
        chosen = ids[start : start + CHUNK]
        part = rows.take([keys[id] for id in chosen], rows.schema().names).drop_columns("_rowid")
        columns = dict(zip(part.column_names, part.columns, strict=True))
        for name, column in metadata_columns([changes[id] for id in chosen]).items():
            if name in columns:
                kind = columns[name].type
                new, old = cast_column(column, name, kind).to_pylist(), columns[name].to_pylist()
                both = zip(chosen, new, old, strict=True)
                column = pa.array([n if name in changes[id] else o for id, n, o in both], kind)
            columns[name] = column
        yield pa.table(columns)


def warn_of_lost(skipped: Mapping[str, str]) -> None:
    """Says that photos which could not be read are not in a rebuilt index.

    Args:
        skipped (dict): Why, by their names.
    """
    if skipped:
        names = ", ".join(map(repr, list(skipped)[:3])) + (", ..." if len(skipped) > 3 else "")
        warnings.warn(
            f"{counted(len(skipped), 'photo')} whose files cannot be read left out of the index: "
            f"{names}",
            stacklevel=3,
        )


def files_of(parts: Sequence[tuple[Store, Header]]) -> list[ImageRecord]:
    """The files of the images of an index, in the order in which they were added.

    Args:
        parts (list of tuple): The rows, of one store or of several shards, and what they say of
            themselves.

    Raises:
        ValueError: If an image has no file.
    """
    records = []
    for row in _rows(parts, ["path"]):
        id = from_text(row["id"])
        if row["path"] is None:
            raise ValueError(f"{parts[0][0].uri}: the file of {id!r} is not known: give the images")
        records.append(image_record(id=id, file=from_text(row["path"])))
    return records


def metadata_of(parts: Sequence[tuple[Store, Header]]) -> dict[str, dict[str, Any]]:
    """What else the images of an index were added with.

    Args:
        parts (list of tuple): See :func:`files_of`.
    """
    found = {}
    for part in parts:
        store, header = part
        if header.version:
            schema = store.table(header.table).at(header.version).schema()
            names = [name for name in schema.names if is_metadata(name)]
            for row in _rows([part], names) if names else ():
                own = {name: row[name] for name in names if row[name] is not None}
                found[from_text(row["id"])] = own
    return found


def _rows(parts: Sequence[tuple[Store, Header]], columns: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for store, header in parts:
        if header.version:
            rows = store.table(header.table).at(header.version)
            found += rows.read(["id", "position", *columns]).to_pylist()
    return sorted(found, key=lambda row: row["position"])
