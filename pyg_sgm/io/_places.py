"""Files by their paths on this disk, or by URIs of what fsspec opens, such as an object store."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard, cast

CACHE = "PYG_SGM_CACHE"  # variable of the environment: where copies of files elsewhere are
FETCHED = "fetched"
THREADS = 16  # that wait for an object store
# What tells, in the words of one store or another, that a file is not what it was.
_STATES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "created")


def to_path(place: "str | os.PathLike[str] | Path") -> Path:
    """The path of a file or folder: one of :mod:`pathlib`, or for a URI one of universal_pathlib,
    which has the same methods.

    Args:
        place (str or PathLike): A name on this disk, or a URI such as ``s3://bucket/photos``.

    Raises:
        ValueError: If nothing is known to open such a URI.
        ImportError: Saying what to install, if what opens it is not there.

    Example:
        >>> to_path("photos/1.jpg").name, to_path("memory://photos/1.jpg").name
        ('1.jpg', '1.jpg')
        >>> to_path("nowhere://photos")
        Traceback (most recent call last):
        ...
        ValueError: nowhere://photos: nothing is known to open such addresses
    """
    if isinstance(place, Path) or hasattr(place, "fs"):  # one of universal_pathlib
        return cast(Path, place)
    text = os.fspath(place)
    if not is_uri(text):
        return Path(text)
    from fsspec.registry import known_implementations
    from upath import UPath

    try:
        path = UPath(text.rstrip("/"))
        path.fs  # noqa: B018  # opens what the protocol needs
    except ImportError as error:
        known = known_implementations.get(text.partition("://")[0], {"class": "fsspec"})
        package = known["class"].partition(".")[0]
        raise ImportError(f"{text}: needs more: pip install {package}") from error
    except ValueError as error:
        raise ValueError(f"{text}: nothing is known to open such addresses") from error
    return cast(Path, path)


def is_uri(place: "str | os.PathLike[str] | Path") -> bool:
    """Whether a file or folder is named by a URI.

    Args:
        place (str or PathLike): What :func:`to_path` takes or gives.

    Example:
        >>> is_uri("s3://bucket/photos"), is_uri("photos")
        (True, False)
    """
    return not isinstance(place, Path) and "://" in str(place)


def is_local(path: Path) -> bool:
    """Whether a path is of this disk, with ``file://`` or without it.

    Args:
        path (Path): See :func:`to_path`.

    Example:
        >>> is_local(to_path("file:///photos")), is_local(to_path("memory://photos"))
        (True, False)
    """
    return isinstance(path, os.PathLike)


def is_path(value: object) -> TypeGuard[Path]:
    """Whether a value is a path, as :func:`to_path` gives it.

    Args:
        value (object): Anything.
    """
    from upath import UPath

    return isinstance(value, (Path, UPath))


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder now, whatever was listed before.

    Args:
        path (Path): See :func:`to_path`.

    Raises:
        OSError: Naming it, if that cannot be said.
    """
    if not is_uri(path):
        return path.exists()
    with naming(path):
        _fs(path).invalidate_cache(_fs_path(path.parent))
        try:
            _fs(path).info(_fs_path(path))  # fsspec's exists takes any error for a no
        except FileNotFoundError:
            return False
        return True


def list_files(folder: Path) -> list[str]:
    """Names of all files in a folder at a URI, and in those below it, by their path within it.

    Args:
        folder (Path): See :func:`to_path`.

    Raises:
        FileNotFoundError, PermissionError, OSError: Naming the folder, if it cannot be listed.
    """
    with naming(folder):
        _fs(folder).invalidate_cache()
        start = _fs_path(folder).rstrip("/") + "/"
        found = _fs(folder).find(_fs_path(folder))
    return [name.removeprefix(start) for name in found if name.startswith(start)]


def file_state(path: Path) -> tuple[int, int]:
    """Bytes of a file at a URI, and a number that changes with what is in it.

    Args:
        path (Path): See :func:`to_path`.

    Raises:
        FileNotFoundError, PermissionError, OSError: Naming the file, if it cannot be asked for.
    """
    with naming(path):
        info = _fs(path).info(_fs_path(path))
    state = next((str(info[name]) for name in _STATES if info.get(name)), "")
    # Exact in any reader of JSON.
    return info.get("size") or 0, int.from_bytes(hashlib.sha256(state.encode()).digest()[:6])


def local_copy(path: Path) -> Path:
    """A file that can be memory-mapped: the file itself, if it is on this disk, else a copy, which
    is fetched once as long as the file is the same, into the folder that the variable
    ``PYG_SGM_CACHE`` of the environment names (``~/.cache/pyg_sgm``).

    Args:
        path (Path): See :func:`to_path`.

    Raises:
        FileNotFoundError, PermissionError, OSError: Naming the file, if it cannot be fetched.
    """
    from pyg_sgm.io._write import atomic_write

    if is_local(path):
        return Path(path)
    size, state = file_state(path)
    folder = cache_folder() / FETCHED / hashlib.sha256(str(path).encode()).hexdigest()[:16]
    copy = folder / f"{size}-{state:012x}-{path.name}"
    if not copy.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(copy) as side, naming(path):
            _fs(path).get_file(_fs_path(path), os.fspath(side))
            if size not in (0, side.stat().st_size):
                raise OSError(f"{path}: has changed while it was read")
        for old in folder.glob(f"*-{path.name}"):
            if old != copy:
                old.unlink(missing_ok=True)
    return copy


def local_copies(paths: Sequence[Path]) -> list[Path]:
    """What :func:`local_copy` gives for many files, which are fetched side by side.

    Args:
        paths (list of Path): The files.
    """
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(local_copy, paths))


def cache_folder() -> Path:
    """Where copies of what is elsewhere are kept."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "pyg_sgm")


@contextmanager
def uploading(path: Path) -> Iterator[Path]:
    """Gives the path of a temporary file, which is put to a URI as a whole when the block ends.

    Args:
        path (Path): See :func:`to_path`.

    Raises:
        FileNotFoundError, PermissionError, OSError: Naming the file, if it cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        side = Path(folder, "whole")
        yield side
        with naming(path):
            _fs(path).put_file(os.fspath(side), _fs_path(path))


def make_folder_of(path: Path) -> None:
    """Makes a folder and those above it, where there are such: an object store has names alone.

    Args:
        path (Path): See :func:`to_path`.
    """
    if is_local(path):
        Path(path).mkdir(parents=True, exist_ok=True)
    else:
        with naming(path):  # what is above it is not made: it may be a bucket
            path.mkdir(exist_ok=True)


def remove_tree(folder: Path) -> None:
    """Removes a folder with all that is in it, if it is there.

    Args:
        folder (Path): See :func:`to_path`.
    """
    if is_there(folder):
        with naming(folder):
            if is_local(folder):
                shutil.rmtree(folder)
            else:
                _fs(folder).rm(_fs_path(folder), recursive=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Names the file in whatever is raised by what opens a URI.

    Args:
        path (Path): See :func:`to_path`.
    """
    if not is_uri(path):
        yield
        return
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: there is no such file or folder") from error
    except Exception as error:  # stores raise whatever their clients do
        if str(path) in str(error):
            raise
        kind = PermissionError if isinstance(error, PermissionError) else OSError
        raise kind(f"{path}: {error or type(error).__name__}") from error


def _fs(path: Path) -> Any:
    """The file system of a URI."""
    return path.fs  # type: ignore[attr-defined]


def _fs_path(path: Path) -> str:
    """What the file system of a URI calls a file."""
    name: str = path.path  # type: ignore[attr-defined]
    return name
