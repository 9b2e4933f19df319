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
from datetime import timedelta
from pathlib import Path

ROUND = 6  # images of an addition, written in parts of 2


def work(folder: Path) -> None:
    """Checks an index and changes it until it is killed."""
    import warnings

    import torch

    from pyg_sgm.index import SceneGraphIndex, adding
    from tests.helpers.indexes import small_matcher
    from tests.helpers.training import world

    warnings.filterwarnings("ignore", message="optimize")
    torch.set_num_threads(1)
    adding.CHUNK = 2
    matcher, data = small_matcher(), world(num_images=600)
    journal = folder / "journal.jsonl"
    if not journal.exists():
        SceneGraphIndex.create(folder / "a.idx", matcher)
    index = SceneGraphIndex.open(folder / "a.idx", matcher)
    lines = journal.read_text().splitlines() if journal.exists() else []
    known: set[str] = set()
    begun: dict | None = None
    for line in map(json.loads, lines):
        if line["done"]:
            known = changed(known, line)
            begun = None
        else:
            begun = line
    seen = set(index.ids)
    allowed = [known] if begun is None else [known, changed(known, begun)]
    if seen not in allowed:
        raise SystemExit(f"{len(seen)} images are seen, {len(known)} were acknowledged: {begun}")
    wrong = index.verify()
    if wrong:
        raise SystemExit(wrong[0])
    print("ready", flush=True)
    step = len(lines)
    while True:
        kind = ("add", "add", "remove", "optimize")[step % 4]
        start = ROUND * step % 600
        ids = data.image_ids[start : start + ROUND]
        if kind == "remove":
            ids = sorted(known)[::5]
        line = begun or {"kind": kind, "ids": ids}
        begun = None
        write(journal, {**line, "done": False})
        print("begins", flush=True)
        if line["kind"] == "add":
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
    if line["kind"] == "add":
        return known | set(line["ids"])
    return known - set(line["ids"]) if line["kind"] == "remove" else known


def write(journal: Path, line: dict) -> None:
    with journal.open("a") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def kill(folder: Path, kills: int, seed: int = 0) -> tuple[int, str]:
    """Kills so many processes; gives how many changes were acknowledged, and what went wrong."""
    moments = random.Random(seed)
    for _ in range(kills + 1):  # the last one looks at what the last kill left
        with subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.index.killed", "--work", str(folder)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            # After some whole changes, so that it gets on however slow the machine is.
            for _ in range(moments.randint(2, 5)):
                if not child.stdout.readline():
                    break
            time.sleep(moments.uniform(0.0, 0.5))
            child.send_signal(signal.SIGKILL)
            if child.wait() != -signal.SIGKILL:
                return 0, child.stderr.read().strip().splitlines()[-1]
    done = sum('"done": true' in line for line in (folder / "journal.jsonl").open())
    return done, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--work", type=Path)
    args = parser.parse_args()
    if args.work is not None:
        work(args.work)
    with tempfile.TemporaryDirectory() as folder:
        done, wrong = kill(Path(folder), args.kills)
    print(f"{args.kills} kills, {done} changes acknowledged", wrong or "and all there")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
