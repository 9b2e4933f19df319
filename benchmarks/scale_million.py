"""The part "million" of scale.py."""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bench import device_name
from scale_cluster import cluster
from search_growth import replicas

from pyg_sgm import SceneGraphMatcher, open_dataset
from pyg_sgm.distributed import Keepers, OneKeeper, RayKeepers
from pyg_sgm.index import SceneGraphIndex
from pyg_sgm.index.building import ShardKeeper, open_shard
from pyg_sgm.index.coarse import principal
from pyg_sgm.index.header import header_of
from pyg_sgm.index.many import ManyViews
from pyg_sgm.index.rows import fields_of
from pyg_sgm.index.search import AT_ONCE
from pyg_sgm.index.segment import MOST, open_segment, write_segment
from pyg_sgm.index.shards import Shards, folder_of
from pyg_sgm.index.store import LanceStore
from pyg_sgm.index.view import Asked
from pyg_sgm.models import Encoding
from pyg_sgm.ops import Packed
from pyg_sgm.retrieval import EncodedQuery, EncodedTexts, encode_queries, with_parses

FIELDS = ("objects", "relations")


class TimedKeeper(ShardKeeper):
    """Tells how long it took to answer, and the most memory it has had."""

    def answer(self, part: int, question: Any) -> tuple[float, int, Any]:
        start = time.perf_counter()
        found = super().answer(part, question)
        return time.perf_counter() - start, peak_bytes(), found


class Timed:
    """Keepers whose answers come with their times."""

    def __init__(self, keepers: Keepers) -> None:
        self.keepers = keepers
        self.seconds: dict[int, float] = {}
        self.peaks: dict[int, int] = {}

    def ask(
        self, parts: Iterable[int], question: Callable[[int], Any]
    ) -> Iterator[tuple[int, Any]]:
        for part, (seconds, peak, found) in self.keepers.ask(parts, question):
            self.seconds[part] = self.seconds.get(part, 0.0) + seconds
            self.peaks[part] = max(self.peaks.get(part, 0), peak)
            yield part, found

    def longest(self, keepers: int) -> float:
        """Seconds of the keeper that was busy longest."""
        own = [0.0] * keepers
        for part, seconds in self.seconds.items():
            own[part % keepers] += seconds
        self.seconds = {}
        return max(own)


