"""Where the rows of an index are kept: a small protocol, and LanceDB behind it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

HEADER = "header"
KEPT = timedelta(hours=1)  # that an old version stays, for those who are reading it
FOREVER = timedelta(days=36500)


class StoreError(ValueError):
    """LanceDB cannot do what was asked of the rows."""


class WrongValue(ValueError):
    """A value of metadata does not fit its column."""


class Store(Protocol):
    """Tables by their names, and a text that says which of them is the index."""

    @property
    def uri(self) -> str:
        """What names it."""

    @property
    def folder(self) -> Path | None:
        """Where it is on this disk; :obj:`None`, if it is elsewhere."""

    def header(self) -> str | None:
        """What :meth:`write_header` wrote last; :obj:`None`, if nothing."""

    def write_header(self, text: str) -> None:
        """Writes the text, whole or not at all."""

    def table(self, name: str) -> Table:
        """A table, which need not be there yet."""

    def tidy(self, tables: Sequence[str], kept: timedelta = KEPT) -> None:
        """Removes all tables but these, and old texts."""


class Table(Protocol):
    """Rows in versions: whoever reads one keeps it, whatever others write."""

    def version(self) -> int:
        """The newest version; 0, if there never was a row."""

    def at(self, version: int) -> Rows:
        """The rows as they are in a version."""

    def upsert(self, rows: pa.Table) -> None:
        """Adds rows, all or none; one with the id of another takes its place."""

    def delete(self, ids: Sequence[str]) -> None:
        """Removes the rows of some ids, all or none."""

    def restore(self, version: int) -> None:
        """Takes back what was written after a version, as one more version."""

    def optimize(self, kept: timedelta = KEPT) -> None:
        """Joins small files, and removes versions that are older."""

    def info(self) -> dict[str, Any]:
        """Numbers about the files, for people."""


class Rows(Protocol):
    """One version of a table."""

    def schema(self) -> pa.Schema:
        """Columns and their types."""

    def count(self) -> int:
        """Number of rows."""

    def read(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Some columns, and the key of each row in ``_rowid``; of rows that pass a filter."""

    def take(self, keys: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Rows by their keys, in that order."""


class LanceStore:
    """Tables of LanceDB.

    Args:
        uri (str or PathLike): A folder, or what else LanceDB connects to, such as ``s3://...``.

    Raises:
        ImportError: Without LanceDB.
    """

    def __init__(self, uri: str | os.PathLike[str]) -> None:
        try:
            import lancedb
        except ImportError as error:
            raise ImportError("an index needs more: pip install pyg_sgm[index]") from error
        self._uri = str(uri)
        with told(self.uri, "open the index"):
            self._db = lancedb.connect(self.uri)

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def folder(self) -> Path | None:
        return None if "://" in self.uri else Path(self.uri)

    def header(self) -> str | None:
        with told(self.uri, "read the header"):
            if HEADER not in self.names():
                return None
            text: str = self._db.open_table(HEADER).to_arrow()["text"][0].as_py()
            return text

    def write_header(self, text: str) -> None:
        import pyarrow as pa

        with told(self.uri, "write the header"):
            mode = "overwrite" if HEADER in self.names() else "create"
            self._db.create_table(HEADER, pa.table({"text": [text]}), mode=mode)

    def table(self, name: str) -> LanceTable:
        return LanceTable(self.uri, self._db, name)

    def tidy(self, tables: Sequence[str], kept: timedelta = KEPT) -> None:
        with told(self.uri, "optimize the index"):
            for name in self.names():
                if name not in (*tables, HEADER):
                    self._db.drop_table(name)
        LanceTable(self.uri, self._db, HEADER).optimize(kept)

    def names(self) -> list[str]:
        """The tables that are there."""
        return list(self._db.list_tables().tables)


class LanceTable:
    """A table of LanceDB."""

    def __init__(self, uri: str, db: Any, name: str) -> None:
        self._uri, self._db, self._name = uri, db, name

    def version(self) -> int:
        with told(self._uri, "read the rows"):
            return self._db.open_table(self._name).version if self._is_there() else 0

    def at(self, version: int) -> LanceRows:
        with told(self._uri, "read the rows"):
            table = self._db.open_table(self._name)
            table.checkout(version)
        return LanceRows(self._uri, table)

    def upsert(self, rows: pa.Table) -> None:
        import pyarrow as pa

        with told(self._uri, "write rows"):
            if not self._is_there():
                self._db.create_table(self._name, rows)
                return
            table = self._db.open_table(self._name)
            known = table.schema.names
            new = [field for field in rows.schema if field.name not in known]
            if new:
                table.add_columns(pa.schema(new))
            rows = _like(rows, table.schema)
            merge = table.merge_insert("id").when_matched_update_all()
            merge.when_not_matched_insert_all().execute(rows)

    def delete(self, ids: Sequence[str]) -> None:
        with told(self._uri, "remove rows"):
            quoted = ", ".join("'" + id.replace("'", "''") + "'" for id in ids)
            self._db.open_table(self._name).delete(f"id IN ({quoted})")

    def restore(self, version: int) -> None:
        with told(self._uri, "take back rows"):
            if self.version() == version:
                return
            if not version:
                self._db.drop_table(self._name)
                return
            table = self._db.open_table(self._name)
            table.checkout(version)
            table.restore()

    def optimize(self, kept: timedelta = KEPT) -> None:
        with told(self._uri, "optimize the rows"):
            if self._is_there():
                self._db.open_table(self._name).optimize(cleanup_older_than=kept)

    def info(self) -> dict[str, Any]:
        with told(self._uri, "read the rows"):
            if not self._is_there():
                return {"version": 0, "versions": 0, "fragments": 0, "bytes": 0}
            table = self._db.open_table(self._name)
            stats = table.stats()
            return {
                "version": table.version,
                "versions": len(table.list_versions()),
                "fragments": stats["fragment_stats"]["num_fragments"],
                "bytes": stats["total_bytes"],
            }

    def _is_there(self) -> bool:
        return self._name in self._db.list_tables().tables


class LanceRows:
    """One version of a :class:`LanceTable`."""

    def __init__(self, uri: str, table: Any) -> None:
        self._uri, self._table = uri, table

    def schema(self) -> pa.Schema:
        schema: pa.Schema = self._table.schema
        return schema

    def count(self) -> int:
        with told(self._uri, "read the rows"):
            return int(self._table.count_rows())

    def read(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        query = self._table.search().select(list(columns)).with_row_id(True)
        query = query.limit(self.count() or 1)
        if where is None:
            with told(self._uri, "read the rows"):
                return query.to_arrow()
        try:
            return query.where(where).to_arrow()
        except (RuntimeError, OSError, ValueError) as error:
            raise ValueError(f"filter {where!r}: {_said(error)}") from error

    def take(self, keys: Sequence[int], columns: Sequence[str]) -> pa.Table:
        with told(self._uri, "read the rows"):
            query = self._table.take_row_ids(list(keys)).select(list(columns))
            table = query.with_row_id().to_arrow()
        place = {key: row for row, key in enumerate(table["_rowid"].to_pylist())}
        return table.take([place[key] for key in keys])


@contextmanager
def told(uri: str, doing: str) -> Iterator[None]:
    """Names the index in errors of LanceDB, which say nothing of it, and what to do.

    Args:
        uri (str): The index.
        doing (str): What cannot be done.
    """
    try:
        yield
    except WrongValue:  # it says what is wrong, and it is not the index
        raise
    except (RuntimeError, OSError, ValueError) as error:
        said = _said(error)
        kind = OSError if isinstance(error, OSError) else StoreError
        raise kind(f"{uri}: cannot {doing} ({said}); {_remedy(said)}") from error


def _like(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with the columns of a table; those that they lack are empty."""
    import pyarrow as pa

    columns = []
    for field in schema:
        if field.name not in rows.column_names:
            columns.append(pa.nulls(len(rows), field.type))
            continue
        columns.append(cast_column(rows[field.name], field.name, field.type))
    return pa.table(columns, schema=schema)


def cast_column(column: pa.ChunkedArray, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """A column in the type of another one of its name.

    Args:
        column (ChunkedArray): The column.
        name (str): Its name.
        kind (DataType): The type.

    Raises:
        WrongValue: If a value does not fit.
    """
    import pyarrow as pa

    try:
        new = column.cast(kind)
        if pa.types.is_boolean(kind) and not new.cast(column.type).equals(column):
            raise pa.ArrowInvalid("there are others than true and false")
        return new
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise WrongValue(f"metadata: column {name!r} holds {kind} values: {error}") from error


def _said(error: Exception) -> str:
    """The first line, without the columns that are there and the place in LanceDB's code; or what
    an object store says."""
    told_by_store = re.search(r"<Message>(.*?)</Message>", str(error))
    if told_by_store is not None:
        return f"the store says: {told_by_store[1].rstrip('.')}"
    line = str(error).split("\n")[0].split(". Valid fields are")[0]
    return re.sub(r", /\S+\.rs:\d+:\d+", "", line)


def _remedy(said: str) -> str:
    if said.startswith("the store says"):
        return "look at the address, and at the credentials in the environment"
    if "No space left" in said or "os error 28" in said:
        return "the disk is full: make room, then give the same command again"
    if "conflict" in said.lower():
        return "another process has written meanwhile: give the same command again"
    return "`pyg-sgm index verify` says what is damaged; damaged rows are built anew elsewhere"
