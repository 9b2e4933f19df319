"""The parts "exact" and "build" of search.py: one collection of photos with graphs."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from bench import peak_memory
from torch import Tensor

from pyg_sgm import SceneGraphMatcher, open_dataset
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.evaluation import score
from pyg_sgm.index import SceneGraphIndex
from pyg_sgm.index.search import best_images, upper_bounds
from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.models import Matcher, QueryBank
from pyg_sgm.retrieval import EncodedQuery, encode_queries, with_graphs, with_parses

TOGETHER = 32  # queries that share a scan
TIMED = 200  # queries that are timed one by one
CLOSE = 1e-5  # scores nearer than this count as equal: their sums are rounded in another order


def exact_answers(args: argparse.Namespace) -> dict:
    """The answer to every caption, compared with the full ranking, at several widths."""
    matcher = SceneGraphMatcher.from_pretrained(args.run)
    texts = with_parses(open_dataset(args.data, args.split)).texts[:: args.step]
    asked = encode_queries(matcher, texts)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        index = SceneGraphIndex.create(Path(folder) / "photos.idx", matcher)
        for part in photos(args):
            index.add(part)
        scores = all_scores(index._newest(), index._model, asked)
        sizes = [size for size in args.sizes if size < len(scores)] + [len(scores)]
        for width in (None, *args.widths):
            forced = patch("pyg_sgm.index.segment.chosen_width", return_value=width)
            with nullcontext() if width is None else forced:
                index = SceneGraphIndex.rebuild(index.uri, matcher)
            own = {"width": width or "chosen", "bytes_of_a_coarse_node": index.info()["bounds"]}
            for size in sizes:
                rows.append({**own, **num_scored(index, asked, scores, size, args.k)})
                print(rows[-1], flush=True)
            if width is None:
                rows[-1] |= answers(index, asked, scores, args.k)
    return {
        "run": args.run.name,
        "splits": args.splits,
        "images": len(scores),
        "captions": len(asked),
        "k": args.k,
        "query_bank": isinstance(matcher.saved.model, QueryBank),
        "close": CLOSE,
        "rows": rows,
    }


def photos(args: argparse.Namespace) -> list[SceneGraphDataset]:
    """The images of some splits with the graphs of a folder."""
    return [with_graphs(open_dataset(args.data, split), args.graphs) for split in args.splits]


def all_scores(seen: Snapshot, model: Matcher, asked: Sequence[EncodedQuery]) -> Tensor:
    """Scores of all images with all queries, ``[num_images, num_queries]``."""
    parts = [query.parts for query in asked]
    assert all(len(part) == 1 and part[0][0] == 1 for part in parts)
    texts = [part[0][1].encoding for part in parts]
    text = type(texts[0]).cat(texts)
    scores = torch.empty(len(seen), len(asked))
    for own, image in seen.parts(torch.arange(len(seen)), torch.device("cpu")):
        scores[own] = score(model, image, text)
    return scores


def num_scored(
    index: SceneGraphIndex, asked: Sequence[EncodedQuery], scores: Tensor, size: int, k: int
) -> dict:
    """How many of the first images are scored for each query, whose scores are looked up, and
    whether any bound is too low, or any answer not the best."""
    seen, model = index._newest(), index._model
    places = torch.arange(size)
    scored: list[int] = []
    equal = low = 0
    for first, some in batches(asked):
        bounds = upper_bounds(seen, model, some)
        assert bounds is not None
        low += int((bounds[:, :size] < scores[:size, first : first + len(some)].t() - CLOSE).sum())
        for number, query in enumerate(some):
            column = scores[:, first + number]
            known = partial(looked_up, column)
            with patch("pyg_sgm.index.search.query_scores", known):
                found = best_images(seen, model, query, k, bounds[number], places)
            equal += torch.equal(found.scores, column[:size].topk(k).values)
            scored.append(found.num_scored)
    return {
        "images": size,
        "bounds_too_low": low,
        "equal": equal,
        "scored_median": statistics.median(scored),
        "scored_p95": statistics.quantiles(scored, n=20)[-1],
        "scored_most": max(scored),
    }


def looked_up(column: Tensor, *given: Any) -> Tensor:
    """Scores of some images, in the place of :func:`pyg_sgm.index.search.query_scores`."""
    found: Tensor = column[given[-1]]
    return found


def answers(index: SceneGraphIndex, asked: Sequence[EncodedQuery], scores: Tensor, k: int) -> dict:
    """How many answers of the index are those of the full ranking, and how long one takes."""
    seen, model = index._newest(), index._model
    equal = 0
    for first, some in batches(asked):
        bounds = upper_bounds(seen, model, some)
        assert bounds is not None
        for number, query in enumerate(some):
            found = best_images(seen, model, query, k, bounds[number])
            column = scores[:, first + number]
            best = column.topk(k).values
            same = (column[found.places] - best).abs().max(), (found.scores - best).abs().max()
            equal += max(map(float, same)) <= CLOSE
    seconds = []
    for query in asked[:: max(1, len(asked) // TIMED)]:
        start = time.perf_counter()
        bounds = upper_bounds(seen, model, [query])
        assert bounds is not None
        best_images(seen, model, query, k, bounds[0])
        seconds.append(time.perf_counter() - start)
    return {
        "answers_equal_to_the_full_ranking": equal,
        "query_seconds": statistics.median(seconds),
    }


def batches(asked: Sequence[EncodedQuery]) -> Iterator[tuple[int, Sequence[EncodedQuery]]]:
    """Queries that share a scan, and the number of the first."""
    for first in range(0, len(asked), TOGETHER):
        yield first, asked[first : first + TOGETHER]


def build_index(args: argparse.Namespace) -> dict:
    """How long an index takes beyond the graphs of its photos, and what it takes on the disk."""
    matcher = SceneGraphMatcher.from_pretrained(args.run)
    parts = photos(args)
    with tempfile.TemporaryDirectory() as folder:
        uri = args.index or Path(folder) / "photos.idx"
        index = SceneGraphIndex.create(uri, matcher, run=args.run)
        seconds = of_processor = 0.0

        def build() -> None:
            nonlocal seconds, of_processor
            start, own = time.perf_counter(), time.process_time()
            for part in parts:
                index.add(part)
            seconds, of_processor = time.perf_counter() - start, time.process_time() - own

        mebibytes = peak_memory(build, "cpu")
        size = len(index)
        last = parts[-1].select_images(range(len(parts[-1]) - args.added, len(parts[-1])))
        index.remove(last.image_ids)
        start = time.perf_counter()
        added = index.add(last).added
        added_seconds = time.perf_counter() - start
        assert (added, len(index)) == (args.added, size)
        fresh = SceneGraphIndex.rebuild(index.uri, matcher)  # one segment
        return {
            "run": args.run.name,
            "images": size,
            "build_seconds": seconds,
            "build_cpu_seconds": of_processor,
            "build_mebibytes": mebibytes,
            "added": added,
            "added_seconds": added_seconds,
            "bytes_per_image": bytes_of(fresh),
        }


def bytes_of(index: SceneGraphIndex) -> dict[str, float]:
    """Bytes of an image on the disk: its row; what is scored, in float16; what is scanned, in
    int8; and all that lies in the folder, old versions too."""
    count = len(index)
    coarse = float16 = 0
    for segment, _ in index._newest().segments:
        for path in segment.folder.iterdir():
            if path.name.endswith(".coarse.npy"):
                coarse += path.stat().st_size
            else:
                float16 += path.stat().st_size
    everything = sum(path.stat().st_size for path in Path(index.uri).rglob("*") if path.is_file())
    found = {"row": index.info()["bytes"], "float16": float16, "int8": coarse, "all": everything}
    return {name: value / count for name, value in found.items()}