def peak_bytes() -> int:
    """Most memory of this process that was resident, memory-mapped files included."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def projected(encoding: Encoding, bases: dict[str, torch.Tensor]) -> Encoding:
    """An encoding whose nodes are those of others in their most important directions."""
    values: dict[str, Any] = dict.fromkeys(encoding.values(), None)
    for name, value in encoding.values().items():
        if name in bases:
            values[name] = Packed(value.x.float() @ bases[name], value.ptr)
        elif name.removesuffix("_weights") + "s" in bases:
            values[name] = value
    return type(encoding)(**values)


def source(args: argparse.Namespace) -> tuple[SceneGraphMatcher, Encoding, dict[str, Any]]:
    """Encoded images of an index on fewer directions, and what is known of these."""
    index = SceneGraphIndex.open(args.index)
    seen = index._newest()
    parts = [encoding for _, encoding in seen.parts(torch.arange(len(seen)), torch.device("cpu"))]
    whole = parts[0]  # the first segment
    bases, told = {}, {}
    for name in FIELDS:
        nodes = getattr(whole, name)
        step = max(1, len(nodes.x) // 20_000)
        directions, outside = principal(nodes.x[::step])
        width = min(args.dim, nodes.x.size(1))
        bases[name] = directions[:, :width].contiguous()
        told[name] = {
            "nodes": len(nodes.x) / len(nodes),
            "dim": nodes.x.size(1),
            "kept_energy": 1 - float(outside[width]),
        }
    image = projected(whole, bases)
    return index.matcher, image, {"images": len(whole), "fields": told, "bases": bases}


def queries(args: argparse.Namespace, matcher: SceneGraphMatcher, bases: dict) -> list:
    """Captions as they search fewer directions; those of every second one choose directions."""
    texts = with_parses(open_dataset(args.data, args.split)).texts
    step = max(1, len(texts) // (args.queries + 200))
    asked = []
    for one in encode_queries(matcher, list(texts[::step])):
        ((weight, part),) = one.parts[:1]
        own = EncodedTexts(part.ids, projected(part.encoding, bases), part.fingerprint)
        asked.append(EncodedQuery(((weight, own),)))
    return asked


def build(home: Path, args: argparse.Namespace, matcher: Any, image: Encoding, like: Any) -> dict:
    """Shards of drawn images: rows without encodings, and segments."""
    import pyarrow as pa

    torch.manual_seed(0)
    levels = matcher.saved.model.bound_levels()
    headers, drawing, writing = [], 0.0, 0.0
    first = None
    for shard in range(args.shards):
        folder = folder_of(home, shard)
        (folder / "segments").mkdir(parents=True)
        positions = torch.arange(shard, args.images, args.shards)
        names: list[str] = []
        for number, own in enumerate(positions.split(MOST)):
            start = time.perf_counter()
            part = replicas(image, len(own), args.nodes, len(image))
            drawing += time.perf_counter() - start
            start = time.perf_counter()
            kept = fields_of(part, "float16")
            where = folder / "segments" / f"{number}"
            write_segment(where, own, part, kept, levels, like, first)
            writing += time.perf_counter() - start
            first = first or open_segment(where, type(image))
            names.append(where.name)
        store = LanceStore(folder)
        table = store.table("images")
        ids = [f"{i:09d}" for i in positions.tolist()]
        table.upsert(pa.table({"id": ids, "position": positions.numpy(), "path": [""] * len(ids)}))
        header = header_of(matcher, None, "float16")
        header = replace(header, fields=tuple(kept), version=table.version(), segments=tuple(names))
        headers.append(header.to_text())
        print(f"shard {shard + 1} of {args.shards}", flush=True)
    Shards(tuple(headers), args.images).write(home)
    return {"drawing_seconds": drawing, "segment_seconds": writing}


def bytes_of(home: Path) -> dict[str, int]:
    """Bytes on the disk: of nodes that are scored, of coarse ones, of rows."""
    found = {"scored": 0, "scanned": 0, "rows": 0}
    for path in home.rglob("*"):
        if path.is_file():
            kind = "scored" if "segments" in path.parts else "rows"
            kind = "scanned" if path.name.endswith(".coarse.npy") else kind
            found[kind] += path.stat().st_size
    return found


def full_ranking(home: Path, shards: Shards, matcher: Any, asked: Asked, k: int) -> list[float]:
    """Scores of the best by scoring every image."""
    best: list[float] = []
    for shard, header in enumerate(shards.headers):
        for segment, _ in open_shard(home, shard, header, matcher)._newest().segments:
            for index in torch.arange(len(segment)).split(AT_ONCE * 4):
                rows = segment.encoding.select(index).to(torch.float32)
                with torch.no_grad():
                    scores = matcher.saved.model.score(rows, asked.encoded.parts[0][1].encoding)
                best = sorted([*best, *scores[:, 0].tolist()], reverse=True)[:k]
    return best


def timings(
    home: Path, shards: Shards, keepers: Keepers, count: int, asked: list, k: int
) -> tuple[dict[str, Any], list[list[dict]]]:
    """How long queries take by some keepers, and the answers."""
    timed = Timed(keepers)
    view = ManyViews(shards, timed, True)
    start = time.perf_counter()
    len(view)
    opening = time.perf_counter() - start
    view.search(asked[:1], k, None, float("-inf"))  # pages are read
    timed.longest(count)
    whole, ours, scored, hits = [], [], [], []
    for one in asked:
        start = time.perf_counter()
        (found,) = view.search([one], k, None, float("-inf"))
        whole.append(time.perf_counter() - start)
        ours.append(timed.longest(count))
        scored.append(found.num_scored)
        hits.append([hit.to_dict() for hit in found.hits])
    share = [own / all for own, all in zip(ours, whole, strict=True)]
    report = {
        "keepers": count,
        "opening_seconds": opening,
        "query_seconds": statistics.median(whole),
        "query_seconds_most": max(whole),
        "share_of_the_keepers": statistics.median(share),
        "seconds_beside_the_keepers": statistics.median(
            [all - own for own, all in zip(ours, whole, strict=True)]
        ),
        "scored_median": statistics.median(scored),
        "scored_most": max(scored),
        "peak_bytes_of_a_keeper": max(timed.peaks.values()),
    }
    return report, hits


def million(args: argparse.Namespace) -> dict[str, Any]:
    """Many drawn images in shards, searched by this process and by a cluster."""
    matcher, image, told = source(args)
    bases = told.pop("bases")
    asked = [Asked(one) for one in queries(args, matcher, bases)]
    others = asked[1::2][:200]
    texts = [one.encoded.parts[0][1].encoding for one in others]
    like = type(texts[0]).cat(texts)
    asked = asked[:: max(1, len(asked) // args.queries)][: args.queries]
    with tempfile.TemporaryDirectory(dir=args.folder) as side:
        home = Path(side)
        start = time.perf_counter()
        report = build(home, args, matcher, image, like)
        report["seconds"] = time.perf_counter() - start
        report |= {"images": args.images, "shards": args.shards, "nodes": args.nodes}
        report |= {"dim": args.dim, "k": args.k, "queries": len(asked), "drawn_from": told}
        report["bytes"] = bytes_of(home)
        shards = Shards.read(home)
        local, expected = timings(
            home, shards, OneKeeper(TimedKeeper(home, matcher)), 1, asked, args.k
        )
        report["rows"] = [{"by": "this process", **local}]
        print(report["rows"][-1], flush=True)
        names = [str(folder_of(home, number)) for number in range(args.shards)]
        for cores in args.actors:
            with cluster(cores) as made:
                keepers = RayKeepers(made.address, names, TimedKeeper, home, matcher)
                count = len(keepers._actors)
                own, hits = timings(home, shards, keepers, count, asked, args.k)
                own["equal_answers"] = hits == expected
                report["rows"].append({"by": "Ray", **own})
                print(report["rows"][-1], flush=True)
        if args.full:
            scores = [hit["score"] for hit in expected[0]]
            start = time.perf_counter()
            whole = full_ranking(home, shards, matcher, asked[0], args.k)
            report["full_ranking_seconds"] = time.perf_counter() - start
            report["largest_difference"] = max(
                abs(a - b) for a, b in zip(scores, whole, strict=True)
            )
    report["device"] = device_name("cpu")
    report["load"] = os.getloadavg()[0]
    return report
