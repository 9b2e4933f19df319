"""The part "extract" of scale.py."""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from bench import device_name
from scale_cluster import cluster

from pyg_sgm.datasets import list_images
from pyg_sgm.distributed import LocalPool, Pool, RayPool
from pyg_sgm.vision import Extractor, extract, open_extractor, open_graphs


def content(folder: Path) -> str:
    """A hash of graphs and features, whatever shards they lie in."""
    records, features = open_graphs(folder)
    digest = hashlib.sha256()
    for i, record in sorted(enumerate(records), key=lambda one: one[1].id):
        digest.update(
            repr((record.id, record.objects, record.relations, record.attributes)).encode()
        )
        for name, part in sorted(features.items()):
            rows = part.rows[part.select(torch.tensor([i])).spans.rows()]
            digest.update(name.encode() + rows.contiguous().numpy().tobytes())
    return digest.hexdigest()


def timed(
    files: Mapping[str, Path], extractor: Extractor, pool: Pool | None, shard: int
) -> dict[str, Any]:
    """Seconds until the first shard is written and until all are."""
    moments: list[float] = []
    with tempfile.TemporaryDirectory() as side:
        folder = Path(side) / "graphs.sg"
        start = time.perf_counter()

        def progress(done: int, total: int) -> None:
            if done:
                moments.append(time.perf_counter() - start)

        extract(files, folder, extractor, shard_size=shard, pool=pool, progress=progress)
        seconds = time.perf_counter() - start
        size = sum(path.stat().st_size for path in folder.iterdir())
        return {
            "seconds": seconds,
            "first_seconds": moments[0],
            "photos_a_second": len(files) / seconds,
            "bytes_a_photo": size / len(files),
            "hash": content(folder),
            "load": os.getloadavg()[0],
        }


def extraction(args: argparse.Namespace) -> dict[str, Any]:
    """Photos to graphs by threads, by processes, and by clusters of one-core workers."""
    files = dict(list(list_images(args.photos).items())[: args.limit])
    extractor = open_extractor(args.detector)
    few = dict(list(files.items())[:8])
    timed(few, extractor, None, args.shard)  # networks are opened
    rows = [
        {"by": "threads", "workers": os.cpu_count(), **timed(files, extractor, None, args.shard)}
    ]
    print(rows[-1], flush=True)
    for workers in args.workers:
        own = timed(files, extractor, LocalPool(workers), args.shard)
        rows.append({"by": "processes", "workers": workers, **own})
        print(rows[-1], flush=True)
    for workers in args.workers:
        with cluster(workers) as made:
            own = timed(files, extractor, RayPool(made.address), args.shard)
        rows.append({"by": "Ray", "workers": workers, **own})
        print(rows[-1], flush=True)
    return {
        "photos": len(files),
        "detector": Path(args.detector).name,
        "shard": args.shard,
        "cores": os.cpu_count(),
        "equal": len({row["hash"] for row in rows}) == 1,
        "rows": rows,
        "device": device_name("cpu"),
    }
