"""How well does the relation head tell predicates, and related pairs from others?

    python benchmarks/relation_head.py --vg150 DATA/vg150 --vrd DATA/vrd \
        --vectors DATA/glove100.txt.gz --out benchmarks/results

The head of ``examples/train_relations.py``, trained with three seeds on the images that it does not
hold out, beside how frequent predicates and relations are between two labels in the same images.
Predicates: of the annotated relations, how many have their predicate among the k best of the head
for their pair. Pairs: all ordered pairs of objects of an image ranked by the probability that they
are related. Writes and prints ``relation_head.json``: mean and standard deviation over seeds.
"""

import argparse
import json
import random
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord
from pyg_sgm.vision.relations.annotations import hold_out, read_annotations
from pyg_sgm.vision.relations.head import RelationHead
from pyg_sgm.vision.relations.measures import (
    gold_rows,
    measure,
    pair_keys,
    pair_recall,
    predicate_recall,
)
from pyg_sgm.vision.relations.train import new_relation_head, train_relation_head

SEEDS = 3


def frequency(
    records: Sequence[ImageRecord], head: RelationHead
) -> tuple[Tensor, Tensor, dict[str, int]]:
    """How often each predicate is between two labels, and whether any is.

    Returns:
        Scores of the predicates ``[num_labels, num_labels, num_predicates]``: counts of the pair,
        of which ties are broken by what is usual for its subject and its object; the share of
        pairs that are related ``[num_labels, num_labels]``; the row of a label.
    """
    row = {label: at for at, label in enumerate(head.labels)}
    place = {name: at for at, name in enumerate(head.predicates)}
    counts = torch.zeros(len(row), len(row), len(place))
    pairs, related = torch.zeros(len(row), len(row)), torch.zeros(len(row), len(row))
    for record in records:
        labels = [row[label] for label in record.objects]
        for s, predicate, o in record.relations:
            counts[labels[s], labels[o], place[predicate]] += 1
        linked = {(s, o) for s, _, o in record.relations}
        for s in range(len(labels)):
            for o in range(len(labels)):
                if s != o:
                    pairs[labels[s], labels[o]] += 1
                    related[labels[s], labels[o]] += (s, o) in linked
    of_subject, of_object, overall = counts.sum(1), counts.sum(0), counts.sum((0, 1))
    usual = [c / c.sum(dim=-1, keepdim=True).clamp(min=1) for c in (of_subject, of_object)]
    ties = 0.3 * (usual[0][:, None] + usual[1][None]) + 1e-3 * overall / overall.sum()
    prior = related.sum() / pairs.sum()
    return counts + ties, (related + prior) / (pairs + 1), row


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--vg150", type=Path, required=True)
    arguments.add_argument("--vrd", type=Path, required=True)
    arguments.add_argument("--vectors", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    args = arguments.parse_args()
    results: dict = {"seeds": SEEDS}
    for kind in ("vg150", "vrd"):
        records, held_out = hold_out(read_annotations(kind, getattr(args, kind)))
        figures = []
        for seed in range(SEEDS):
            random.seed(seed)
            torch.manual_seed(seed)
            head = new_relation_head(records, args.vectors)
            train_relation_head(head, records)
            figures.append(measure(head, held_out))

        pairs = head.pair_scores([r.objects for r in held_out], [r.boxes for r in held_out])
        scores, likely, row = frequency(records, head)
        labels = [[row[label] for label in r.objects] for r in held_out]
        ends = [(labels[i][s], labels[i][o]) for i, s, o in pair_keys(pairs)]
        subject, other = torch.tensor(ends).t()
        gold = gold_rows(pairs, held_out)
        baseline = {
            "predicates": predicate_recall(
                scores[subject[gold], other[gold]], held_out, head.predicates
            ),
            "pairs": pair_recall(pairs, likely[subject, other], held_out),
        }
        results[kind] = {
            "images": [len(records), len(held_out)],
            "relations": [sum(len(r.relations) for r in part) for part in (records, held_out)],
            "head": {
                group: {name: spread([f[group][name] for f in figures]) for name in names}
                for group, names in figures[0].items()
            },
            "frequency of label pairs": baseline,
        }
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1)
    (args.out / "relation_head.json").write_text(text + "\n")
    print(text)


def spread(values: list[float]) -> list[float]:
    return [round(statistics.mean(values), 4), round(statistics.stdev(values), 4)]


if __name__ == "__main__":
    main()
