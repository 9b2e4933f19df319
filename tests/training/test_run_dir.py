import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pyg_sgm.training.run_dir import (
    GRAPHS,
    LAST,
    MARKER,
    PARSES,
    WRITTEN,
    check_run_dir,
    read_checkpoint,
    run_dir,
    seal_checkpoint,
    start_run,
)

SETTINGS = {"seed": 0, "recipe": {"epochs": 3, "lr": 0.1}}


def start(folder: Path, settings: dict = SETTINGS, **flags: bool) -> None:
    with run_dir(folder, **flags):
        start_run(folder, settings, flags.get("resume", False))


def run_with_an_epoch(folder: Path) -> None:
    start(folder)
    for name in WRITTEN:
        (folder / name.replace("*", "x")).touch()


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_new_folder_is_taken_and_kept(tmp_path: Path) -> None:
    run_with_an_epoch(tmp_path / "a" / "b")
    with pytest.raises(ValueError, match=r"holds a run already: .*--resume.*--overwrite"):
        start(tmp_path / "a" / "b")


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    start(tmp_path)
    assert files(tmp_path) == {"run.json"}


def test_the_marker_comes_first(tmp_path: Path) -> None:
    with run_dir(tmp_path / "run"):
        assert files(tmp_path / "run") == {"run.json"}
        assert json.loads((tmp_path / "run" / "run.json").read_text()) == MARKER


def test_what_fails_at_once_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), run_dir(tmp_path / "run"):
        raise KeyError
    assert not (tmp_path / "run").exists()

    def fail_with_parses() -> None:
        with run_dir(tmp_path / "run"):
            (tmp_path / "run" / PARSES).touch()
            raise KeyError

    with pytest.raises(KeyError):
        fail_with_parses()
    assert files(tmp_path / "run") == {"run.json", PARSES}


def test_a_run_stays_while_the_next_one_is_prepared(tmp_path: Path) -> None:
    run_with_an_epoch(tmp_path / "run")
    before = files(tmp_path / "run")
    with run_dir(tmp_path / "run", overwrite=True, preparing=True):
        assert files(tmp_path / "run") == before
    start(tmp_path / "run", overwrite=True)
    assert files(tmp_path / "run") == {"run.json"}
    with run_dir(tmp_path / "new", overwrite=True, preparing=True):
        assert files(tmp_path / "new") == {"run.json"}


def test_a_run_without_an_epoch_frees_its_name(tmp_path: Path) -> None:
    start(tmp_path)
    (tmp_path / "config.json").touch()
    (tmp_path / "logs" / "events.out.tfevents.1").touch()
    start(tmp_path, {"seed": 1})
    assert files(tmp_path) == {"run.json"}
    assert json.loads((tmp_path / "run.json").read_text())["seed"] == 1


@pytest.mark.parametrize("flags", [{}, {"overwrite": True}, {"resume": True}])
def test_what_is_no_run_is_left_alone(tmp_path: Path, flags: dict) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="no run"):
        start(tmp_path, **flags)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        start(tmp_path / "file", **flags)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_overwriting_removes_what_a_run_writes_and_no_more(tmp_path: Path) -> None:
    run_with_an_epoch(tmp_path)
    mine = ["notes.txt", "logs/notes.txt", "checkpoints/epoch3.ckpt", "metrics.json"]
    for name in mine:
        (tmp_path / name).touch()
    start(tmp_path, {"seed": 1}, overwrite=True)
    assert files(tmp_path) == {*mine, "run.json"}


