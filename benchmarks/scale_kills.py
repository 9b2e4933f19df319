"""The part "kills" of scale.py."""

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import device_name
from scale_cluster import ACTORS, TASKS, Killer, cluster
from scale_photos import content

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.datasets import SceneWorld, list_images
from pyg_sgm.distributed import RayPool
from pyg_sgm.index import SceneGraphIndex, adding
from pyg_sgm.vision import extract, open_extractor

CHUNK = 32  # images that are encoded at once, so that there are tasks to kill


def kills(args: argparse.Namespace) -> dict[str, Any]:
    """Each work again and again while parts of the cluster die; what it gives must be the same."""
    warnings.filterwarnings("ignore", message="optimize")
    adding.CHUNK = CHUNK
    files = dict(list(list_images(args.photos).items())[: args.limit])
    extractor = open_extractor("grid:2", size=128)
    matcher = SceneGraphMatcher("sgm", dim=64, hidden=64)
    matcher.fit(SceneWorld("train", num_images=60), epochs=1, progress=False)
    world = SceneWorld("dev", num_images=300, captions_per_image=2)
    texts = list(world.texts[:5])
    report: dict[str, Any] = {"kills": args.kills, "every_seconds": args.every, "rows": []}
    with tempfile.TemporaryDirectory() as side, cluster(2) as made:
        home = Path(side)
        pool = RayPool(made.address)
        numbers = iter(range(10**6))

        def made_graphs(by: Any) -> str:
            folder = home / f"{next(numbers)}.sg"
            extract(files, folder, extractor, shard_size=4, pool=by)
            return content(folder)

        def built(by: str | None, shards: int | None = 3) -> Any:
            uri = home / f"{next(numbers)}.idx"
            index = SceneGraphIndex.create(uri, matcher, shards=shards, ray=by)
            index.add(world)
            here = SceneGraphIndex.open(uri, matcher)
            return here.verify(), here.ids, answers(here)

        def answers(index: SceneGraphIndex) -> list[Any]:
            return [[hit.to_dict() for hit in one.hits] for one in index.search_many(texts, 10)]

        searched = SceneGraphIndex.create(home / "searched.idx", matcher, shards=3)
        searched.add(world)
        reader = SceneGraphIndex.open(searched.uri, matcher, ray=made.address)
        works: dict[str, tuple[bytes, Callable[[], Any], Any]] = {
            "extraction": (TASKS, lambda: made_graphs(pool), made_graphs(None)),
            "build": (TASKS, lambda: built(made.address), built(None, None)),
            "search": (ACTORS, lambda: answers(reader), answers(searched)),
            "scoring": (
                TASKS,
                lambda: matcher.evaluate(world, pool=pool, folder=home),
                matcher.evaluate(world),
            ),
        }
        for name, (what, work, expected) in works.items():
            killer = Killer(made, what, args.kills, args.every)
            start, times, equal = time.perf_counter(), 0, 0
            killer.start()
            while killer.killed.total() < args.kills:
                equal += work() == expected
                times += 1
                killer.replace()
            killer.stop()
            row = {
                "work": name,
                "killed": dict(killer.killed),
                "times": times,
                "equal": equal,
                "seconds": time.perf_counter() - start,
            }
            report["rows"].append(row)
            print(row, flush=True)
    report["device"] = device_name("cpu")
    report["load"] = os.getloadavg()[0]
    return report
