"""Writing files so that what is there is whole at any time."""

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyg_sgm.io._places import is_local, to_path, uploading

if TYPE_CHECKING:
    from torch import Tensor

_TEMPORARY = re.compile(r"\.pyg_sgm-(?:([0-9a-f]{8})-)?(\d+)-[0-9a-f]{8}\.tmp")
_FOREIGN_SECONDS = 86_400  # that a temporary file of another machine may be in use


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives the path of a temporary file, which takes the place of ``path`` when the block ends.

    An interrupted or failed write leaves the old file as it was. Links are followed; devices and
    pipes are written to instead of replaced. An existing file keeps its permissions, a new one has
    those of the umask. The content has reached the disk when the block has ended. Temporary files
    that killed processes left in the folder are removed, those of other machines and containers
    when they are a day old. A file at a URI is put there as a whole.

    Args:
        path (str or PathLike): The file, or its URI; its folder exists.

    Raises:
        OSError: Naming the file, if it cannot be written.

    Example:
        >>> folder = getfixture("tmp_path")
        >>> with atomic_write(folder / "a.txt") as temporary:
        ...     _ = temporary.write_text("whole")
        >>> (folder / "a.txt").read_text(), len(list(folder.iterdir()))
        ('whole', 1)
    """
    remote = to_path(path)
    if not is_local(remote):
        with uploading(remote) as temporary:
            yield temporary
        return
    target = _follow(Path(remote))
    through = _is_descriptor(target) or (
        target.exists() and not target.is_file() and not target.is_dir()
    )
    folder = Path(tempfile.gettempdir()) if through else target.parent
    temporary = folder / f".pyg_sgm-{_here()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        remove_temporaries(folder)
        # Made here, so that its permissions are those of the umask whatever the writer does.
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        old = target if target.exists() and not through else temporary
        mode = stat.S_IMODE(old.stat().st_mode)
        yield temporary
        if through:
            _copy_to(temporary, target)
        else:
            temporary.chmod(mode)
            _sync(temporary)
            os.replace(temporary, target)
            _sync(folder)
    except OSError as error:
        if error.errno is None or (error.filename and not is_temporary(error.filename)):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text with :func:`atomic_write`.

    Args:
        path (str or PathLike): The file.
        text (str): Its content.

    Raises:
        OSError: Naming the file, if it cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def printable(name: str) -> str:
    """A name of a file as it can be printed; what is not UTF-8 in it becomes escapes.

    Args:
        name (str): The name as :func:`os.fsdecode` gives it.

    Example:
        >>> printable(os.fsdecode(b"caf\\xe9.jpg"))
        'caf\\\\udce9.jpg'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def counted(number: int, noun: str) -> str:
    """A number of things, in words.

    Args:
        number (int): How many there are.
        noun (str): One of them, whose plural ends in s.

    Example:
        >>> counted(1, "image"), counted(1200, "image")
        ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes indented JSON with :func:`atomic_write`.

    Args:
        path (str or PathLike): The file.
        value (any): What :func:`json.dumps` takes.

    Raises:
        OSError: Naming the file, if it cannot be written.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, "Tensor"],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a safetensors file with :func:`atomic_write`.

    Args:
        path (str or PathLike): The file.
        tensors (dict): Tensors by their names.
        metadata (dict, optional): Strings by their names. (default: :obj:`None`)

    Raises:
        OSError: Naming the file, if it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Clones, because safetensors refuses tensors that share memory.
    whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        try:
            save_file(whole, temporary, None if metadata is None else dict(metadata))
        except SafetensorError as error:
            full = "No space left" in str(error)
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(path)) from error


def is_temporary(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one that :func:`atomic_write` makes for a moment.

    Args:
        path (str or PathLike): The file.
    """
    return _TEMPORARY.fullmatch(Path(os.fsdecode(path)).name) is not None


def remove_temporaries(folder: str | os.PathLike[str]) -> None:
    """Removes the temporary files of processes that are no more.

    Args:
        folder (str or PathLike): The folder they are in.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match is None:
                continue
            with suppress(OSError):
                if match[1] == _here():
                    gone = not _is_alive(int(match[2]))
                else:  # of a process that cannot be asked for
                    gone = time.time() - entry.stat().st_mtime > _FOREIGN_SECONDS
                if gone:
                    os.unlink(entry.path)


@cache
def _here() -> str:
    """What tells the machine, or the container on it, whose processes have numbers of their own."""
    names = [platform.node()]
    with suppress(OSError):  # there is none but on Linux
        names.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256(repr(names).encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _follow(path: Path) -> Path:
    """The file that links lead to, or the open descriptor, such as that of ``/dev/stdout``."""
    for _ in range(40):
        path = Path(os.path.realpath(path.parent)) / path.name
        if _is_descriptor(path) or not path.is_symlink():
            return path
        path = path.parent / os.readlink(path)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))


def _is_descriptor(path: Path) -> bool:
    # The file behind a descriptor must stay where it is: others go on writing to it.
    return path.is_relative_to("/proc") or path.is_relative_to("/dev/fd")


def _copy_to(source: Path, target: Path) -> None:
    """Writes the content of a file to a device, a pipe or an open descriptor."""
    to: int | Path = target
    if target.parent in (Path(f"/proc/{os.getpid()}/fd"), Path("/dev/fd")):
        # By its name it would be written from the start of the file behind it.
        sys.stdout.flush()
        sys.stderr.flush()
        to = os.dup(int(target.name))
    with source.open("rb") as content, open(to, "wb") as device:
        shutil.copyfileobj(content, device)


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):  # some network disks
            raise
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: str | os.PathLike[str], *, wait: bool = False) -> Iterator[None]:
    """Keeps other processes out of a folder, where the system has such locks, which object stores
    have not; it ends with the process, however that ends.

    Args:
        folder (str or PathLike): The folder.
        wait (bool, optional): Whether to wait for another process that has the folder, with a
            warning. (default: :obj:`False`)

    Raises:
        ValueError: If another process has the folder and ``wait`` is not set.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    if not isinstance(folder, (str, os.PathLike)):
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{os.fspath(folder)}: another process is writing to it"
            if not wait:
                raise ValueError(message) from error
            warnings.warn(f"{message}; waiting for it", stacklevel=3)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a network disk without locks
            pass
        yield
    finally:
        os.close(descriptor)
