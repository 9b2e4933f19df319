"""Reading files of others: every mistake is a ValueError that names the file."""

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from pyg_sgm.io._places import is_local, naming, to_path

_PICKLES = (".joblib", ".pkl", ".pickle", ".p")
# What is not pure JSON text of the field grows a hundredfold, and a gzip bomb a thousandfold.
_GROWTH, _SMALL = 200, 1 << 26
# Numbers that may exceed int64 or float64; ids in strings look like them too.
_LONG = re.compile(r"[0-9]{19}|[0-9][eE]\+?[0-9]{3}")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, unpacked if its name ends in ``.gz``.

    Args:
        path (str or PathLike): The file.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming the file, if it is cut short, not gzip, or a gzip bomb.
    """
    path = to_path(path)
    if path.suffix != ".gz":
        with naming(path):
            return path.read_bytes()
    with naming(path):
        packed = path if is_local(path) else BytesIO(path.read_bytes())
        most = max(_GROWTH * path.stat().st_size, _SMALL)
    try:
        with gzip.open(packed) as file:
            raw = file.read(most + 1)
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: cut short or not gzip ({error})") from error
    if len(raw) > most:
        raise ValueError(f"{path}: unpacks to more than {_GROWTH} times its size")
    return raw


def read_text(path: str | os.PathLike[str]) -> str:
    """A UTF-8 file without its byte order mark, unpacked if its name ends in ``.gz``.

    Args:
        path (str or PathLike): The file.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming file and line, if it is cut short or not UTF-8.
    """
    return _decode(path, read_bytes(path))


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a UTF-8 file, which end in ``\\n`` or ``\\r\\n`` and in nothing else.

    Args:
        path (str or PathLike): The file.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming file and line, if it is cut short or not UTF-8.
    """
    lines = read_text(path).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_json(path: str | os.PathLike[str], kind: type | None = None) -> Any:
    """The value of a JSON file in UTF-8, unpacked if its name ends in ``.gz``.

    Args:
        path (str or PathLike): The file.
        kind (type, optional): Expected type of the whole, ``dict`` or ``list``. (default:
            :obj:`None`, any)

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming the file, if it is a pickle, cut short, not JSON, nested too deeply, has
            a number beyond int64 or float64, or is of another type.

    Example:
        >>> path = getfixture("tmp_path") / "a.json"
        >>> path.write_text('[1, 2')
        5
        >>> read_json(path)
        Traceback (most recent call last):
        ...
        ValueError: ...a.json: cut short or not JSON (Expecting ',' delimiter: line 1 column 6 ...)
    """
    path = to_path(path)
    if path.suffix.lower() in _PICKLES:
        raise ValueError(
            f"{path}: pickles are never read, they can run code; convert the file to JSON"
        )
    raw = read_bytes(path)
    if raw[:1] == b"\x80":
        raise ValueError(f"{path}: this is a pickle; pickles are never read, they can run code")
    value = parse_json(_decode(path, raw), f"{path}")
    if kind is not None and not isinstance(value, kind):
        expected = "an object" if kind is dict else "a list"
        raise ValueError(f"{path}: expected {expected}, got {type(value).__name__}")
    return value


def read_json_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, Any]]:
    """The values of a file with one JSON value per line, and the numbers of their lines from 1.

    Args:
        path (str or PathLike): The file.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming file and line, if it is no JSON.
    """
    for number, line in enumerate(read_lines(path), start=1):
        yield number, parse_json(line, f"{path}: line {number}")


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text.

    Args:
        text (str): The text.
        where (str): What it is, for messages.

    Raises:
        ValueError: If it is cut short, not JSON, nested too deeply, or has a number beyond int64 or
            float64.
    """
    try:
        if _LONG.search(text) is None:
            return json.loads(text)
        return json.loads(text, parse_int=_integer, parse_float=_number)
    except ValueError as error:
        raise ValueError(f"{where}: cut short or not JSON ({error})") from error
    except RecursionError as error:
        raise ValueError(f"{where}: JSON that is nested too deeply") from error


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"the number {digits[:20]}... is too large")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


def _decode(path: str | os.PathLike[str], raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}: line {line}: not UTF-8 ({error.reason})") from error
