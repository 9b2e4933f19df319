"""An index in shards, which is one index to its user."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.distributed import Keepers, OneKeeper, Pool, RayKeepers, RayPool, SerialPool
from pyg_sgm.index import adding
from pyg_sgm.index.adding import (
    Addable,
    Metadata,
    changes_of,
    dataset_of,
    metadata_of,
)
from pyg_sgm.index.building import (
    ShardKeeper,
    ToEncode,
    ToWrite,
    alone,
    column_types,
    encode,
    open_shard,
    write,
)
from pyg_sgm.index.header import check_same_makers
from pyg_sgm.index.hits import Added
from pyg_sgm.index.index import SceneGraphIndex
from pyg_sgm.index.many import ManyViews
from pyg_sgm.index.rows import check_metadata, is_metadata, to_text
from pyg_sgm.index.shards import Shards, folder_of, shard_of
from pyg_sgm.index.store import KEPT
from pyg_sgm.io import is_uri, locked, make_folder_of, remove_tree
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.retrieval.prepare import warn_of_skipped

ADDING = "adding"  # folder of rows that are not yet in their shards


class ShardedIndex(SceneGraphIndex):
    """A folder of indices that answer as one; see :class:`SceneGraphIndex`.

    Made by :meth:`SceneGraphIndex.create` and :meth:`SceneGraphIndex.open`. An image belongs to the
    shard that its name says. What is written to several shards is seen at once, and what a killed
    process wrote is taken back by the next.

    Args:
        home (Path): The folder, of this disk or at a URI.
        matcher (SceneGraphMatcher): What made the rows.
        ray (str, optional): Address of a Ray cluster that does the work. (default: :obj:`None`)
    """

    def __init__(self, home: Path, matcher: SceneGraphMatcher, ray: str | None = None) -> None:
        self._home, self.matcher, self._ray = home.absolute(), matcher, ray
        # Ray starts processes, which LanceDB's threads had better not meet.
        self._pool: Pool = SerialPool() if ray is None else RayPool(ray)
        self._shards = Shards.read(self._home)
        self._header = self._shards.header(self._home, 0)

    @property
    def uri(self) -> str:
        """Where it is."""
        return str(self._home)

    def add(
        self,
        images: Addable,
        metadata: Metadata | None = None,
        progress: Callable[[int, int], None] | None = None,
        pool: Pool | None = None,
    ) -> Added:
        """See :meth:`SceneGraphIndex.add`.

        Args:
            images (Addable): See there.
            metadata (dict, optional): See there. (default: :obj:`None`)
            progress (callable, optional): See there. (default: :obj:`None`)
            pool (Pool, optional): Who encodes images and writes shards. (default: the cluster that
                the index was opened with, else this process)

        Raises:
            ValueError: See there.
            OSError: If the disk is full.
        """
        dataset = dataset_of(images)
        check_metadata(metadata or {})
        with self._changing():
            done, shards = self._added(dataset, metadata or {}, self._shards, progress, pool)
            self._publish(shards)
        warn_of_skipped(done.skipped, len(dataset))
        return done

    def remove(self, ids: Collection[str], pool: Pool | None = None) -> int:
        """See :meth:`SceneGraphIndex.remove`.

        Args:
            ids (list of str): See there.
            pool (Pool, optional): See :meth:`add`. (default: see there)

        Raises:
            ValueError: See there.
        """
        with self._changing():
            wanted = [ids] if isinstance(ids, str) else list(dict.fromkeys(ids))
            places = self._view().places(wanted)
            gone = [id for id, place in zip(wanted, places, strict=True) if place is not None]
            count = len(self._shards.headers)
            tasks = []
            for number, header in enumerate(self._shards.headers):
                own = [to_text(id) for id in gone if shard_of(id, count) == number]
                if own:
                    tasks.append(ToWrite(self._home, number, header, gone=own))
            self._publish(self._written(tasks, self._shards, pool))
        return len(gone)

    def optimize(self, kept: timedelta = KEPT) -> None:
        """See :meth:`SceneGraphIndex.optimize`.

        Args:
            kept (timedelta, optional): See there. (default: one hour)

        Raises:
            ValueError: If another process is writing.
        """
        with self._changing():
            # As of one index: old versions go when the new ones are seen.
            for step in (SceneGraphIndex._join, lambda shard: shard._clean(kept)):
                headers = []
                for shard in self._each():
                    shard._table().restore(shard._header.version)
                    step(shard)
                    headers.append(shard._header.to_text())
                self._publish(Shards(tuple(headers), self._shards.next))

    def info(self) -> dict[str, Any]:
        """See :meth:`SceneGraphIndex.info`; also the number of ``shards``."""
        self._refresh()
        parts = [shard.info() for shard in self._each()]
        added = ("num_images", "segments", "segment_bytes", "versions", "fragments", "bytes")
        fields = {name: kind for part in parts for name, kind in part["fields"].items()}
        bounds = {name: width for part in parts for name, width in part["bounds"].items()}
        same = {name: value for name, value in parts[0].items() if name != "version"}
        return same | {
            "uri": self.uri,
            "shards": len(parts),
            "fields": fields,
            "bounds": bounds,
            **{name: sum(part[name] for part in parts) for name in added},
        }

    def verify(self) -> list[str]:
        """See :meth:`SceneGraphIndex.verify`."""
        self._refresh()
        return [line for shard in self._each() for line in shard.verify()]

    def export(self, path: str | os.PathLike[str]) -> int:
        """Not of an index in shards.

        Args:
            path (str or PathLike): The file.

        Raises:
            ValueError: Always: each shard is an index that can be exported.
        """
        first = folder_of(self._home, 0)
        raise ValueError(f"{self.uri}: export its shards one by one: {first}, ...")

    def _added(
        self,
        dataset: SceneGraphDataset,
        metadata: Metadata,
        shards: Shards,
        progress: Callable[[int, int], None] | None,
        pool: Pool | None,
    ) -> tuple[Added, Shards]:
        """Writes images to shards; gives what is to be published."""
        known, paths = self._known(shards)
        before = metadata_of([(shard._store, shard._header) for shard in self._each(shards)])
        changes = changes_of(dataset, metadata, before, known, paths)
        done = len(dataset) - len(changes.new)
        own = [(id, sorted(values.items())) for id, values in changes.metadata.items()]
        folder = self._side(json.dumps([shards.headers, changes.hashes, own], default=str))

        def tasks() -> Iterator[ToEncode]:
            for number, start in enumerate(range(0, len(changes.new), adding.CHUNK)):
                own = changes.new[start : start + adding.CHUNK]
                part = dataset.select_images(own)
                yield ToEncode(
                    folder / f"{number:06d}",
                    alone(part),
                    [shards.next + i for i in own],
                    [changes.hashes[i] for i in own],
                    {image.id: changes.metadata[image.id] for image in part.images},
                    shards.header(self._home, 0).dtype,
                    len(shards.headers),
                )

        encoded = []
        for part in (pool or self._pool).run(encode, tasks(), self.matcher):
            encoded.append(part)
            done += part.count
            if progress is not None:
                progress(done, len(dataset))
        encoded.sort(key=lambda part: part.folder)
        skipped = {id: why for part in encoded for id, why in part.skipped.items()}
        if encoded or changes.columns:
            count = len(shards.headers)
            columns = self._columns(shards) | column_types(encoded, changes.columns, count)
            fields = next((part.fields for part in encoded if part.fields), ())
            parts: list[dict[str, Any]] = [{} for _ in range(count)]
            for id, values in changes.columns.items():
                parts[shard_of(id, count)][id] = values
            writes = [
                ToWrite(self._home, n, header, encoded, fields, columns, changes=parts[n])
                for n, header in enumerate(shards.headers)
            ]
            shards = self._written(writes, shards, pool)
        result = changes.added(dataset, skipped)
        return result, Shards(shards.headers, shards.next + len(dataset))

    def _written(self, tasks: Sequence[ToWrite], shards: Shards, pool: Pool | None) -> Shards:
        headers = list(shards.headers)
        for number, header in (pool or self._pool).run(write, tasks, self.matcher):
            headers[number] = header
        return Shards(tuple(headers), shards.next)

    def _known(self, shards: Shards) -> tuple[dict[str, str], dict[str, str | None]]:
        """Hash and path of every image by its name."""
        known: dict[str, str] = {}
        paths: dict[str, str | None] = {}
        for shard in self._each(shards):
            if shard._header.version:
                rows = shard._table().at(shard._header.version).read(["id", "hash", "path"])
                ids = rows["id"].to_pylist()
                known |= zip(ids, rows["hash"].to_pylist(), strict=True)
                paths |= zip(ids, rows["path"].to_pylist(), strict=True)
        return known, paths

    def _columns(self, shards: Shards) -> dict[str, Any]:
        """Types of the metadata by name."""
        found: dict[str, Any] = {}
        for shard in self._each(shards):
            if shard._header.version:
                schema = shard._table().at(shard._header.version).schema()
                found |= {one.name: one.type for one in schema if is_metadata(one.name)}
        return found

    def _side(self, what: str) -> Path:
        """A folder for the rows of one addition; what another one has left is removed."""
        name = hashlib.sha256(what.encode()).hexdigest()[:16]
        folder = self._home / ADDING / name
        for other in folder.parent.glob("*"):
            if other.name != name:
                remove_tree(other)
        make_folder_of(folder)
        return folder

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keeps other writers out."""
        with locked(self._home):
            self._refresh()
            yield

    def _publish(self, shards: Shards) -> None:
        """All shards are seen as they are now."""
        if shards != self._shards:
            # Object stores have no locks.
            if is_uri(self._home) and Shards.read(self._home) != self._shards:
                raise ValueError(f"{self.uri}: another process has written meanwhile; write again")
            shards.write(self._home)
            self._refresh()
        with suppress(OSError):
            remove_tree(self._home / ADDING)

    def _refresh(self) -> None:
        shards = Shards.read(self._home)
        if shards != self._shards:
            header = shards.header(self._home, 0)
            check_same_makers(header, self.matcher, self.uri)
            self._shards, self._header = shards, header

    def _view(self) -> ManyViews:
        self._refresh()
        return ManyViews(self._shards, self._keepers, bool(self._model.bound_levels()))

    def _each(self, shards: Shards | None = None) -> Iterator[SceneGraphIndex]:
        for number, header in enumerate((shards or self._shards).headers):
            yield open_shard(self._home, number, header, self.matcher)

    @cached_property
    def _keepers(self) -> Keepers:
        if self._ray is None:
            return OneKeeper(ShardKeeper(self._home, self.matcher))
        count = len(self._shards.headers)
        names = [str(folder_of(self._home, number)) for number in range(count)]
        return RayKeepers(self._ray, names, ShardKeeper, self._home, self.matcher)
