"""Files at URIs: read, written and fetched as files on the disk are."""

import gzip
import pickle
import sys
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pyg_sgm.io import (
    atomic_write,
    is_path,
    is_there,
    is_uri,
    list_files,
    local_copies,
    local_copy,
    locked,
    make_folder_of,
    read_bytes,
    read_json,
    remove_tree,
    to_path,
    write_json,
)


def test_paths() -> None:
    assert type(to_path("a/b")) is type(Path("a/b"))
    assert to_path(Path("a")) == Path("a")
    path = to_path("memory://bucket/a/")
    assert str(path / "b c") == "memory://bucket/a/b c"
    assert to_path(path) is path
    assert pickle.loads(pickle.dumps(path)) == path
    assert [is_path(one) for one in (path, Path("a"), "a", 3)] == [True, True, False, False]
    assert [is_uri(one) for one in (path, "s3://b", Path("a"), "a")] == [True, True, False, False]


def test_written_and_read(store: str) -> None:
    folder = to_path(f"{store}/folder")
    make_folder_of(folder)
    write_json(f"{store}/folder/a.json", {"a": 1})
    assert read_json(folder / "a.json") == {"a": 1}
    with atomic_write(folder / "b.json.gz") as side:
        side.write_bytes(gzip.compress(b"[1]"))
    assert read_json(folder / "b.json.gz") == [1]
    write_json(folder / "a.json", [2])
    assert read_json(folder / "a.json") == [2]
    with locked(folder):
        assert sorted(list_files(to_path(store))) == ["folder/a.json", "folder/b.json.gz"]
    assert is_there(folder / "a.json")
    remove_tree(folder)
    remove_tree(folder)
    assert not is_there(folder / "a.json")


def test_what_fails_is_not_written(store: str) -> None:
    path = to_path(f"{store}/a.json")
    write_json(path, 1)

    def stopped() -> None:
        with atomic_write(path) as side:
            side.write_text("2")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        stopped()
    assert read_json(path) == 1
    assert list_files(to_path(store)) == ["a.json"]


def test_a_copy_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYG_SGM_CACHE", str(tmp_path / "cache"))
    fetched: list[str] = []
    whole = MemoryFileSystem.get_file

    def get_file(self: MemoryFileSystem, name: str, *arguments: object) -> None:
        fetched.append(name)
        whole(self, name, *arguments)

    monkeypatch.setattr(MemoryFileSystem, "get_file", get_file)
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    path = to_path("memory://bucket/a.npy")
    path.write_bytes(b"first")
    copies = {local_copy(path) for _ in range(3)}
    assert [copy.read_bytes() for copy in copies] == [b"first"]
    assert fetched == ["/bucket/a.npy"]
    path.write_bytes(b"other")
    assert local_copy(path).read_bytes() == b"other"
    assert len(fetched) == 2
    assert not any(copy.exists() for copy in copies)  # what was replaced takes no place
    here = tmp_path / "here"
    assert local_copies([here, path]) == [here, local_copy(path)]


def test_a_file_that_changes_while_it_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYG_SGM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    path = to_path("memory://bucket/a.npy")
    path.write_bytes(b"first")
    monkeypatch.setattr(
        MemoryFileSystem, "get_file", lambda self, name, to: Path(to).write_bytes(b"cut") and None
    )
    with pytest.raises(OSError, match=r"memory://bucket/a\.npy: has changed while it was read"):
        local_copy(path)
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_errors_name_the_address(store: str) -> None:
    nothing = to_path(f"{store}/nothing.json")
    for work in (read_bytes, lambda path: local_copy(path).open()):
        with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
            work(nothing)
    assert not is_there(nothing)


def test_errors_of_a_client_name_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Unable to locate credentials")

    for method in ("_open", "cat_file", "info", "put_file"):
        monkeypatch.setattr(MemoryFileSystem, method, refuse)
    path = to_path("memory://bucket/a.json")
    message = "^memory://bucket/a.json: Unable to locate credentials$"
    for work in (read_bytes, local_copy, is_there):
        with pytest.raises(OSError, match=message):
            work(path)
    with pytest.raises(OSError, match=message):
        write_json(path, 1)


def test_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"^nowhere://a: nothing is known to open"):
        to_path("nowhere://a")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ImportError, match=r"^gs://bucket/a: needs more: pip install gcsfs$"):
        to_path("gs://bucket/a")
