"""Files from outside that are read whole."""

import gzip
import os
import zlib
from pathlib import Path


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, gzipped if its name ends in ``.gz``.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming the file, if it is cut short or not gzip.
    """
    path = Path(path)
    raw = path.read_bytes()
    if path.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: cut short or not gzip ({error})") from error


def read_text(path: str | os.PathLike[str]) -> str:
    """A UTF-8 file, gzipped if its name ends in ``.gz``.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming file and line, if it is cut short or not UTF-8.
    """
    raw = read_bytes(path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}: line {line}: not UTF-8 ({error.reason})") from error
