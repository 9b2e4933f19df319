"""The part "growth" of search.py."""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from bench import peak_memory

from pyg_sgm import SceneGraphMatcher, open_dataset
from pyg_sgm.evaluation.encode import evaluating
from pyg_sgm.index.header import header_of
from pyg_sgm.index.rows import fields_of
from pyg_sgm.index.search import best_images, upper_bounds
from pyg_sgm.index.segment import MOST, open_segment, write_segment
from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.models import Encoding
from pyg_sgm.ops import Packed
from pyg_sgm.retrieval import encode_queries, with_graphs, with_parses

NOISE = 1 / 3
AT_ONCE = 1024


def replicas(image: Encoding, count: int, nodes: list[int] | None, first: int) -> Encoding:
    """Encodings of so many images, the first of them those that are given unless nodes are."""
    own = 0 if nodes else max(0, min(count, len(image) - first))
    drawn = torch.randint(len(image), (count - own,))
    chosen = torch.cat([torch.arange(first, first + own), drawn])
    new = torch.arange(count) >= own
    values = {}
    wanted = dict(zip(("objects", "relations"), nodes or (), strict=False))
    for name, value in image.values().items():
        if isinstance(value, Packed) and name.split("_")[0] in ("object", "objects", "relations"):
            size = wanted.get("relations" if name == "relations" else "objects")
            values[name] = drawn_nodes(value, chosen, new, size)
        elif isinstance(value, torch.Tensor):
            values[name] = noisy(value[chosen], new)
        else:
            values[name] = value
    return type(image)(**values)


def drawn_nodes(value: Packed, chosen: torch.Tensor, new: torch.Tensor, size: int | None) -> Packed:
    """Nodes of images, exactly ``size`` of each where it is given."""
    if size is None:
        part = value.select(chosen)
        return Packed(noisy(part.x, new[part.batch]), part.ptr)
    full = chosen.clone()
    empty = value.sizes[full] == 0
    full[empty] = int(value.sizes.argmax())
    start, count = value.ptr[:-1][full], value.sizes[full]
    rows = start[:, None] + torch.arange(size) % count[:, None]
    x = noisy(value.x[rows.flatten()], new.repeat_interleave(size))
    if x.dim() == 1:  # weights add up to one
        x = (x.view(-1, size) / x.view(-1, size).sum(1, keepdim=True)).flatten()
    return Packed(x, torch.arange(len(chosen) + 1) * size)


def noisy(x: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Vectors of length one with noise; other numbers as they are."""
    if x.dim() == 1:
        return x
    x = x.float()
    noise = F.normalize(torch.randn_like(x), dim=1) * NOISE * new[:, None]
    return F.normalize(x + noise, dim=1).half()


def build(folder, image, size, nodes, matcher, queries, width) -> Snapshot:
    """Segments of replicas, opened."""
    torch.manual_seed(0)
    header = header_of(matcher, None, "float16")
    segments, places = [], []
    like = None
    levels = matcher.saved.model.bound_levels()
    for number, start in enumerate(range(0, size, MOST)):
        part = replicas(image, min(MOST, size - start), nodes, start)
        kept = fields_of(part, "float16")
        where = folder / f"{number}"
        positions = torch.arange(start, start + len(part))
        write_segment(where, positions, part, kept, levels, queries, like, width)
        segments.append(open_segment(where, type(image)))
        like = like or segments[0]
        places.append(positions)
    ids = [str(i) for i in range(size)]
    header = replace(header, version=1)
    parts = list(zip(segments, places, strict=True))
    return Snapshot(header, None, ids, list(range(size)), torch.arange(size), parts)


def full_scan(seen: Snapshot, model, text: Encoding, rows: list[Encoding]) -> torch.Tensor:
    """Scores of all images on rows in float32."""
    with torch.no_grad():
        return torch.cat([model.score(part, text)[:, 0] for part in rows])


def measure(seen, model, asked, k, full) -> dict:
    """Medians over queries, interleaved; every answer is compared with the full ranking."""

    def search(query) -> None:
        bounds = upper_bounds(seen, model, [query])
        best_images(seen, model, query, k, bounds[0])

    mebibytes = peak_memory(lambda: search(asked[0]), "cpu")  # memory-mapped pages are in it
    rows = []
    if full:
        for segment, _ in seen.segments:
            for index in torch.arange(len(segment)).split(AT_ONCE):
                rows.append(segment.encoding.select(index).to(torch.float32))
    scan, whole, plain, scored = [], [], [], []
    equal = True
    for query in asked:
        start = time.perf_counter()
        bounds = upper_bounds(seen, model, [query])
        scan.append(time.perf_counter() - start)
        found = best_images(seen, model, query, k, bounds[0])
        whole.append(time.perf_counter() - start)
        scored.append(found.num_scored)
        if full:
            start = time.perf_counter()
            scores = full_scan(seen, model, query.parts[0][1].encoding, rows)
            plain.append(time.perf_counter() - start)
            expected = scores.topk(k).values
            equal &= bool(torch.allclose(found.scores, expected, atol=2e-5))
    report = {
        "images": len(seen),
        "queries": len(asked),
        "bytes_of_a_coarse_node": {
            n: s.coarse.size(1) for n, s in seen.segments[0][0].scanned.items()
        },
        "coarse_bytes": sum(s.coarse.numel() for g, _ in seen.segments for s in g.scanned.values()),
        "scored_median": statistics.median(scored),
        "scored_most": max(scored),
        "scan_seconds": statistics.median(scan),
        "query_mebibytes": mebibytes,
        "query_seconds": statistics.median(whole),
    }
    if full:
        report["full_scan_seconds"] = statistics.median(plain)
        report["ratio"] = report["query_seconds"] / report["full_scan_seconds"]
        report["equal_to_the_full_ranking"] = equal
    return report


def growth(args: argparse.Namespace) -> dict:
    """Queries on growing collections of replicas."""
    matcher = SceneGraphMatcher.from_pretrained(args.run)
    dataset = open_dataset(args.data, args.split)
    if args.graphs is not None:
        dataset = with_graphs(dataset, args.graphs, matcher.extractor)
    image = matcher.encode_images(dataset).encoding
    texts = with_parses(dataset.replace(images=dataset.images)).texts
    step = max(1, len(texts) // (args.queries + 200))
    asked = encode_queries(matcher, texts[::step][: args.queries])
    others = matcher.encode_texts(texts[1::step][:200]).encoding
    found = []
    with evaluating(matcher.saved.model) as model:
        for size in args.sizes:
            for width in (*args.widths, None):
                with tempfile.TemporaryDirectory() as side:
                    seen = build(Path(side), image, size, args.nodes, matcher, others, width)
                    one = measure(seen, model, asked, args.k, full=width is None)
                    one["width"] = width or "chosen"
                    found.append(one)
                    print(json.dumps(one), flush=True)
    return {
        "k": args.k,
        "nodes": args.nodes,
        "noise_of_replicas": NOISE,
        "run": args.run.name,
        "data": args.data,
        "rows": found,
    }
