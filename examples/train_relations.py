"""Trains the relation head on boxes, labels and relations of images, and writes its weights.

    python examples/train_relations.py --data vg150:DATA/vg150 --vectors DATA/glove100.txt.gz \
        --out pyg_sgm/vision/weights/relations.safetensors

``vg150:FOLDER`` holds ``objects.json``, ``predicates.json`` and ``train.json.gz`` (Visual Genome),
``vrd:FOLDER`` holds ``objects.txt``, ``predicates.txt``, ``annotations_train.json.gz`` and
``train_image_metadata.json.gz`` (Visual Relationship Detection). Images are sorted by name; each
whose position is a multiple of 5 is held out and scored once at the end. For choices, ``--tune``
takes the same fifth of the rest instead, and the held-out images stay unseen.
"""

import argparse
import gzip
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pyg_sgm.data import Vocabulary, word_vectors
from pyg_sgm.data.records import ImageRecord, image_record
from pyg_sgm.vision.coco import COCO_LABELS
from pyg_sgm.vision.relation_network import RelationNetwork, pair_geometry
from pyg_sgm.vision.relations import PairScores, RelationHead

SAME = {"rid": "ride", "on front of": "in front of", "inside of": "inside", "beside": "next to"}
RAREST = 20  # relations that a predicate of vg150 has at least
SAME_OBJECT = 0.7  # overlap above which two boxes of one label in vg150 are one object
NEGATIVES = 3  # pairs without a relation to each relation, drawn anew every epoch


def merged(predicate: str) -> str:
    """A predicate of vg150 without article and copula: "on a" and "be on" are "on"."""
    name = predicate.removeprefix("be ").removesuffix(" a")
    return SAME.get(name, name)


def read_vg150(folder: Path) -> list[ImageRecord]:
    """Graphs of vg150; the size of an image is unknown and taken from the reach of its boxes."""
    labels = json.loads((folder / "objects.json").read_text())
    predicates = [merged(name) for name in json.loads((folder / "predicates.json").read_text())]
    with gzip.open(folder / "train.json.gz", "rt") as file:
        images = dict(json.load(file))
    records = []
    for name in sorted(images):
        objects, relations = images[name]["objs"], images[name]["rels"]
        names = [labels[o["cls"]] for o in objects]
        boxes = np.array([o["bbox"] for o in objects], dtype=np.float64).reshape(-1, 4)
        first = [
            next(j for j in range(i + 1) if names[j] == names[i] and overlap(*boxes[[i, j]]))
            for i in range(len(objects))
        ]
        kept = sorted(set(first))
        number = {j: at for at, j in enumerate(kept)}
        triples = {
            (number[first[r["sub"]]], predicates[p], number[first[r["obj"]]])
            for r in relations
            for p in r["pred"]
        }
        records.append(
            image_record(
                [names[j] for j in kept],
                boxes[kept],
                sorted((s, p, o) for s, p, o in triples if s != o),
                size=tuple(boxes[:, 2:].max(axis=0)) if len(boxes) else None,
                id=name,
            )
        )
    count: dict[str, int] = {}
    for record in records:
        for _, predicate, _ in record.relations:
            count[predicate] = count.get(predicate, 0) + 1
    return [
        image_record(r.objects, r.boxes, [t for t in r.relations if count[t[1]] >= RAREST], id=r.id)
        for r in records
    ]


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(sides[0], 0) * max(sides[1], 0)
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    return shared >= SAME_OBJECT * union


def read_vrd(folder: Path) -> list[ImageRecord]:
    """Graphs of VRD as annotated, relations that are there twice included."""
    labels = (folder / "objects.txt").read_text().splitlines()
    predicates = (folder / "predicates.txt").read_text().splitlines()
    with gzip.open(folder / "annotations_train.json.gz", "rt") as file:
        images = json.load(file)
    with gzip.open(folder / "train_image_metadata.json.gz", "rt") as file:
        metadata = json.load(file)
    records = []
    for name in sorted(images):
        number: dict[tuple, int] = {}  # of an object: label, box, and 1 for a second one like it
        relations = []
        for relation in images[name]:
            ends: list[int] = []
            for end in (relation["subject"], relation["object"]):
                top, bottom, left, right = end["bbox"]
                node = labels[end["category"]], left, top, right, bottom
                # A few relations are of a thing and itself: taken as of two in one place.
                second = number.get((*node, 0)) in ends
                ends.append(number.setdefault((*node, int(second)), len(number)))
            relations.append((ends[0], predicates[relation["predicate"]], ends[1]))
        boxes = np.array([box for _, *box, _ in number], dtype=np.float64).reshape(-1, 4)
        size = [metadata[name]["width"], metadata[name]["height"]]
        size = np.vstack([boxes[:, 2:], size]).max(axis=0)  # that of one image is too small
        records.append(
            image_record(
                [label for label, *_ in number], boxes, relations, size=tuple(size), id=name
            )
        )
    return records


