"""Changing an index: what is added or removed is seen at once when all of it is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

from pyg_sgm.index.adding import (
    Addable,
    Metadata,
    changes_of,
    chunks,
    dataset_of,
    files_of,
    metadata_of,
    rows_of,
    warn_of_lost,
    with_changes,
)
from pyg_sgm.index.header import Header, header_of, same_makers
from pyg_sgm.index.hits import Added
from pyg_sgm.index.publish import publish, remove_others
from pyg_sgm.index.reading import IndexReader, absolute, open_store
from pyg_sgm.index.rows import check_metadata, to_text
from pyg_sgm.index.segment import open_segment
from pyg_sgm.index.store import FOREVER, KEPT, Store, Table
from pyg_sgm.io import locked
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.retrieval.prepare import warn_of_skipped

EXTRACTING = "extracting.sg"


class IndexWriter(IndexReader):
    """An index that is changed, by one process at a time."""

    def add(
        self,
        images: Addable,
        metadata: Metadata | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Added:
        """Adds images; those that are there and have not changed stay as they are.

        It goes on where one that was stopped was, and what it adds is seen at once when it ends. An
        image that cannot be read is left out, with a warning.

        Args:
            images (Addable): A dataset; a folder of photos, known by their paths within it; or
                files and records.
            metadata (dict, optional): Values to filter by and to show, by name, by the id of their
                image. Images that are there take them too, and keep those of other names and those
                that are :obj:`None`. (default: :obj:`None`)
            progress (callable, optional): Called with the number of images done and that of all.
                (default: :obj:`None`)

        Raises:
            ValueError: If an image does not fit the model, or a value its column, no image can be
                read, or another process is writing.
            OSError: If the disk is full.
        """
        dataset = dataset_of(images)
        check_metadata(metadata or {})
        with self._writing() as table:
            before = metadata_of([(self._store, self._header)])
            known, paths, first = _known(table)
            first = max(first, self._after_segments())
            changes = changes_of(dataset, metadata or {}, before, known, paths)
            skipped: dict[str, str] = {}
            done = len(dataset) - len(changes.new)
            folder = self._folder().parent / EXTRACTING
            for part, places, unread in chunks(dataset, changes.new, self.matcher, folder):
                skipped |= unread
                if len(unread) < len(part):
                    written, fields = rows_of(
                        part,
                        self.matcher,
                        [changes.hashes[i] for i in places],
                        changes.metadata,
                        range(first, first + len(places)),
                        self._header.dtype,
                        self._header.fields,
                    )
                    if not self._header.fields:
                        self._write_header(replace(self._header, fields=tuple(fields)))
                    table.upsert(written)
                first += len(places)
                done += len(places)
                if progress is not None:
                    progress(done, len(dataset))
            for rows in with_changes(table, changes.columns):
                table.upsert(rows)
        warn_of_skipped(skipped, len(dataset))
        return changes.added(dataset, skipped)

    def remove(self, ids: Collection[str]) -> int:
        """Removes images; gives how many there were.

        Args:
            ids (list of str): Their names, or one name; those that are not there are passed over.

        Raises:
            ValueError: If another process is writing.
        """
        with self._writing() as table:
            there, _, _ = _known(table)
            wanted = [ids] if isinstance(ids, str) else ids
            gone = [name for name in dict.fromkeys(map(to_text, wanted)) if name in there]
            if gone:
                table.delete(gone)
        return len(gone)

    def optimize(self, kept: timedelta = KEPT) -> None:
        """Joins small files, and removes what nobody has seen for a while.

        Args:
            kept (timedelta, optional): Age from which old versions are removed; a process that
                still reads one has an error then. (default: one hour)

        Raises:
            ValueError: If another process is writing.
        """
        self._join()
        self._clean(kept)

    def _join(self) -> None:
        """Joins small files."""
        with self._writing() as table:
            table.optimize(FOREVER)

    def _clean(self, kept: timedelta) -> None:
        """Removes what no header names."""
        # Old versions go when the header names the joined one: no process that is killed in between
        # leaves it at a version that is gone.
        with self._alone():
            if self._table().version() == self._header.version:
                self._table().optimize(kept)
            self._publish_rows()
            headers = [self._header]
            if self._header.staged is not None:  # by a rebuild that goes on later
                headers.append(Header.of_text(self._header.staged, self.uri))
            self._store.tidy([header.table for header in headers], kept)
            remove_others(self._folder(), [name for header in headers for name in header.segments])

    @classmethod
    def _rebuilt(
        cls,
        uri: str | os.PathLike[str],
        matcher: SceneGraphMatcher,
        images: Addable | None,
        run: str | os.PathLike[str] | None,
        progress: Callable[[int, int], None] | None,
    ) -> Self:
        store, header = open_store(uri)
        own = header_of(matcher, None if run is None else absolute(run), header.dtype)
        if same_makers(header, own):
            index = cls(store, matcher, header)
            with index._writing(fresh=True):
                index._header = replace(index._header, run=own.run or header.run)
            return index
        images = files_of([(store, header)]) if images is None else images
        staged = None if header.staged is None else Header.of_text(header.staged, store.uri)
        # One that was stopped goes on if the images that are there are the same since.
        table = f"images-{store.table(header.table).version()}-{own.fingerprint}"
        if staged is None or staged.table != table or not same_makers(staged, own):
            staged = replace(own, table=table)
            store.write_header(replace(header, staged=staged.to_text()).to_text())
        metadata = metadata_of([(store, header)])
        added = cls(Staged(store), matcher, staged).add(images, metadata, progress)
        warn_of_lost(added.skipped)
        done = Staged(store).header()
        store.write_header(done)
        return cls(store, matcher, Header.of_text(done, store.uri))

    @contextmanager
    def _writing(self, fresh: bool = False, wait: bool = False) -> Iterator[Table]:
        """Keeps other writers out; what was written is seen at the end."""
        with self._alone(wait):
            yield self._table()
            self._publish_rows(fresh)

    @contextmanager
    def _alone(self, wait: bool = False) -> Iterator[None]:
        """Keeps other writers out."""
        with locked(self._folder().parent, wait=wait):
            self._refresh()
            yield

    def _publish_rows(self, fresh: bool = False) -> None:
        arguments = (self._table(), self._header, self._folder(), self.matcher, self._kind)
        self._write_header(publish(*arguments, fresh))

    def _after_segments(self) -> int:
        """A position that no segment has, which keep the places of images that were removed."""
        ends = [0]
        for name in self._header.segments:
            with suppress(FileNotFoundError, ValueError):  # a damaged one is written anew
                positions = open_segment(self._folder() / name, self._kind).positions
                ends.append(int(positions.max()) + 1)
        return max(ends)

    def _write_header(self, header: Header) -> None:
        if header != self._header:
            self._store.write_header(header.to_text())
            self._header, self._text = header, header.to_text()


class Staged:
    """A store whose header is the one that will take the place of the present one.

    Args:
        store (Store): The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def header(self) -> str:
        staged = self._present().staged
        assert staged is not None
        return staged

    def write_header(self, text: str) -> None:
        self._store.write_header(replace(self._present(), staged=text).to_text())

    def _present(self) -> Header:
        return Header.of_text(self._store.header() or "", self._store.uri)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _known(table: Table) -> tuple[dict[str, str], dict[str, str | None], int]:
    """Hash and path of every image by its name, also of those that are not yet seen, and the next
    position."""
    version = table.version()
    if not version:
        return {}, {}, 0
    rows = table.at(version).read(["id", "hash", "path", "position"])
    ids, hashes, paths, places = (
        rows[name].to_pylist() for name in ("id", "hash", "path", "position")
    )
    known = dict(zip(ids, hashes, strict=True)), dict(zip(ids, paths, strict=True))
    return *known, max(places, default=-1) + 1
