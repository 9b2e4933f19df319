"""Training of the relation head."""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pyg_sgm.data import ImageRecord, Vocabulary, word_vectors
from pyg_sgm.vision.detectors.coco import COCO_LABELS
from pyg_sgm.vision.relations.head import RelationHead
from pyg_sgm.vision.relations.network import RelationNetwork, pair_geometry

NEGATIVES = 3  # pairs without a relation to each relation, drawn again every epoch


def new_relation_head(
    records: Sequence[ImageRecord], vectors: str | os.PathLike[str]
) -> RelationHead:
    """An untrained head for the labels and predicates of some images, and the labels of COCO.

    Args:
        records (list of ImageRecord): Images with boxes and relations.
        vectors (str or PathLike): File of word vectors (:func:`pyg_sgm.data.read_word_vectors`).
    """
    labels = sorted({label for r in records for label in r.objects})
    predicates = sorted({predicate for r in records for _, predicate, _ in r.relations})
    known = labels + [label for label in COCO_LABELS if label not in labels]
    table, found = word_vectors(Vocabulary(known), vectors)
    found[: len(labels) + 1] = True  # a label of the data also has a vector of its own
    known = [label for label, has in zip(known, found[1:].tolist(), strict=True) if has]
    network = RelationNetwork(len(labels) + 1, len(predicates), table.size(1))
    return RelationHead(network, known, table[found][1:], predicates)


def train_relation_head(
    head: RelationHead,
    records: Sequence[ImageRecord],
    *,
    epochs: int = 12,
    batch_size: int = 256,
    lr: float = 1e-3,
    progress: Callable[[int, float], None] | None = None,
) -> None:
    """Trains the head's network in place; its weights are a running average of the steps'.

    Random numbers are those of :mod:`random` and :mod:`torch`.

    Args:
        head (RelationHead): What :func:`new_relation_head` gives.
        records (list of ImageRecord): Images with boxes and relations.
        epochs (int, optional): Passes over all relations. (default: :obj:`12`)
        batch_size (int, optional): Relations per step. (default: :obj:`256`)
        lr (float, optional): Highest learning rate. (default: :obj:`1e-3`)
        progress (callable, optional): Called after each epoch with its number, from 1, and the mean
            loss. (default: :obj:`None`)
    """
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
        if progress is not None:
            progress(epoch + 1, total / (count // batch_size))
    network.load_state_dict(average.module.state_dict())
    network.eval()


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