READERS = {"vg150": read_vg150, "vrd": read_vrd}


def split(records: list[ImageRecord]) -> tuple[list[ImageRecord], list[ImageRecord]]:
    """Training images, and the fifth that is held out."""
    return [r for at, r in enumerate(records) if at % 5], records[::5]


def new_head(records: Sequence[ImageRecord], vectors: Path) -> RelationHead:
    """An untrained head for the labels and predicates of some images, and the labels of COCO."""
    labels = sorted({label for r in records for label in r.objects})
    predicates = sorted({predicate for r in records for _, predicate, _ in r.relations})
    known = labels + [label for label in COCO_LABELS if label not in labels]
    table, found = word_vectors(Vocabulary(known), vectors)
    found[: len(labels) + 1] = True  # a label of the data also has a vector of its own
    known = [label for label, has in zip(known, found[1:].tolist(), strict=True) if has]
    network = RelationNetwork(len(labels) + 1, len(predicates), table.size(1))
    return RelationHead(network, known, table[found][1:], predicates)


@dataclass
class Pairs:
    """The objects of all images in one row, and pairs of them."""

    label: Tensor  # [num_objects]
    boxes: Tensor  # [num_objects, 4]
    subject: Tensor  # [num_relations]
    object: Tensor  # [num_relations]
    predicate: Tensor  # [num_relations]
    unrelated: Tensor  # [2, num_unrelated]

    @classmethod
    def of(cls, records: Sequence[ImageRecord], head: RelationHead) -> "Pairs":
        label_of = {label: at for at, label in enumerate(head.labels, start=1)}
        class_of = {name: at for at, name in enumerate(head.predicates)}
        labels, relations, unrelated, start = [], [], [], 0
        for record in records:
            related = {(s, o) for s, _, o in record.relations}
            labels += [label_of[label] for label in record.objects]
            relations += [(start + s, class_of[p], start + o) for s, p, o in record.relations]
            count = len(record.objects)
            unrelated += [
                (start + s, start + o)
                for s in range(count)
                for o in range(count)
                if s != o and (s, o) not in related
            ]
            start += count
        boxes = np.concatenate([r.boxes for r in records if len(r.objects)])
        subject, predicate, object = torch.tensor(relations).t()
        return cls(
            torch.tensor(labels),
            torch.from_numpy(boxes).float(),
            *(subject, object, predicate),
            torch.tensor(unrelated).t(),
        )


def mirrored(boxes: Tensor) -> Tensor:
    left, top, right, bottom = boxes.t()
    return torch.stack([1 - right, top, 1 - left, bottom], dim=1)


def mirror_classes(predicates: Sequence[str]) -> Tensor:
    """Class of each predicate in the mirror: left is right."""
    place = {name: at for at, name in enumerate(predicates)}
    turn = {"left": "right", "right": "left"}
    names = [" ".join(turn.get(word, word) for word in name.split()) for name in predicates]
    return torch.tensor([place.get(name, at) for at, name in enumerate(names)])


