"""Parses of the captions of a dataset, made once."""

import glob
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pyg_sgm.data import TextRecord
from pyg_sgm.io import atomic_write, read_json_lines
from pyg_sgm.text.parsed_caption import ParsedCaption
from pyg_sgm.text.parsing import Backend, parse_batch

FORMAT = "pyg_sgm parses 2"
EARLIER = ("pyg_sgm parses 1",)  # without exclusions


def parse_texts(
    texts: Sequence[TextRecord],
    cache: str | os.PathLike[str] | None = None,
    backend: Backend = "learned",
) -> list[TextRecord]:
    """The same texts with the graphs of their captions.

    Args:
        texts (list of TextRecord): Texts that have no graph yet.
        cache (str or PathLike, optional): File of parses, JSON lines. Captions that it holds are
            not parsed again, and the others are added to it. A cache of another backend is
            replaced. (default: :obj:`None`)
        backend (Backend, optional): See :func:`pyg_sgm.text.parse`. (default: :obj:`"learned"`)

    Raises:
        ValueError: Naming file, line and field, if the file is not such a cache; it is left as it
            is.

    Example:
        >>> from pyg_sgm.data import text_record
        >>> parse_texts([text_record("a man rides a horse", id="7")])[0].relations
        ((0, 'ride', 1),)
    """
    captions = list(dict.fromkeys(text.caption for text in texts))
    parses = {} if cache is None else _read(Path(cache), backend)
    missing = [caption for caption in captions if caption not in parses]
    parses |= dict(zip(missing, parse_batch(missing, backend), strict=True))
    if cache is not None and missing:
        _write(Path(cache), backend, parses.values())
    return [parses[text.caption].to_record(text.id) for text in texts]


def _read(path: Path, backend: str) -> dict[str, ParsedCaption]:
    """What a cache holds; nothing if there is none yet, or it is of another backend."""
    if not path.exists() or path.stat().st_size == 0:
        return {}
    parses = {}
    header: Any = None
    for number, row in read_json_lines(path):
        if number == 1:
            header = row
            if not isinstance(row, dict) or row.get("format") not in (FORMAT, *EARLIER):
                raise ValueError(
                    f"{path}: line 1: this is no cache of parses; the file is left as it is"
                )
            if row.get("backend") != backend:
                return {}
        else:
            if header["format"] in EARLIER and isinstance(row, dict):
                row = {"exclusions": [], **row}
            parsed = _parsed(row, f"{path}: line {number}")
            parses[parsed.caption] = parsed
    return parses


def _parsed(row: Any, where: str) -> ParsedCaption:
    """A row as a parse, every field checked."""
    if not isinstance(row, dict) or set(row) != {field.name for field in fields(ParsedCaption)}:
        raise ValueError(f"{where}: this is no parse of a caption")

    def check(field: str, condition: bool) -> None:
        if not condition:
            raise ValueError(f"{where}: {field}: not what a parse of a caption has")

    for field, value in row.items():
        check(field, isinstance(value, str if field == "caption" else list))
    for field in ("words", "objects"):
        check(field, all(isinstance(word, str) for word in row[field]))
    num_words, num_objects = len(row["words"]), len(row["objects"])
    for field, kinds in (("attributes", (int, str)), ("relations", (int, str, int))):
        for node in row[field]:
            check(field, isinstance(node, list) and [type(part) for part in node] == [*kinds])
            ends = [part for part in node if isinstance(part, int)]
            check(field, all(0 <= end < num_objects for end in ends))
    for field, nodes in (
        ("object_spans", "objects"),
        ("attribute_spans", "attributes"),
        ("relation_spans", "relations"),
    ):
        check(field, len(row[field]) == len(row[nodes]))
        for span in row[field]:
            check(field, isinstance(span, list))
            check(field, all(type(at) is int and 0 <= at < num_words for at in span))
    for names in row["exclusions"]:
        check("exclusions", isinstance(names, list) and 1 <= len(names) <= 3)
        check("exclusions", all(isinstance(name, str) for name in names))
    return ParsedCaption(**{field: _tuples(value) for field, value in row.items()})


def _write(path: Path, backend: str, parses: Iterable[ParsedCaption]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    with atomic_write(path) as side, side.open("w", encoding="utf-8", newline="\n") as file:
        for row in ({"format": FORMAT, "backend": backend}, *map(asdict, parses)):
            file.write(json.dumps(row) + "\n")  # ASCII: no separator of lines, no surrogate


def _remove_leftovers(path: Path) -> None:
    """Removes what killed runs of version 0.1 left beside a cache."""
    for left in path.parent.glob(f"{glob.escape(path.name)}.*.tmp"):
        if re.fullmatch(r"\.[0-9]+\.tmp", left.name.removeprefix(path.name)):
            left.unlink(missing_ok=True)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
