"""Parses of the captions of a dataset, made once."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pyg_sgm.data import TextRecord
from pyg_sgm.io import atomic_write, read_json_lines
from pyg_sgm.text.parsed_caption import ParsedCaption
from pyg_sgm.text.parsing import Backend, parse_batch


def parse_texts(
    texts: Sequence[TextRecord],
    cache: str | os.PathLike[str] | None = None,
    backend: Backend = "learned",
) -> list[TextRecord]:
    """The same texts with the graphs of their captions.

    Args:
        texts: Texts that have no graph yet.
        cache: File of parses, JSON lines. Captions that it holds are not parsed again, and the
            others are added to it. A file of another backend is made anew. (default: none)
        backend: See :func:`pyg_sgm.text.parse`. (default: :obj:`"learned"`)

    Raises:
        ValueError: Naming file and line, if the cache is not such a file.

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
    if not path.exists():
        return {}
    parses = {}
    names = {field.name for field in fields(ParsedCaption)}
    for number, row in read_json_lines(path):
        if number == 1:
            if row != _header(backend):
                return {}
        elif not isinstance(row, dict) or set(row) != names:
            raise ValueError(f"{path}: line {number} is no parse of a caption")
        else:
            parses[row["caption"]] = ParsedCaption(**{k: _tuples(v) for k, v in row.items()})
    return parses


def _write(path: Path, backend: str, parses: Iterable[ParsedCaption]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as side, side.open("w", encoding="utf-8") as file:
        for row in (_header(backend), *map(asdict, parses)):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _header(backend: str) -> dict[str, str]:
    return {"format": "pyg_sgm parses 1", "backend": backend}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
