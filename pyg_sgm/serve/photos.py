"""Photos of the index as small JPEG files, and photos that were sent."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

from pyg_sgm.io import file_state, is_uri
from pyg_sgm.vision.images import read_photo


class Side(IntEnum):
    """Pixels of the longer side of a photo that is shown."""

    SMALL = 320
    LARGE = 1280


Version = tuple[str, int, int]


def photo_jpeg(path: Path, side: Side) -> bytes:
    """A photo, decoded and written anew: upright, without what its file tells of place and time,
    and in a format that every browser knows.

    Args:
        path (Path): Its file.
        side (Side): Pixels of the longer side at most.

    Raises:
        FileNotFoundError: If it is absent.
        ImageError: If it is no image, broken or too large.
        ImportError: If Pillow is absent.
    """
    if is_uri(path):
        version = (str(path), *file_state(path))
    else:
        state = path.stat()
        version = (str(path), state.st_mtime_ns, state.st_size)
    return _thumbnail(version) if side == Side.SMALL else _encoded(version, side)


@lru_cache(maxsize=2048)  # of about 20 kB
def _thumbnail(version: Version) -> bytes:
    return _encoded(version, Side.SMALL)


def _encoded(version: Version, side: Side) -> bytes:
    from PIL import Image

    photo = read_photo(version[0], at_most=side)
    file = io.BytesIO()
    Image.fromarray(photo.pixels).save(file, "JPEG", quality=85)
    return file.getvalue()


@contextmanager
def sent_photo(content: bytes) -> Iterator[Path]:
    """A photo that was sent, as a file that is gone afterwards.

    Args:
        content (bytes): What was sent.

    Raises:
        ImageError: If it is no image, broken or too large.
    """
    with tempfile.TemporaryDirectory(prefix="pyg_sgm_") as folder:
        path = Path(folder) / "photo"
        path.write_bytes(content)
        read_photo(path, at_most=Side.SMALL)
        yield path
