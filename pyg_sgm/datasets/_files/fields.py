"""JSON from outside: lists of any length, and fields whose mistakes are named."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

from pyg_sgm.data._checks import texts

_CHUNK = 1 << 20  # characters
_NEXT = re.compile(r"[\s,]*")  # what separates two objects of a list
_NAMES = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}


def read_json_list(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Reads the objects of a JSON file that is a list one by one, however large the file is.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming the file, if it is cut short, not JSON, or no list of objects.
    """
    decode = json.JSONDecoder().raw_decode
    with Path(path).open(encoding="utf-8-sig") as file:
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
        except RecursionError as error:
            raise ValueError(f"{path}: JSON that is nested too deeply") from error


def field(where: str, entry: Any, name: str, kind: type) -> Any:
    """A field of an object in a JSON file.

    Args:
        where (str): File and record, for messages.
        entry (any): The object.
        name (str): The field.
        kind (type): Its type; an ``int`` is a ``float`` too, :obj:`True` and :obj:`False` are
            neither.

    Raises:
        ValueError: If it is absent, or of another type.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected an object, got {short(entry)}")
    if name not in entry:
        raise ValueError(f"{where}: {name} is missing")
    value = entry[name]
    known = isinstance(value, (int, float) if kind is float else kind)
    if not known or (kind in (int, float) and isinstance(value, bool)):
        expected = _NAMES.get(kind, "a number")
        raise ValueError(f"{where}: {name}: expected {expected}, got {short(value)}")
    return value


def filled(where: str, entry: Any, name: str) -> str:
    """A field that is a string, and not empty."""
    value = field(where, entry, name, str)
    if not value.strip():
        raise ValueError(f"{where}: {name}: empty")
    return value


def names(where: str, entry: Any, name: str) -> list[str]:
    """A field that is a list of strings, as labels are compared (in NFC)."""
    return texts(field(where, entry, name, list), f"{where}: {name}")


def pick(where: str, labels: Sequence[str], index: Any) -> str:
    """The label of an index.

    Raises:
        ValueError: If it is no index of a label.
    """
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(labels):
        raise ValueError(f"{where}: no label {short(index)} of {len(labels)}")
    return labels[index]
