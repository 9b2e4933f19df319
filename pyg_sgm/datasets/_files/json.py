"""JSON from outside: read once, and every mistake named by file and record."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20  # characters
_NEXT = re.compile(r"[\s,]*")  # what stands between two objects of a list


def read_json_list(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Reads the objects of a JSON file that is a list one by one, however large the file is.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming the file, if it is cut short, not JSON, or no list of objects.
    """
    decode = json.JSONDecoder().raw_decode
    with Path(path).open(encoding="utf-8") as file:
        try:
            text, start = file.read(_CHUNK).lstrip(), 1
            if not text.startswith("["):
                raise ValueError(f"{path}: expected a list")
            while True:
                start = _NEXT.match(text, start).end()  # type: ignore[union-attr]
                if text.startswith("]", start):
                    return
                try:
                    value, start = decode(text, start)
                except ValueError as error:  # it may reach beyond what was read
                    more = file.read(max(_CHUNK, len(text)))
                    if not more:
                        raise ValueError(f"{path}: cut short or not JSON ({error})") from error
                    text, start = text[start:] + more, 0
                    continue
                if not isinstance(value, dict):
                    raise ValueError(f"{path}: expected a list of objects")
                yield value
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: cut short or not JSON ({error})") from error


def field(where: str, entry: Any, name: str, kind: type) -> Any:
    """A field of an object in a JSON file.

    Args:
        where: File and record, for messages.
        entry: The object.
        name: The field.
        kind: Its type; an ``int`` is a ``float`` too.

    Raises:
        ValueError: If it is not there, or of another type.
    """
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, (int, float) if kind is float else kind):
        raise ValueError(f"{where}: {name}: expected {kind.__name__}")
    return value


def names(where: str, entry: Any, name: str) -> list[str]:
    """A field that is a list of strings."""
    value = field(where, entry, name, list)
    if not all(isinstance(part, str) for part in value):
        raise ValueError(f"{where}: {name}: expected strings")
    return value


def pick(where: str, labels: Sequence[str], index: Any) -> str:
    """The label of an index.

    Raises:
        ValueError: If it is no index of a label.
    """
    if not isinstance(index, int) or not 0 <= index < len(labels):
        raise ValueError(f"{where}: no label {index!r} of {len(labels)}")
    return labels[index]
