"""Kills a process before each of its changes of the disk, and sees whether the next one goes on.

``python -m tests.kills`` tries every change of every task below, which takes minutes;
``test_kills.py`` tries a few.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import nn

from pyg_sgm.datasets import ImageFolder
from pyg_sgm.io import is_temporary, write_json
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.text import parse_texts
from pyg_sgm.training import Recipe
from pyg_sgm.training.run_dir import read_run
from pyg_sgm.vision import Extractor, RegionFeatures, extract, open_detector, open_graphs
from tests.helpers.training import OPTIONS, world

# What is imported where it is used: each killed process is a fork of this one, and need not again.
FORKED_WITH = ("lightning.pytorch", "torch.utils.tensorboard", "pyg_sgm.training.module")
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
COLORS = ("red", "green", "blue", "yellow", "black", "white")
CAPTIONS = tuple(f"a {color} box on a table" for color in COLORS)


@dataclass(frozen=True)
class Task:
    """Something that changes the disk.

    Args:
        call: Does it in a folder; with the flag, as somebody would who goes on.
        result: What must be the same however often it was killed.
        before: Prepares the folder. (default: nothing)
    """

    call: Callable[[Path, bool], Any]
    result: Callable[[Path], Any]
    before: Callable[[Path], Any] = lambda folder: None


def fit(out: Path, epochs: int = 2, seed: int = 0, **flags: bool) -> None:
    recipe = Recipe(epochs=epochs, images_per_batch=6, captions_per_image=2, lr=0.01)
    matcher = SceneGraphMatcher("sgm", **OPTIONS)
    matcher.fit(world(), world("dev"), recipe, out=out, seed=seed, progress=False, **flags)


def fit_over(out: Path) -> None:
    """Takes the place of a run of another seed, which is there until that of this one begins."""
    old = read_run(out).get("seed") == 1
    fit(out, overwrite=old, resume=not old)


def fit_photos(folder: Path, **flags: bool) -> None:
    data = ImageFolder(folder / "photos", folder / "captions.csv")
    recipe = Recipe(epochs=1, images_per_batch=3, captions_per_image=1)
    with small_networks():
        matcher = SceneGraphMatcher("sgm", **OPTIONS)
        matcher.fit(data, recipe=recipe, out=folder / "run", progress=False, **flags)


def photos(folder: Path) -> None:
    (folder / "photos").mkdir()
    rows = ["image,caption"]
    for color, caption in zip(COLORS, CAPTIONS, strict=True):
        Image.new("RGB", (40, 30), color).save(folder / "photos" / f"{color}.png")
        rows.append(f"{color}.png,{caption}")
    (folder / "captions.csv").write_text("\n".join(rows))


def small_extractor(detector: str = "grid", **_: Any) -> Extractor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = RegionFeatures(nn.Conv2d(3, 5, 8, stride=8), size=32)
    return Extractor(open_detector(detector), features, options={"detector": detector})


@contextmanager
def small_networks() -> Iterator[None]:
    places = ("pyg_sgm.retrieval.prepare", "pyg_sgm.vision.description")
    with (
        patch(f"{places[0]}.open_extractor", small_extractor),
        patch(f"{places[1]}.open_extractor", small_extractor),
    ):
        yield


def make_graphs(folder: Path) -> None:
    files = {path.name: path for path in sorted((folder / "photos").iterdir())}
    extract(files, folder / "graphs.sg", small_extractor(), shard_size=2, batch_size=2, workers=1)


def parse(folder: Path) -> None:
    from pyg_sgm.data import text_record

    parse_texts([text_record(caption) for caption in CAPTIONS], folder / "parses.jsonl")


def save(folder: Path) -> None:
    SceneGraphMatcher.from_pretrained(folder / "run").save_pretrained(folder / "saved")


def saved_before(folder: Path) -> None:
    fit(folder / "run", epochs=1)
    fit(folder / "other", epochs=1, seed=1)
    SceneGraphMatcher.from_pretrained(folder / "other").save_pretrained(folder / "saved")


def run_of(folder: Path) -> dict[str, Any]:
    """Weights, the state to go on from, and what is not about time."""
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    history = last["callbacks"]["Keeper"]["history"]
    return {
        "best": (folder / "model.safetensors").read_bytes(),
        "config": json.loads((folder / "config.json").read_text()),
        "run": json.loads((folder / "run.json").read_text()),
        "last": {name: value.tolist() for name, value in last["state_dict"].items()},
        "optimizer": repr(last["optimizer_states"]),
        "history": [{k: v for k, v in row.items() if k != "seconds"} for row in history],
    }


def graphs_of(folder: Path) -> list[Any]:
    records, features = open_graphs(folder)
    kept = [(r.id, r.objects, np.asarray(r.boxes).tolist(), r.relations) for r in records]
    rows = {node: ragged.rows[ragged.spans.rows()].tolist() for node, ragged in features.items()}
    return [kept, rows]


TASKS = {
    "training": Task(
        lambda folder, again: fit(folder / "run", resume=again),
        lambda folder: run_of(folder / "run"),
    ),
    "overwrite": Task(
        lambda folder, again: fit_over(folder / "run"),
        lambda folder: run_of(folder / "run"),
        lambda folder: fit(folder / "run", seed=1),
    ),
    "resume": Task(
        lambda folder, again: fit(folder / "run", epochs=3, resume=True),
        lambda folder: run_of(folder / "run"),
        lambda folder: fit(folder / "run"),
    ),
    "photos": Task(
        lambda folder, again: fit_photos(folder, resume=again),
        lambda folder: [run_of(folder / "run"), graphs_of(folder / "run" / "graphs.sg")],
        photos,
    ),
    "extraction": Task(
        lambda folder, again: make_graphs(folder),
        lambda folder: graphs_of(folder / "graphs.sg"),
        photos,
    ),
    "parses": Task(
        lambda folder, again: parse(folder),
        lambda folder: (folder / "parses.jsonl").read_text(),
    ),
    "saving": Task(
        lambda folder, again: save(folder),
        lambda folder: {
            path.name: path.read_bytes() for path in (folder / "saved").iterdir() if path.is_file()
        },
        saved_before,
    ),
}


def in_child(work: Callable[[], Any]) -> int:
    """Exit status of a process that does some work; a signal that kills it is negative."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_before(folder: Path, number: int, count: list[int]) -> None:
    """Has this process killed before its change number so-and-so, from 1, of a folder."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        changes = (arguments[2] or 0) & WRITES if event == "open" else event in CHANGES
        if not changes or not isinstance(arguments[0], (str, os.PathLike)):
            return
        if os.path.abspath(os.fspath(arguments[0])).startswith(f"{folder}{os.sep}"):
            count[0] += 1
            if count[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def copied(start: Path, folder: Path) -> Path:
    """A fresh folder like another, under a name that is always the same."""
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(start, folder)
    return folder


def num_changes(task: Task, start: Path, folder: Path) -> int:
    """How often a task changes the disk."""
    copied(start, folder)
    counted = folder.parent / "count"

    def work() -> None:
        count = [0]
        kill_before(folder, 0, count)
        task.call(folder, False)
        counted.write_text(str(count[0]))

    assert in_child(work) == 0
    return int(counted.read_text())


def goes_on(task: Task, start: Path, folder: Path, number: int, expected: Any) -> str:
    """Kills a task before a change, goes on, and says what is wrong with what comes of it."""
    copied(start, folder)

    def killed() -> None:
        kill_before(folder, number, [0])
        task.call(folder, False)

    if in_child(killed) != -signal.SIGKILL:
        return "was not killed"

    def again() -> None:
        try:
            task.call(folder, False)
        except ValueError:
            task.call(folder, True)

    if in_child(again) != 0:
        return "cannot go on"
    if task.result(folder) != expected:
        return "ends otherwise"
    left = [path for path in folder.rglob("*") if is_temporary(path)]
    return f"leaves {left[0].relative_to(folder)}" if left else ""


def try_task(name: str, folder: Path, every: int = 1, first: int = 1) -> tuple[int, list[str]]:
    """Kills a task before some of its changes.

    Args:
        name: One of ``TASKS``.
        folder: An empty folder to work in.
        every: Try every so many-th change only.
        first: The first one that is tried.

    Returns:
        How many kills there were, and what went wrong.
    """
    task, folder = TASKS[name], folder.resolve()
    start = folder / "start"
    start.mkdir()
    # In the same place as later, because some files hold their own path.
    work = folder / "work"
    work.mkdir()
    assert in_child(lambda: task.before(work)) == 0
    shutil.rmtree(start)
    shutil.copytree(work, start)
    count = num_changes(task, start, work)
    expected = task.result(work)
    numbers = range(first, count + 1, every)
    found = [(number, goes_on(task, start, work, number, expected)) for number in numbers]
    return len(numbers), [f"{name}, change {n} of {count}: {why}" for n, why in found if why]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help="some tasks only")
    parser.add_argument("--every", type=int, default=1, help="try every so many-th change only")
    parser.add_argument("--first", type=int, default=1, help="the first change that is tried")
    parser.add_argument("--out", type=Path, help="JSON file of the counts")
    args = parser.parse_args()
    torch.set_num_threads(1)  # a process that is forked from several threads may wait for ever
    for name in FORKED_WITH:
        import_module(name)
    counts = {}
    print("| task | kills | went wrong |\n|---|---:|---:|")
    for name in args.tasks:
        with tempfile.TemporaryDirectory() as folder:
            kills, wrong = try_task(name, Path(folder), args.every, args.first)
        print(f"| {name} | {kills} | {len(wrong)} |", flush=True)
        for line in wrong:
            print(line, file=sys.stderr)
        counts[name] = {"kills": kills, "went wrong": len(wrong)}
    if args.out is not None:
        write_json(args.out, counts)
    sys.exit(any(row["went wrong"] for row in counts.values()))


if __name__ == "__main__":
    main()
