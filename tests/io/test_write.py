import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pyg_sgm.io import atomic_write, is_temporary, write_json, write_tensors, write_text

ON_LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fail_half_way() -> None:
        with atomic_write(tmp_path / "a") as temporary:
            temporary.write_text("half")
            assert names(tmp_path) == sorted([temporary.name, "a"])
            assert is_temporary(temporary)
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("old")
    (tmp_path / "second").symlink_to("there/file")
    (tmp_path / "first").symlink_to(tmp_path / "second")
    write_text(tmp_path / "first", "new")
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert (tmp_path / "there" / "file").read_text() == "new"


def test_link_to_no_file_makes_that_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("later")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "later").read_text() == "new"


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="a'"):
        write_text(tmp_path / "a", "new")


@pytest.mark.parametrize("write", [write_text, lambda path, _: write_tensors(path, {})])
def test_permissions(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    before = os.umask(0o027)
    try:
        write(tmp_path / "new", "")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o640
    (tmp_path / "new").chmod(0o604)
    write(tmp_path / "new", "")
    assert mode(tmp_path / "new") == 0o604


def test_pipes_are_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_text(tmp_path / "pipe", "through")
    reader.join(10)
    assert read == ["through"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_devices_stay_devices() -> None:
    write_text(os.devnull, "gone")
    assert not Path(os.devnull).is_file()


@ON_LINUX
def test_standard_output_is_written_to_in_its_place(tmp_path: Path) -> None:
    script = """if True:
        from pyg_sgm.io import write_text
        print("before")
        write_text("/dev/stdout", "middle\\n")
        print("after")
    """
    expected = "before\nmiddle\nafter\n"
    piped = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert piped.stdout == expected
    with (tmp_path / "file").open("w") as file:
        subprocess.run([sys.executable, "-c", script], stdout=file, check=True)
    assert (tmp_path / "file").read_text() == expected
    assert Path("/dev/stdout").is_symlink()


@ON_LINUX
@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "words"),
        lambda path: write_json(path, {}),
        lambda path: write_tensors(path, {"a": torch.zeros(9)}),
    ],
)
def test_full_disk_names_the_file(write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(OSError, match="/dev/full") as caught:
        write("/dev/full")
    assert caught.value.errno == errno.ENOSPC


def test_missing_folder_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere/a\.txt"):
        write_text(tmp_path / "nowhere" / "a.txt", "")


def test_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        write_text(tmp_path / "folder", "")
    assert names(tmp_path) == ["folder"]


def test_temporaries_of_dead_processes_are_removed(tmp_path: Path) -> None:
    script = """if True:
        import os, sys
        from pyg_sgm.io import atomic_write
        with atomic_write(sys.argv[1]):
            os._exit(9)
    """
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], check=False)
    (left,) = names(tmp_path)
    assert is_temporary(left)
    _, here, _, token = left.split("-")
    theirs = tmp_path / f".pyg_sgm-{here}-{os.getppid()}-{token}"  # alive
    dead = 4194999  # beyond the largest process
    elsewhere = tmp_path / f".pyg_sgm-01234567-{dead}-{token}"  # maybe alive on its machine
    old = tmp_path / f".pyg_sgm-01234567-{dead}-01234567.tmp"
    for path in (theirs, elsewhere, old, tmp_path / "a.123.tmp"):  # the last is somebody else's
        path.touch()
    os.utime(old, (0, 0))
    write_text(tmp_path / "b", "")
    assert names(tmp_path) == sorted([theirs.name, elsewhere.name, "a.123.tmp", "b"])


def test_longest_name(tmp_path: Path) -> None:
    write_text(tmp_path / ("n" * 255), "text")
    assert (tmp_path / ("n" * 255)).read_text() == "text"


def test_tensors(tmp_path: Path) -> None:
    shared = torch.arange(6.0).view(2, 3)
    write_tensors(tmp_path / "a.safetensors", {"a": shared, "b": shared.t(), "c": shared})
    loaded = load_file(tmp_path / "a.safetensors")
    assert torch.equal(loaded["a"], shared)
    assert torch.equal(loaded["b"], shared.t())
    assert torch.equal(loaded["c"], shared)
