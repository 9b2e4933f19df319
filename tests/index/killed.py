"""Kills a process that builds, adds to, removes from and optimizes an index, at random moments.

Each process first looks at what the one before left: all that was acknowledged is there, and of
what it was doing all or nothing is seen. Then it goes on: ``python -m tests.index.killed``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

ROUND = 6  # images of an addition, written in parts of 2
AIMS = ("build", "add", "remove", "optimize", "remove")  # of the processes that share an index


def work(folder: Path) -> None:
    """Checks an index and changes it until it is killed."""
    import warnings

    import torch

    from pyg_sgm.index import SceneGraphIndex, adding
    from pyg_sgm.index.reading import is_index
    from tests.helpers.indexes import small_matcher
    from tests.helpers.training import world

    warnings.filterwarnings("ignore", message="optimize")
    torch.set_num_threads(1)
    adding.CHUNK = 2
    matcher, data = small_matcher(), world(num_images=600)
    uri, journal = folder / "a.idx", folder / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    known: set[str] = set()
    begun: dict | None = None
    for line in lines:
        known, begun = (changed(known, line), None) if line["done"] else (known, line)
    index = SceneGraphIndex.open(uri, matcher) if is_index(uri) else None
    seen = set() if index is None else set(index.ids)
    allowed = [known] if begun is None else [known, changed(known, begun)]
    if seen not in allowed:
        raise SystemExit(f"{len(seen)} images are seen, {len(known)} were acknowledged: {begun}")
    wrong = [] if index is None else index.verify()
    if wrong:
        raise SystemExit(wrong[0])
    print("ready", flush=True)
    step = sum(line["done"] for line in lines)
    while True:
        kind = ("add", "add", "remove", "optimize")[step % 4] if step else "build"
        start = ROUND * step % 600
        ids = data.image_ids[start : start + ROUND]
        if kind == "remove":
            ids = sorted(known)[::5]
        line = begun or {"kind": kind, "ids": ids}
        begun = None
        write(journal, {**line, "done": False})
        print(line["kind"], flush=True)
        if line["kind"] == "build" and not is_index(uri):
            index = SceneGraphIndex.create(uri, matcher)
        assert index is not None
        if line["kind"] in ("build", "add"):
            index.add(data.select_images([data.image_ids.index(id) for id in line["ids"]]))
        elif line["kind"] == "remove":
            index.remove(line["ids"])
        else:
            index.optimize(timedelta(0))
        known = changed(known, line)
        if set(index.ids) != known:
            raise SystemExit(f"after {line['kind']}: {len(index)} images, not {len(known)}")
        write(journal, {**line, "done": True})
        step += 1


def changed(known: set[str], line: dict) -> set[str]:
    """The images after a change."""
    if line["kind"] in ("build", "add"):
        return known | set(line["ids"])
    return known - set(line["ids"]) if line["kind"] == "remove" else known


def write(journal: Path, line: dict) -> None:
    with journal.open("a") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def kill(folder: Path, kills: int, seed: int = 0) -> tuple[Counter[str], int, str]:
    """Kills so many processes, each soon after it has begun a change of a certain kind.

    Returns:
        How many were killed in which change, how many changes were acknowledged, and what went
        wrong.
    """
    moments = random.Random(seed)
    killed: Counter[str] = Counter()
    done = 0
    for first in range(0, kills, len(AIMS)):
        own = folder / str(first)
        own.mkdir()
        journal = own / "journal.jsonl"
        journal.touch()
        aims = AIMS[: kills - first]
        for aim in (*aims, ""):  # the last one looks at what the last kill left
            wrong = kill_one(own, aim, moments.uniform(0.0, 0.3))
            if wrong:
                return killed, done, wrong
            lines = [json.loads(line) for line in journal.read_text().splitlines()]
            if aim:
                killed["between" if lines[-1]["done"] else lines[-1]["kind"]] += 1
        done += sum(line["done"] for line in lines)
    return killed, done, ""


def kill_one(folder: Path, aim: str, seconds: float) -> str:
    """Kills a process so many seconds after it has begun a change of a kind, or any; says what was
    wrong."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.index.killed", "--work", str(folder)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        for said in child.stdout:
            if said.strip() == aim or (not aim and said.strip() != "ready"):
                break
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        if child.wait() != -signal.SIGKILL:
            return child.stderr.read().strip().splitlines()[-1]
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path, help="JSON file of the counts")
    args = parser.parse_args()
    if args.work is not None:
        work(args.work)
    with tempfile.TemporaryDirectory() as folder:
        killed, done, wrong = kill(Path(folder), args.kills)
    print(f"{args.kills} kills, {done} changes acknowledged", wrong or "and all there")
    print(", ".join(f"{kind}: {count}" for kind, count in killed.items()))
    if args.out is not None:
        report = {"kills": killed, "acknowledged": done, "went wrong": wrong}
        args.out.write_text(json.dumps(report, indent=2) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
