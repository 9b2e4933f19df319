"""What do trained runs reach on photos that they have not seen? Recalls and the probe of each.

    pyg-sgm graphs photos --out photos.sg --pairs 5 --detector ... --backbone ...
    pyg-sgm train sgm --recipe photos --data flickr8k:FOLDER --graphs photos.sg --dev-every 0 \
        --out runs/sgm
    pyg-sgm train sgm --recipe photos --set variant=oom ... --out runs/oom
    python benchmarks/photos.py --runs SGM=runs/sgm OOM=runs/oom --data flickr8k:FOLDER \
        --split dev --graphs photos.sg

Rows of other runs stay in the output, so that seeds can be added one by one. Folders joined by +
are one row, of the sum of their scores.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.evaluation import probe_relations
from pyg_sgm.io import read_json, write_json
from pyg_sgm.models import QueryBank
from pyg_sgm.retrieval import SceneGraphMatcher, evaluate_sum, with_graphs, with_parses
from pyg_sgm.text import reversible_pairs


def measured(
    matchers: Sequence[SceneGraphMatcher],
    dataset: SceneGraphDataset,
    reversible: frozenset[tuple[str, str]] | None,
) -> dict[str, Any]:
    """Recalls of the sum of the scores, and the probe of a single run if there are reversible
    pairs."""
    result: dict[str, Any] = {"unit": "fraction", **evaluate_sum(matchers, dataset)}
    if reversible is not None and len(matchers) == 1:
        probes = probe_relations(matchers[0], dataset, reversible=reversible)
        result["probe"] = {probe.kind: probe.to_dict() for probe in probes}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--runs", nargs="+", required=True, help="NAME=FOLDER of each run, or NAME=FOLDER+FOLDER"
    )
    parser.add_argument("--data", required=True, help="as for pyg-sgm train")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--graphs", type=Path, required=True, help="folder of the graphs of photos")
    parser.add_argument("--parses", type=Path, help="file of the parses of captions without graphs")
    parser.add_argument("--no-probe", action="store_true", help="recalls alone, which are quicker")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/photos.json"))
    args = parser.parse_args()

    dataset = with_parses(open_dataset(args.data, args.split), args.parses)
    dataset = with_graphs(dataset, args.graphs)
    # What is reversible is read from the training captions, not from those that are measured.
    train = with_parses(open_dataset(args.data, "train"), args.parses)
    reversible = reversible_pairs(train.texts)
    for row in args.runs:
        name, _, folders = row.partition("=")
        runs = [Path(folder) for folder in folders.split("+")]
        matchers = [SceneGraphMatcher.from_pretrained(run) for run in runs]
        asked = [read_json(run / "run.json", dict) for run in runs]
        epochs = []
        for run in runs:
            with (run / "logs/metrics.csv").open(encoding="utf-8") as file:
                epochs += [float(epoch["seconds"]) for epoch in csv.DictReader(file)]
        pairs = None if args.no_probe else reversible
        result = {
            **measured(matchers, dataset, pairs),
            "epochs": len(epochs),
            "seconds": sum(epochs),
            "precision": asked[0]["recipe"]["precision"],
        }
        if isinstance(matchers[0].model, QueryBank):
            for matcher in matchers:
                if isinstance(matcher.model, QueryBank):
                    matcher.model = matcher.model.model
            result["without_bank"] = measured(matchers, dataset, pairs)
        results = read_json(args.out, dict) if args.out.exists() else {}
        results.setdefault(name, {})["+".join(str(run["seed"]) for run in asked)] = result
        write_json(args.out, results)
        print(name, json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
