"""How well a relation head tells predicates, and related pairs from others."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord
from pyg_sgm.vision.relations.head import RelationHead
from pyg_sgm.vision.relations.pairs import PairScores


def pair_keys(pairs: PairScores) -> list[tuple[int, int, int]]:
    columns = (pairs.image, pairs.subject, pairs.object)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def gold_rows(pairs: PairScores, records: Sequence[ImageRecord]) -> Tensor:
    """Row of each annotated relation's pair among all pairs."""
    row = {pair: at for at, pair in enumerate(pair_keys(pairs))}
    return torch.tensor([row[i, s, o] for i, r in enumerate(records) for s, _, o in r.relations])


def predicate_recall(
    scores: Tensor, records: Sequence[ImageRecord], predicates: Sequence[str]
) -> dict[str, float]:
    """Of the annotated relations, how many have their predicate among the k best of their pair.

    A pair with two predicates counts twice, so top-1 cannot reach 1. A predicate the head does not
    know is missed.

    Args:
        scores (Tensor): Score of each predicate for the pair of each relation, ``[num_relations,
            classes]``.
        records (list of ImageRecord): Images whose relations the scores are of, in the same order.
        predicates (list of str): Name of each class.
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
    boxes = [r.boxes for r in records if r.boxes is not None]
    pairs = head.pair_scores([r.objects for r in records], boxes)
    gold = pairs.predicate[gold_rows(pairs, records)]
    return {
        "predicates": predicate_recall(gold, records, head.predicates),
        "pairs": pair_recall(pairs, pairs.related, records),
    }
