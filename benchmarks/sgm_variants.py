"""What do the variants of SGM, and what we add to it, give on real scene graphs?

Trains every row with several seeds on the SGM authors' Flickr30k graphs and evaluates the weights
of the last epoch on the dev images (every fifth, by sorted name); nothing is chosen on dev. Tables:

- `variants`: the five variants of table 1 of the paper (Wang et al., WACV 2020), default recipe;
- `additions`: from the paper's loss and model, one addition at a time, to the default recipe;
- `without`: the default recipe less one addition each.

Rows that are already in the output are not trained again.

    python benchmarks/sgm_variants.py --root FOLDER --word-vectors FILE
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from pyg_sgm.datasets import open_dataset
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.training import Recipe, find_recipe

VARIANTS = {
    "OOM w/o TCxt": "oom-no-context",
    "OOM": "oom",
    "OOM w VRel": "oom-vrel",
    "OOM w TRel": "oom-trel",
    "SGM": "sgm",
}
PAPER = {"normalize": False, "share_labels": False, "weigh_words": False, "global_dim": 0}


def tables() -> dict[str, dict[str, Recipe]]:
    default = find_recipe("sgm")
    triplet = replace(
        default,
        **{name: getattr(find_recipe("sgm", "paper"), name) for name in ("loss", "loss_options")},
    )
    options = default.options
    steps: dict[str, Recipe] = {"SGM, the paper's loss": triplet.replace(**PAPER)}
    so_far = PAPER | {"normalize": True}
    steps["+ contrastive loss, cosine"] = default.replace(**so_far)
    for name in ("share_labels", "global_dim", "weigh_words"):
        so_far = so_far | {name: options[name]}
        steps[f"+ {name}"] = default.replace(**so_far)
    return {
        "variants": {row: default.replace(variant=v) for row, v in VARIANTS.items()},
        "additions": steps,
        "without": {
            f"- {name}": default.replace(**{name: off})
            for name, off in {**PAPER, "dropout": 0.0}.items()
            if name != "normalize"
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", required=True, help="folder of the Flickr30k graphs")
    parser.add_argument("--word-vectors", help="GloVe or word2vec text file")
    parser.add_argument("--tables", nargs="+", default=list(tables()), choices=list(tables()))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--precision", default="32-true", help="as Lightning names it")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sgm_variants.json"))
    args = parser.parse_args()

    train, dev = open_dataset(f"flickr30k-sgm:{args.root}", "val").split_every(5)
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for table in args.tables:
        for row, recipe in tables()[table].items():
            recipe = recipe.replace(precision=args.precision)
            # Equal recipes of two tables are trained once.
            key = json.dumps(recipe.to_dict(), sort_keys=True)
            runs = results.setdefault(key, {"recipe": recipe.to_dict(), "runs": {}})["runs"]
            for seed in args.seeds:
                if str(seed) in runs:
                    continue
                start = time.perf_counter()
                matcher = SceneGraphMatcher("sgm").fit(
                    train, recipe=recipe, word_vectors=args.word_vectors, seed=seed, progress=False
                )
                seconds = time.perf_counter() - start
                runs[str(seed)] = {**matcher.evaluate(dev), "seconds": seconds}
                args.out.write_text(json.dumps(results, indent=1) + "\n")
            print_row(table, row, [runs[str(seed)] for seed in args.seeds])
    print(f"{torch.get_num_threads()} threads, {args.precision}; written to {args.out}")


def print_row(table: str, row: str, runs: list[dict]) -> None:
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
    print(f"| {table} | {row} | {' | '.join(cells)} | {rsum} | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
