"""What do the variants of SGM, and what we add to it, give on real scene graphs?

Trains every row with several seeds on the SGM authors' Flickr30k graphs and evaluates the weights
of the last epoch on the dev images (every fifth, by sorted name); nothing is chosen on dev. Tables:

- `variants`: the five variants of table 1 of the paper (Wang et al., WACV 2020), default recipe;
- `additions`: from the paper's model and loss, one addition at a time, towards the default recipe,
  which is the row SGM of `variants`.

Runs that are already in the output are not trained again.

    python benchmarks/sgm_variants.py variants --root FOLDER --word-vectors FILE
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from pyg_sgm.datasets import open_dataset
from pyg_sgm.metrics import in_percent
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.training import Recipe, find_recipe

VARIANTS = {
    "OOM w/o TCxt": "oom-no-context",
    "OOM": "oom",
    "OOM w VRel": "oom-vrel",
    "OOM w TRel": "oom-trel",
    "SGM": "sgm",
}
PAPER = {
    "normalize": False,
    "shared_label_projection": False,
    "global_dim": 0,
    "bidirectional": False,
    "weigh_nodes": False,
    "relation_dropout": 0.0,
}


def rows(table: str) -> dict[str, Recipe]:
    default, paper = find_recipe("sgm"), find_recipe("sgm", "paper")
    if table == "variants":
        return {
            row: default.with_model_options(variant=variant) for row, variant in VARIANTS.items()
        }
    triplet = default.replace(loss=paper.loss, loss_options=paper.loss_options)
    triplet = triplet.with_model_options(**PAPER)
    so_far = PAPER | {"normalize": True}
    steps = {
        "the paper's loss": triplet,
        "contrastive loss, cosine": default.with_model_options(**so_far),
    }
    for name in ("shared_label_projection", "global_dim", "bidirectional", "weigh_nodes"):
        so_far = so_far | {name: default.options[name]}
        steps[f"+ {name}"] = default.with_model_options(**so_far)
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=["variants", "additions"])
    parser.add_argument("--root", required=True, help="folder of the Flickr30k graphs")
    parser.add_argument("--word-vectors", help="GloVe or word2vec text file")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--precision", default="32-true", help="as Lightning names it")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()

    train, dev = open_dataset(f"flickr30k-sgm:{args.root}", "val").split_every(5)
    path = args.out / f"sgm_{args.table}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(path.read_text()) if path.exists() else {}
    for row, recipe in rows(args.table).items():
        recipe = recipe.replace(precision=args.precision)
        runs = results.setdefault(row, {"recipe": recipe.to_dict(), "seeds": {}})["seeds"]
        for seed in args.seeds:
            if str(seed) in runs:
                continue
            start = time.perf_counter()
            matcher = SceneGraphMatcher("sgm").fit(
                train, recipe=recipe, word_vectors=args.word_vectors, seed=seed, progress=False
            )
            seconds = time.perf_counter() - start
            runs[str(seed)] = {**in_percent(matcher.evaluate(dev)), "seconds": seconds}
            path.write_text(json.dumps(results, indent=1) + "\n")
        print_row(row, [runs[str(seed)] for seed in args.seeds])
    print(f"{torch.get_num_threads()} threads, {args.precision}; written to {path}")


def print_row(row: str, runs: list[dict]) -> None:
    """Means over the seeds and the standard deviation of rsum, as a row of a Markdown table."""
    cells = [
        f"{statistics.mean(run[side][k] for run in runs):.1f}"
        for side in ("i2t", "t2i")
        for k in ("r1", "r5", "r10")
    ]
    sums = [run["rsum"] for run in runs]
    spread = f"{statistics.stdev(sums):.1f}" if len(sums) > 1 else "-"
    seconds = statistics.mean(run["seconds"] for run in runs)
    rsum = f"{statistics.mean(sums):.1f} ± {spread}"
    print(f"| {row} | {' | '.join(cells)} | {rsum} | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
