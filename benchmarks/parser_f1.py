"""How well and how fast do the caption parsers parse?

    python benchmarks/parser_f1.py --gold dev.csv --out benchmarks/results

Tuple F1 with simplemma on a file with the columns ``caption`` and ``scene_graph``, and captions a
second in one batch, the best of three runs after a warm-up. Writes and prints ``parser_f1.json``.
"""

import argparse
import csv
import json
import platform
import time
from pathlib import Path
from typing import get_args

import torch

from pyg_sgm.data import read_scene_graph
from pyg_sgm.metrics.parser import lemmatized_words, parser_f1
from pyg_sgm.text import Backend, parse_batch

KINDS = ("objects", "attributes", "relations", "all")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--gold", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    args = arguments.parse_args()
    with open(args.gold, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    captions = [row["caption"] for row in rows]
    gold = [read_scene_graph(row["scene_graph"]) for row in rows]

    results: dict = {
        "captions": len(rows),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }
    for backend in get_args(Backend):
        parsed = parse_batch(captions, backend)
        score = parser_f1([p.to_dict() for p in parsed], gold, lemmatized_words)
        results[backend] = {"exact": round(score.exact, 4)}
        for kind in KINDS:
            figures = getattr(score, kind)
            results[backend][kind] = {
                name: round(getattr(figures, name), 4) for name in ("precision", "recall", "f1")
            }
        times = []
        for _ in range(3):
            start = time.perf_counter()
            parse_batch(captions, backend)
            times.append(time.perf_counter() - start)
        results[backend]["captions_per_second"] = round(len(captions) / min(times))
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1)
    (args.out / "parser_f1.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