def train(
    head: RelationHead,
    records: Sequence[ImageRecord],
    epochs: int = 12,
    batch_size: int = 256,
    lr: float = 1e-3,
) -> None:
    """Trains the head's network in place; its weights are a running average of the steps'."""
    pairs = Pairs.of(records, head)
    network = head.network
    geometry = pair_geometry(pairs.boxes[pairs.subject], pairs.boxes[pairs.object])
    network.geometry_mean.copy_(geometry.mean(dim=0))
    network.geometry_std.copy_(geometry.std(dim=0) + 1e-3)
    vectors = torch.cat([head.vectors.new_zeros(1, head.vectors.size(1)), head.vectors])
    mirror = mirror_classes(head.predicates)

    count = len(pairs.subject)
    drawn = min(NEGATIVES * count, pairs.unrelated.size(1))
    weight = pairs.unrelated.size(1) / drawn  # of a drawn pair, so that probabilities are true
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-2)
    steps = epochs * (count // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps, pct_start=0.1)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    )
    start = time.perf_counter()
    for epoch in range(epochs):
        network.train()
        total = 0.0
        order = torch.randperm(count)
        negative = torch.randperm(pairs.unrelated.size(1))[:drawn]
        for step in range(count // batch_size):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            others = pairs.unrelated[:, negative[step :: count // batch_size]]
            subject = torch.cat([pairs.subject[chosen], others[0]])
            object = torch.cat([pairs.object[chosen], others[1]])
            objects, place = torch.cat([subject, object]).unique(return_inverse=True)
            boxes, label, truth = (
                pairs.boxes[objects],
                pairs.label[objects],
                pairs.predicate[chosen],
            )
            if random.random() < 0.5:
                boxes, truth = mirrored(boxes), mirror[truth]
            x = network.embed(label, vectors[label])
            predicate, related = network(x, boxes, *place.view(2, -1))
            is_related = torch.arange(len(related)) < len(chosen)
            value = F.cross_entropy(predicate[: len(chosen)], truth, label_smoothing=0.05)
            value = value + F.binary_cross_entropy_with_logits(
                related, is_related.float(), torch.where(is_related, 1.0, weight)
            )
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            total += value.item()
        mean = total / (count // batch_size)
        print(
            f"epoch {epoch + 1}: loss {mean:.3f}, {time.perf_counter() - start:.0f} s", flush=True
        )
    network.load_state_dict(average.module.state_dict())
    network.eval()


def keys(pairs: PairScores) -> list[tuple[int, int, int]]:
    columns = (pairs.image, pairs.subject, pairs.object)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def gold_rows(pairs: PairScores, records: Sequence[ImageRecord]) -> Tensor:
    """Row of each annotated relation's pair among all pairs."""
    row = {pair: at for at, pair in enumerate(keys(pairs))}
    return torch.tensor([row[i, s, o] for i, r in enumerate(records) for s, _, o in r.relations])


def predicate_recall(
    scores: Tensor, records: Sequence[ImageRecord], predicates: Sequence[str]
) -> dict[str, float]:
    """Of the annotated relations, how many have their predicate among the k best of their pair.

    A pair with two predicates counts twice, so top-1 cannot reach 1. A predicate the head does not
    know is missed.

    Args:
        scores: Score of each predicate for the pair of each relation, ``[num_relations, classes]``.
    """
    place = {name: at for at, name in enumerate(predicates)}
    truth = torch.tensor([place.get(p, -1) for r in records for _, p, _ in r.relations])
    own = scores.gather(1, truth.clamp(min=0)[:, None])
    rank = (scores > own).sum(dim=1) + len(predicates) * (truth < 0)
    return {f"top-{k}": round((rank < k).float().mean().item(), 4) for k in (1, 5)}


def pair_recall(
    pairs: PairScores, score: Tensor, records: Sequence[ImageRecord], k: int = 25
) -> dict[str, float]:
    """Whether a pair is related: average precision over all pairs, and recall of the k best.

    The recall is the mean over images with relations of the share of their related pairs that is
    among the image's ``k`` highest scores.
    """
    related = torch.zeros(len(score), dtype=torch.bool)
    related[gold_rows(pairs, records)] = True
    hits = related[score.argsort(descending=True)].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    recalls = []
    for image in pairs.image.unique():
        mine = pairs.image == image
        if related[mine].any():
            best = score[mine].topk(min(k, int(mine.sum()))).indices
            recalls.append((related[mine][best].sum() / related[mine].sum()).item())
    return {
        "average precision": round((precision * hits).sum().item() / hits.sum().item(), 4),
        f"recall@{k}": round(float(np.mean(recalls)), 4),
        "share of related pairs": round(related.double().mean().item(), 4),
    }


def measure(head: RelationHead, records: Sequence[ImageRecord]) -> dict[str, dict[str, float]]:
    pairs = head.pair_scores([r.objects for r in records], [r.boxes for r in records])
    gold = pairs.predicate[gold_rows(pairs, records)]
    return {
        "predicates": predicate_recall(gold, records, head.predicates),
        "pairs": pair_recall(pairs, pairs.related, records),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--data", required=True, help="vg150:FOLDER or vrd:FOLDER")
    arguments.add_argument("--vectors", type=Path, required=True)
    arguments.add_argument("--out", type=Path, help="file for the weights (default: none)")
    arguments.add_argument("--tune", action="store_true")
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--batch-size", type=int, default=256)
    arguments.add_argument("--lr", type=float, default=1e-3)
    arguments.add_argument("--seed", type=int, default=0)
    args = arguments.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)

    kind, _, folder = args.data.partition(":")
    records, held_out = split(READERS[kind](Path(folder)))
    if args.tune:
        records, held_out = split(records)
    head = new_head(records, args.vectors)
    train(head, records, args.epochs, args.batch_size, args.lr)
    print(json.dumps(measure(head, held_out), indent=1))
    if args.out:
        head.save(args.out)


if __name__ == "__main__":
    main()
