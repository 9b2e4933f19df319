import pickle
from pathlib import Path

import pytest
import torch

from pyg_sgm.training.run_dir import (
    GRAPHS,
    LAST,
    PARSES,
    WRITTEN,
    check_free,
    create_run_dir,
    read_checkpoint,
)

SETTINGS = {"seed": 0, "recipe": {"epochs": 3}}


def test_new_folder_is_taken_and_kept(tmp_path: Path) -> None:
    create_run_dir(tmp_path / "a" / "b", SETTINGS)
    with pytest.raises(ValueError, match="holds a run already"):
        create_run_dir(tmp_path / "a" / "b", SETTINGS)


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    create_run_dir(tmp_path, SETTINGS)


@pytest.mark.parametrize("flags", [{}, {"overwrite": True}, {"resume": True}])
def test_what_is_no_run_is_left_alone(tmp_path: Path, flags: dict) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="no run"):
        create_run_dir(tmp_path, SETTINGS, **flags)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        create_run_dir(tmp_path / "file", SETTINGS, **flags)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_overwriting_removes_what_a_run_writes_and_no_more(tmp_path: Path) -> None:
    create_run_dir(tmp_path, SETTINGS)
    mine = ["notes.txt", "logs/notes.txt", "checkpoints/epoch3.ckpt", "metrics.json"]
    for name in (*WRITTEN, *mine):
        (tmp_path / name.replace("*", "x")).touch()
    create_run_dir(tmp_path, {"seed": 1}, overwrite=True)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {*mine, "run.json"}


def test_resume(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no run to resume"):
        create_run_dir(tmp_path / "run", SETTINGS, resume=True)
    create_run_dir(tmp_path / "run", SETTINGS)
    create_run_dir(tmp_path / "run", SETTINGS, resume=True)
    create_run_dir(tmp_path / "run", {**SETTINGS, "source": "images:/moved"}, resume=True)
    with pytest.raises(ValueError, match="started with seed = 0"):
        create_run_dir(tmp_path / "run", {**SETTINGS, "seed": 1}, resume=True)
    with pytest.raises(ValueError, match="either resumed or overwritten"):
        create_run_dir(tmp_path / "run", SETTINGS, resume=True, overwrite=True)
    (tmp_path / "run" / "run.json").write_text('{"seed": 0, "rec')
    with pytest.raises(ValueError, match=r"run.json: cut short"):
        create_run_dir(tmp_path / "run", SETTINGS, resume=True)


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


def test_graphs_and_parses_may_be_there(tmp_path: Path) -> None:
    (tmp_path / GRAPHS).mkdir()
    (tmp_path / PARSES).touch()
    check_free(tmp_path)
    create_run_dir(tmp_path, SETTINGS)
    with pytest.raises(ValueError, match="holds a run already"):
        check_free(tmp_path)
    check_free(tmp_path, resume=True)
