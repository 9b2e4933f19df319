"""Files of candidates that something else has found."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyg_sgm.cli._app import is_stdout, write_json
from pyg_sgm.io import read_json, read_text, write_text

FIELDS = ("query", "id", "score", "relevant")


@dataclass
class Candidates:
    """The candidates of one query, in the order of the file.

    Args:
        ids (list of str): Their names.
        prior (list of float): Scores that they come with; empty if there are none.
        relevant (list of bool): Whether they belong to the query; empty if that is not told.
    """

    ids: list[str] = field(default_factory=list)
    prior: list[float] = field(default_factory=list)
    relevant: list[bool] = field(default_factory=list)


def read_candidates(path: Path) -> dict[str, Candidates]:
    """Candidates by query: a CSV file with a header, or a JSON list of objects, of ``query``,
    ``id`` and perhaps ``score`` and ``relevant`` (0 or 1).

    Raises:
        ValueError: Naming file, row and field, for a value that is none, a candidate named twice,
            or a field that some rows lack.
    """
    found: dict[str, Candidates] = {}
    columns: set[str] | None = None
    for where, row in _rows(path):
        there = {name for name in FIELDS if row.get(name) not in (None, "")}
        columns = columns or there
        for name in FIELDS:
            if name in ("query", "id") and name not in there:
                raise ValueError(f"{where}: {name}: missing")
            if (name in there) != (name in columns):
                raise ValueError(f"{where}: {name}: some rows have it and others do not")
        query, id = (str(row[name]) for name in ("query", "id"))
        group = found.setdefault(query, Candidates())
        if id in group.ids:
            raise ValueError(f"{where}: id: {id!r} is a candidate of this query already")
        group.ids.append(id)
        if "score" in there:
            group.prior.append(_number(row["score"], f"{where}: score"))
        if "relevant" in there:
            value = _number(row["relevant"], f"{where}: relevant")
            if value not in (0, 1):
                raise ValueError(f"{where}: relevant: expected 0 or 1, got {row['relevant']!r}")
            group.relevant.append(bool(value))
    if not found:
        raise ValueError(f"{path}: there is no candidate")
    return found


def write_candidates(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows of one kind as JSON if the name says so, else as CSV; to the standard output if
    it is ``-``."""
    if path.suffix == ".json":
        write_json(path, rows)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    if is_stdout(path):
        print(text.getvalue(), end="")
    else:
        write_text(path, text.getvalue())


def _rows(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    """The rows, and what each is called in messages."""
    if path.suffix == ".json":
        for number, row in enumerate(read_json(path, list)):
            if not isinstance(row, dict):
                raise ValueError(f"{path}: row {number}: expected an object")
            yield f"{path}: row {number}", row
        return
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    if not {"query", "id"} <= set(reader.fieldnames or ()):
        raise ValueError(f"{path}: line 1: expected a header with query and id")
    try:
        for row in reader:
            yield f"{path}: line {reader.line_num}", row
    except csv.Error as error:
        raise ValueError(f"{path}: line {reader.line_num}: not CSV ({error})") from error


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected a number, got {value!r}") from error
    if not math.isfinite(number):
        raise ValueError(f"{where}: not finite")
    return number
