"""What do trained runs reach on photos that they have not seen? Recalls, recalls among photos
of the same objects, and the probe of each.

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
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.evaluation import probe_relations
from pyg_sgm.io import read_json, write_json
from pyg_sgm.metrics import retrieval_metrics
from pyg_sgm.models import QueryBank
from pyg_sgm.retrieval import SceneGraphMatcher, with_graphs, with_parses
from pyg_sgm.text import EDITS, EditKind, reversible_pairs
from pyg_sgm.text.words import noun_lemma

FEWEST = 3  # other photos with the same objects


def measured(
    matchers: Sequence[SceneGraphMatcher],
    dataset: SceneGraphDataset,
    reversible: frozenset[tuple[str, str]],
    kinds: Sequence[EditKind],
) -> dict[str, Any]:
    """Recalls of the sum of the scores, and the probe of a single run."""
    scores = torch.stack([matcher.score(dataset, dataset) for matcher in matchers]).sum(0)
    result: dict[str, Any] = {
        "unit": "fraction",
        **retrieval_metrics(scores, dataset.image_of_text),
        "same_objects": among_same_objects(scores, dataset),
    }
    if kinds and len(matchers) == 1:
        probes = probe_relations(matchers[0], dataset, reversible=reversible, kinds=kinds)
        result["probe"] = {probe.kind: probe.to_dict() for probe in probes}
    return result


def among_same_objects(scores: Tensor, dataset: SceneGraphDataset) -> dict[str, float | int]:
    """How a caption finds its photo among those whose captions name both objects of one of its
    relations, but say it of none of them: what the objects tell is the same for all.

    Args:
        scores (Tensor): ``[num_images, num_texts]``.
        dataset (SceneGraphDataset): Images, and texts with graphs.
    """
    named: defaultdict[str, set[int]] = defaultdict(set)
    said: defaultdict[int, set[tuple[str, str, str]]] = defaultdict(set)
    triplets: list[set[tuple[str, str, str]]] = []
    for image, text in zip(dataset.image_of_text.tolist(), dataset.texts, strict=True):
        nouns = [noun_lemma(phrase) for phrase in text.objects]
        triplets.append({(nouns[s], p, nouns[o]) for s, p, o in text.relations})
        said[image] |= triplets[-1]
        for noun in nouns:
            named[noun].add(image)
    wins = []  # shares of the other photos that score below the own one
    for number, (image, own) in enumerate(
        zip(dataset.image_of_text.tolist(), triplets, strict=True)
    ):
        for subject, predicate, object in sorted(own):
            others = [
                other
                for other in sorted((named[subject] & named[object]) - {image})
                if (subject, predicate, object) not in said[other]
            ]
            if subject != object and len(others) >= FEWEST:
                below = scores[others, number] < scores[image, number]
                wins.append(below.float().mean())
    if not wins:
        return {"cases": 0}
    ahead = torch.stack(wins)
    return {
        "ahead": float(ahead.mean()),
        "first": float((ahead == 1).float().mean()),
        "cases": len(wins),
    }


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
    parser.add_argument(
        "--kinds", nargs="*", choices=EDITS, default=EDITS, help="of the probe; none is quickest"
    )
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
        result = {
            **measured(matchers, dataset, reversible, args.kinds),
            "epochs": len(epochs),
            "seconds": sum(epochs),
            "precision": asked[0]["recipe"]["precision"],
        }
        if isinstance(matchers[0].model, QueryBank):
            for matcher in matchers:
                if isinstance(matcher.model, QueryBank):
                    matcher.model = matcher.model.model
            result["without_bank"] = measured(matchers, dataset, reversible, args.kinds)
        results = read_json(args.out, dict) if args.out.exists() else {}
        results.setdefault(name, {})["+".join(str(run["seed"]) for run in asked)] = result
        write_json(args.out, results)
        print(name, json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