def test_overwriting_without_run_json(tmp_path: Path) -> None:
    run_with_an_epoch(tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(ValueError, match=r"without run\.json: replace it \(--overwrite"):
        start(tmp_path)
    start(tmp_path, overwrite=True)
    assert files(tmp_path) == {"run.json"}


def test_overwriting_that_was_killed(tmp_path: Path) -> None:
    """What lies beside a bare marker is of the old run, and never resumed with other settings."""
    run_with_an_epoch(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(MARKER))
    check_run_dir(tmp_path)
    start(tmp_path, {"seed": 1}, resume=True)
    assert files(tmp_path) == {"run.json"}


def test_temporaries_are_no_files_of_others(tmp_path: Path) -> None:
    dead = tmp_path / ".pyg_sgm-4194999-01234567.tmp"  # beyond the largest process
    dead.touch()
    os.utime(dead, (0, 0))
    (tmp_path / GRAPHS).mkdir()
    (tmp_path / PARSES).touch()
    (tmp_path / "checkpoints").mkdir()
    start(tmp_path)
    assert files(tmp_path) == {"run.json", PARSES}


def test_resume(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(ValueError, match="no run to resume"):
        start(run, resume=True)
    run_with_an_epoch(run)
    before = files(run)
    start(run, resume=True)
    start(run, {**SETTINGS, "source": "images:/moved"}, resume=True)
    assert files(run) == before
    with pytest.raises(ValueError, match="started with seed = 0"):
        start(run, {**SETTINGS, "seed": 1}, resume=True)
    with pytest.raises(ValueError, match="either resumed or overwritten"):
        start(run, resume=True, overwrite=True)
    (run / "run.json").write_text('{"seed": 0, "rec')
    with pytest.raises(ValueError, match=r"run.json: cut short"):
        start(run, resume=True)


def test_only_what_differs_is_told(tmp_path: Path) -> None:
    run_with_an_epoch(tmp_path)
    other = {**SETTINGS, "recipe": {"epochs": 3, "lr": 0.2}}
    with pytest.raises(ValueError, match=r"with recipe\.lr = 0\.1, it cannot .* 0\.2;") as caught:
        start(tmp_path, other, resume=True)
    assert "epochs" not in str(caught.value)
    assert "--overwrite" in str(caught.value)


def test_resume_with_more_epochs(tmp_path: Path) -> None:
    run_with_an_epoch(tmp_path)
    start(tmp_path, {**SETTINGS, "recipe": {"epochs": 5, "lr": 0.1}}, resume=True)
    with pytest.raises(ValueError, match=r"with recipe\.epochs = 5, it cannot .* 3;"):
        start(tmp_path, SETTINGS, resume=True)


LOCKED = """
import sys
from pathlib import Path
from pyg_sgm.training.run_dir import run_dir
with run_dir(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_share_a_run(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with subprocess.Popen(
        [sys.executable, "-c", LOCKED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match="another process"):
            start(tmp_path)
        other.kill()
    start(tmp_path)


def test_checkpoints_are_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / Path(LAST).name
    mark = tmp_path / "this_must_never_be_made"

    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (mark,))

    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"last.ckpt: cut short or no checkpoint"):
        read_checkpoint(path)
    torch.save({"loops": Evil()}, path)
    with pytest.raises(ValueError, match=r"last.ckpt: cut short or no checkpoint"):
        read_checkpoint(path)
    torch.save({"loops": {}}, path)
    assert read_checkpoint(path) == {"loops": {}}
    content = path.read_bytes()
    for size in (0, 5, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"last.ckpt: cut short or no checkpoint"):
            read_checkpoint(path)
    torch.save([1], path)
    with pytest.raises(ValueError, match="no checkpoint of a training"):
        read_checkpoint(path)
    assert not mark.exists()


def test_checksum(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"loops": {}, "x": torch.arange(1000.0)}, path)
    seal_checkpoint(path)
    content = path.read_bytes()
    assert read_checkpoint(path)["x"].equal(torch.arange(1000.0))
    assert torch.load(path, weights_only=True)["x"].equal(torch.arange(1000.0))
    for size in (len(content) - 1, len(content) - 70, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"last\.ckpt: cut short"):
            read_checkpoint(path)
    for place in range(0, len(content), 97):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"last\.ckpt: "):
            read_checkpoint(path)
