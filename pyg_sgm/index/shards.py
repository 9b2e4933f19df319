"""An index in shards: a folder of indices, and one file that says what of each is seen.

``shards.json`` holds the header of each shard, ``shard-0000`` and so on, which names a version of
its rows and its segments. Who writes changes the shards first and then renames a new file into its
place, or puts it to its URI: so all that was written is seen at once, and what a killed process
wrote is never seen.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyg_sgm.index.header import Header
from pyg_sgm.index.rows import to_text
from pyg_sgm.index.store import Store
from pyg_sgm.io import is_there, read_json, to_path, write_json

FILE = "shards.json"
FORMAT = {"format": "pyg_sgm index in shards", "format_version": 1}


@dataclass(frozen=True)
class Shards:
    """What an index in shards says of itself.

    Args:
        headers (tuple of str): The header of each shard, as it is written.
        next (int): Position of the image that is added next, among those of all shards.
    """

    headers: tuple[str, ...]
    next: int = 0

    def write(self, home: Path) -> None:
        """Writes the file, whole or not at all.

        Args:
            home (Path): Folder of the index.
        """
        write_json(home / FILE, FORMAT | {"next": self.next, "shards": list(self.headers)})

    @classmethod
    def read(cls, home: Path) -> Shards:
        """What was written.

        Args:
            home (Path): Folder of the index.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is of another version, or none of an index in shards.
        """
        path = home / FILE
        found = read_json(path, dict)
        if {key: found.get(key) for key in FORMAT} != FORMAT:
            raise ValueError(f"{path}: no index in shards of version {FORMAT['format_version']}")
        headers, next = found.get("shards"), found.get("next")
        if not isinstance(headers, list) or not headers:
            raise ValueError(f"{path}: shards: expected a list of headers")
        if not all(isinstance(text, str) for text in headers):
            raise ValueError(f"{path}: shards: expected a list of headers")
        if type(next) is not int:
            raise ValueError(f"{path}: next: expected a number")
        return cls(tuple(headers), next)

    def header(self, home: Path, number: int) -> Header:
        """What a shard says of itself.

        Args:
            home (Path): Folder of the index.
            number (int): Number of the shard.

        Raises:
            ValueError: If it is no header of an index.
        """
        return Header.of_text(self.headers[number], str(folder_of(home, number)))


def is_sharded(uri: str | os.PathLike[str]) -> bool:
    """Whether there is an index in shards.

    Args:
        uri (str or PathLike): Where it may be.
    """
    try:
        return is_there(to_path(uri) / FILE)
    except (ImportError, OSError, ValueError):  # LanceDB may open what fsspec does not
        return False


def folder_of(home: Path, number: int) -> Path:
    """Folder of a shard.

    Args:
        home (Path): Folder of the index.
        number (int): Number of the shard.
    """
    return home / f"shard-{number:04d}"


def shard_of(id: str, count: int) -> int:
    """The shard that an image belongs to, which is the same on any machine and in any year.

    Args:
        id (str): Name of the image.
        count (int): Number of shards.

    Example:
        >>> [shard_of(f"{i}.jpg", 4) for i in range(8)]
        [0, 1, 0, 0, 3, 3, 0, 2]
    """
    digest = hashlib.sha256(to_text(id).encode()).digest()
    return int.from_bytes(digest[:8], "big") % count


class Pinned:
    """A store whose header is the one that an index in shards has of it.

    Args:
        store (Store): The store.
        text (str): The header.
    """

    def __init__(self, store: Store, text: str) -> None:
        self._store, self.text = store, text

    def header(self) -> str:
        return self.text

    def write_header(self, text: str) -> None:
        self._store.write_header(text)
        self.text = text

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
