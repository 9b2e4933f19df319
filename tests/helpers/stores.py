"""Object stores that need no network."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyg_sgm.io import to_path

KINDS = ("memory", "file", "s3")


@contextmanager
def object_store(kind: str, folder: object) -> Iterator[str]:
    """The URI of an empty place: in the memory of this process, in a folder as fsspec sees it, or
    of a server on this machine that speaks S3.

    Args:
        kind (str): One of ``KINDS``.
        folder (Path): Where a folder may be, and copies of files that are elsewhere.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYG_SGM_CACHE", f"{folder}/cache")
        if kind == "memory":
            from fsspec.implementations.memory import MemoryFileSystem

            patch.setattr(MemoryFileSystem, "store", {})
            patch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
            yield "memory://bucket"
        elif kind == "file":
            os.mkdir(f"{folder}/bucket")
            yield f"file://{folder}/bucket"
        else:
            with s3(patch) as bucket:
                yield bucket


def put_files(folder: Path, uri: str) -> None:
    """Puts the files of a folder, and of those below it, to a store."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            path = to_path(uri) / file.relative_to(folder).as_posix()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read_bytes())


@contextmanager
def s3(patch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket of a server in this process, known to it and to those that it starts."""
    reason = "a server that speaks S3 needs moto[s3], flask, flask-cors and s3fs"
    for package in ("s3fs", "moto", "flask", "flask_cors"):
        pytest.importorskip(package, reason=reason)
    import logging

    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "nobody")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_ENDPOINT_URL", address)
    patch.setenv("AWS_ALLOW_HTTP", "true")  # for LanceDB, which asks for more than s3fs
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        bucket = f"bucket-{secrets.token_hex(4)}"  # what servers of a process hold is one
        s3fs.S3FileSystem().mkdir(bucket)
        yield f"s3://{bucket}"
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()
