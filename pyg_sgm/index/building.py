"""Changing an index in shards: images are encoded part by part, then each shard takes its rows."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyg_sgm.data import Ragged, Spans
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.index.adding import Metadata, chunks, metadata_columns, rows_of, with_changes
from pyg_sgm.index.header import Header
from pyg_sgm.index.index import SceneGraphIndex
from pyg_sgm.index.rows import Field, from_text, is_metadata
from pyg_sgm.index.shards import Pinned, folder_of, shard_of
from pyg_sgm.index.store import LanceStore, cast_column
from pyg_sgm.io import atomic_write, is_local, is_there, read_bytes, read_json, write_json
from pyg_sgm.retrieval import SceneGraphMatcher

if TYPE_CHECKING:
    import pyarrow as pa

DONE = "done.json"


@dataclass(frozen=True)
class ToEncode:
    """Images that become rows.

    Args:
        folder (Path): Where the rows of each shard are written.
        images (SceneGraphDataset): The images.
        positions (list of int): When each is added, among all.
        hashes (list of str): See :func:`~pyg_sgm.index.adding.content_hash`.
        metadata (dict): Values by name, by the id of their image.
        dtype (str): Type of the vectors.
        shards (int): Number of shards.
    """

    folder: Path
    images: SceneGraphDataset
    positions: Sequence[int]
    hashes: Sequence[str]
    metadata: Metadata
    dtype: str
    shards: int


@dataclass(frozen=True)
class Encoded:
    """What became of the images.

    Args:
        folder (Path): Where their rows are.
        count (int): How many they were.
        skipped (dict): Why images could not be read, by their ids.
        fields (list of Field): How their encodings are kept.
    """

    folder: Path
    count: int
    skipped: Mapping[str, str]
    fields: tuple[Field, ...]

    def rows(self, shard: int) -> pa.Table | None:
        """The rows of a shard, if it has any."""
        import pyarrow as pa

        path = self.folder / f"{shard}.arrow"
        if not is_there(path):
            return None
        if not is_local(path):
            return pa.ipc.open_file(read_bytes(path)).read_all()
        with pa.memory_map(os.fspath(path)) as source:
            return pa.ipc.open_file(source).read_all()


def encode(task: ToEncode, matcher: SceneGraphMatcher) -> Encoded:
    """Writes the rows of some images to files, unless they are there.

    Args:
        task (ToEncode): The images.
        matcher (SceneGraphMatcher): What encodes them.
    """
    if not is_there(task.folder / DONE):
        local = is_local(task.folder)
        side = Path(tempfile.mkdtemp(dir=task.folder.parent if local else None, prefix="."))
        try:
            _encode_to(side, task, matcher)
            if local:
                os.replace(side, task.folder)
            else:
                _put(side, task.folder)
        except OSError:
            if not is_there(task.folder / DONE):  # else another process was faster
                raise
        finally:
            shutil.rmtree(side, ignore_errors=True)
    done = read_json(task.folder / DONE, dict)
    fields = tuple(Field(**field) for field in done["fields"])
    return Encoded(task.folder, len(task.hashes), done["skipped"], fields)


def _encode_to(side: Path, task: ToEncode, matcher: SceneGraphMatcher) -> None:
    import pyarrow as pa

    every = range(len(task.hashes))
    # Beside the rows another process that goes on finds them; those of a URI are made here.
    local = is_local(task.folder)
    graphs = Path(task.folder.with_suffix(".sg")) if local else side / "graphs.sg"
    for part, _, skipped in chunks(task.images, every, matcher, graphs):
        if len(skipped) == len(part):
            write_json(side / DONE, {"skipped": skipped, "fields": []})
            continue
        rows, fields = rows_of(
            part, matcher, task.hashes, task.metadata, task.positions, task.dtype, None
        )
        own = [shard_of(from_text(id), task.shards) for id in rows["id"].to_pylist()]
        for shard in sorted(set(own)):
            mine = rows.take([i for i, one in enumerate(own) if one == shard])
            with (
                atomic_write(side / f"{shard}.arrow") as path,
                pa.OSFile(os.fspath(path), "wb") as sink,
                pa.ipc.new_file(sink, mine.schema) as writer,
            ):
                writer.write_table(mine)
        write_json(side / DONE, {"skipped": skipped, "fields": [vars(one) for one in fields]})


def _put(side: Path, folder: Path) -> None:
    """Puts files to a URI, the one that says that all are there at last."""
    for path in sorted(side.iterdir(), key=lambda path: path.name == DONE):
        with atomic_write(folder / path.name) as target:
            shutil.copyfile(path, target)


def alone(dataset: SceneGraphDataset) -> SceneGraphDataset:
    """The dataset with no more than its own rows of features, to be sent.

    Args:
        dataset (SceneGraphDataset): Some images.
    """
    return dataset.replace(
        features={
            name: Ragged(part.rows[part.spans.rows()], Spans.packed(part.spans.count))
            for name, part in dataset.features.items()
        }
    )


@dataclass(frozen=True)
class ToWrite:
    """What changes in a shard.

    Args:
        home (Path): Folder of the index.
        number (int): Number of the shard.
        header (str): What of it is seen; what was written since is taken back.
        encoded (list of Encoded): Where there may be rows for it.
        fields (list of Field): How encodings are kept.
        columns (dict): Types of the metadata by their names.
        gone (list of str): Names of rows that are removed. (default: none)
        changes (dict, optional): New values of columns of rows that stay, by the id of their
            image. (default: none)
        fresh (bool): Write all segments anew. (default: :obj:`False`)
    """

    home: Path
    number: int
    header: str
    encoded: Sequence[Encoded] = ()
    fields: tuple[Field, ...] = ()
    columns: Mapping[str, Any] | None = None
    gone: Sequence[str] = ()
    changes: Metadata | None = None
    fresh: bool = False


def write(task: ToWrite, matcher: SceneGraphMatcher) -> tuple[int, str]:
    """Changes a shard; gives its number and its new header.

    Args:
        task (ToWrite): What changes.
        matcher (SceneGraphMatcher): What made the rows.
    """
    shard = open_shard(task.home, task.number, task.header, matcher)
    with shard._writing(task.fresh, wait=True) as table:
        table.restore(shard._header.version)
        if not shard._header.fields:
            shard._header = replace(shard._header, fields=task.fields)
        for encoded in task.encoded:
            rows = encoded.rows(task.number)
            if rows is not None:
                table.upsert(with_columns(rows, task.columns or {}))
        for rows in with_changes(table, task.changes or {}):
            table.upsert(with_columns(rows, task.columns or {}))
        if task.gone:
            table.delete(task.gone)
    return task.number, shard._header.to_text()


def with_columns(rows: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    """Rows with all columns of metadata, each of its type, so that shards have the same.

    Args:
        rows (Table): The rows.
        columns (dict): Types by name.

    Raises:
        ValueError: If a value does not fit its column.
    """
    import pyarrow as pa

    for name, kind in columns.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(len(rows), kind))
            continue
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, cast_column(rows[name], name, kind))
    return rows


def column_types(encoded: Sequence[Encoded], changes: Metadata, shards: int) -> dict[str, Any]:
    """Types of the metadata of rows by name, those of the first rows that have them.

    Args:
        encoded (list of Encoded): Rows.
        changes (dict): New values of others by name, by the id of their image.
        shards (int): Number of shards.
    """
    found: dict[str, Any] = {}
    for part in encoded:
        # The rows that were encoded together have the same columns.
        rows = next((own for own in map(part.rows, range(shards)) if own is not None), None)
        for field in () if rows is None else rows.schema:
            if is_metadata(field.name):
                found.setdefault(field.name, field.type)
    for name, column in metadata_columns(list(changes.values())).items():
        if is_metadata(name):
            found.setdefault(name, column.type)
    return found


def open_shard(home: Path, number: int, header: str, matcher: SceneGraphMatcher) -> SceneGraphIndex:
    """A shard as the index that it is.

    Args:
        home (Path): Folder of the index in shards.
        number (int): Number of the shard.
        header (str): What of it is seen.
        matcher (SceneGraphMatcher): What made it.
    """
    folder = folder_of(home, number)
    store = Pinned(LanceStore(folder), header)
    return SceneGraphIndex(store, matcher, Header.of_text(header, str(folder)))


class ShardKeeper:
    """Has shards open, and answers what their views do.

    Args:
        home (Path): Folder of the index in shards.
        matcher (SceneGraphMatcher): What made it.
    """

    def __init__(self, home: Path, matcher: SceneGraphMatcher) -> None:
        self._home, self._matcher = home, matcher
        self._open: dict[int, tuple[str, SceneGraphIndex]] = {}

    def answer(self, part: int, question: tuple[str, str, tuple[Any, ...]]) -> Any:
        """What the view of a version of a shard answers.

        Args:
            part (int): Number of the shard.
            question (tuple): Its header, the method of the view, and what this is called with.
        """
        header, method, arguments = question
        if part not in self._open or self._open[part][0] != header:
            self._open[part] = header, open_shard(self._home, part, header, self._matcher)
        return getattr(self._open[part][1]._view(), method)(*arguments)
