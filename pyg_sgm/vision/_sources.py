"""Whether a photo is still the one that a graph was made of."""

import hashlib
import os
from pathlib import Path

from pyg_sgm.io import file_state, is_uri
from pyg_sgm.vision._shards import Source


def source_of(path: Path) -> Source:
    """What a file is known by: its bytes, the time of its last change, and a digest of what is in
    it; at a URI its bytes and what else the store says of it, so that it is read but once. Nothing
    of a file that cannot be read: the reader will say why."""
    try:
        if is_uri(path):
            return file_state(path)
        state = os.stat(path)
        content = path.read_bytes()
    except OSError:
        return ()
    return state.st_size, state.st_mtime_ns, _digest(content)


def is_same(source: Source, path: Path) -> bool:
    """Whether a file is what it was. A copy has another time, and the same in it; it is read only
    then. Graphs of version 0.2 know no digest.

    Args:
        source (tuple): What :func:`source_of` gave.
        path (Path): The file.
    """
    try:
        if is_uri(path):
            return tuple(source) == file_state(path)
        state = os.stat(path)
        if source[:1] != (state.st_size,):
            return False
        if source[1:2] == (state.st_mtime_ns,):
            return True
        return len(source) == 3 and source[2] == _digest(path.read_bytes())
    except OSError:
        return False


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:7])  # exact in any reader of JSON
