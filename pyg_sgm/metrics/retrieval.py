"""Recall and median rank of retrieval in both directions. Recalls are fractions, from 0 to 1."""

from collections.abc import Sequence
from typing import Literal, TypedDict

import torch
from torch import Tensor

from pyg_sgm.ops import ranks

SIDES: tuple[Literal["i2t"], Literal["t2i"]] = ("i2t", "t2i")


class DirectionMetrics(TypedDict):
    """Recalls and median rank of one direction."""

    r1: float
    r5: float
    r10: float
    medr: float


class RetrievalMetrics(TypedDict):
    """Image to text (image queries), text to image, and the sum of the six recalls."""

    i2t: DirectionMetrics
    t2i: DirectionMetrics
    rsum: float


def recall_at_k(rank: Tensor, k: int) -> float:
    """Share of the queries whose ground truth is among the best :obj:`k`.

    Args:
        rank (LongTensor): Rank of the ground truth of every query, from 1, ``[num_queries]``.
        k (int): Number of candidates.

    Example:
        >>> import torch
        >>> recall_at_k(torch.tensor([1, 7, 3, 1]), k=5)
        0.75
    """
    return float((rank <= k).double().mean())


def median_rank(rank: Tensor) -> float:
    """Median rank; the mean of the middle two for an even number of queries.

    Args:
        rank (Tensor): Rank of the truth of each query, from 1, ``[num_queries]``.

    Example:
        >>> import torch
        >>> median_rank(torch.tensor([1, 7, 3, 2]))
        2.5
    """
    ordered = rank.sort().values  # `quantile` takes 2**24 at most
    middle = [ordered[(len(rank) - 1) // 2], ordered[len(rank) // 2]]
    return float(torch.stack(middle).double().mean())


def metrics_of_ranks(image_ranks: Tensor, text_ranks: Tensor) -> RetrievalMetrics:
    """R@1, R@5, R@10, median rank and rsum, from the ranks of :func:`pyg_sgm.ops.ranks`.

    Args:
        image_ranks (LongTensor): Rank of the best text of every image, ``[num_images]``.
        text_ranks (LongTensor): Rank of the image of every text, ``[num_texts]``.

    Example:
        >>> import torch
        >>> metrics_of_ranks(torch.tensor([1, 2]), torch.tensor([1, 1]))["i2t"]["r1"]
        0.5
    """
    i2t, t2i = (
        DirectionMetrics(
            r1=recall_at_k(rank, 1),
            r5=recall_at_k(rank, 5),
            r10=recall_at_k(rank, 10),
            medr=median_rank(rank),
        )
        for rank in (image_ranks, text_ranks)
    )
    rsum = sum(side["r1"] + side["r5"] + side["r10"] for side in (i2t, t2i))
    return RetrievalMetrics(i2t=i2t, t2i=t2i, rsum=rsum)


def retrieval_metrics(scores: Tensor, image_of_text: Tensor) -> RetrievalMetrics:
    """R@1, R@5, R@10, median rank and rsum of a score matrix.

    A query with several ground truths counts by its best one; ties, up to rounding,
    count against it: see :func:`pyg_sgm.ops.lowest_tie`.

    Args:
        scores (Tensor): Scores of all pairs, ``[num_images, num_texts]``.
        image_of_text (LongTensor): Image of every text, ``[num_texts]``.

    Raises:
        ValueError: If a score is NaN or the shapes do not fit.

    Example:
        >>> import torch
        >>> retrieval_metrics(torch.eye(3), torch.arange(3))["rsum"]
        6.0
    """
    return metrics_of_ranks(*ranks(scores, image_of_text))


def fold_metrics(scores: Tensor, image_of_text: Tensor, num_folds: int = 5) -> RetrievalMetrics:
    """Mean of the metrics over folds of consecutive images, as in the COCO 1K protocol.

    Args:
        scores (Tensor): Scores of all pairs, ``[num_images, num_texts]``.
        image_of_text (LongTensor): Image of every text, ``[num_texts]``.
        num_folds (int, optional): Number of folds. (default: :obj:`5`)

    Raises:
        ValueError: If there are fewer images than folds.

    Example:
        >>> import torch
        >>> fold_metrics(torch.eye(10), torch.arange(10))["t2i"]["r1"]
        1.0
    """
    if scores.size(0) < num_folds:
        raise ValueError(f"{scores.size(0)} images cannot make {num_folds} folds")
    folds = []
    for images in torch.arange(scores.size(0)).tensor_split(num_folds):
        first, last = int(images[0]), int(images[-1])
        texts = ((image_of_text >= first) & (image_of_text <= last)).nonzero().squeeze(1)
        fold = scores[first : last + 1][:, texts]
        folds.append(metrics_of_ranks(*ranks(fold, image_of_text[texts] - first)))
    return mean_metrics(folds)


def mean_metrics(folds: Sequence[RetrievalMetrics]) -> RetrievalMetrics:
    """Mean of the metrics of several parts of a collection, each counted once.

    Args:
        folds (Sequence): At least one.

    Example:
        >>> import torch
        >>> right, wrong = torch.eye(2), 1 - torch.eye(2)
        >>> parts = [retrieval_metrics(scores, torch.arange(2)) for scores in (right, wrong)]
        >>> mean_metrics(parts)["i2t"]["r1"]
        0.5
    """

    def mean(side: Literal["i2t", "t2i"], key: Literal["r1", "r5", "r10", "medr"]) -> float:
        return sum(fold[side][key] for fold in folds) / len(folds)

    i2t, t2i = (
        DirectionMetrics(
            r1=mean(side, "r1"), r5=mean(side, "r5"), r10=mean(side, "r10"), medr=mean(side, "medr")
        )
        for side in SIDES
    )
    return RetrievalMetrics(i2t=i2t, t2i=t2i, rsum=sum(fold["rsum"] for fold in folds) / len(folds))


def in_percent(metrics: RetrievalMetrics) -> RetrievalMetrics:
    """The same with recalls and their sum in percent, for printing.

    Args:
        metrics (dict): What the other functions of this module give.

    Example:
        >>> import torch
        >>> in_percent(retrieval_metrics(torch.eye(3), torch.arange(3)))["rsum"]
        600.0
    """
    i2t, t2i = (
        DirectionMetrics(
            r1=100 * side["r1"], r5=100 * side["r5"], r10=100 * side["r10"], medr=side["medr"]
        )
        for side in (metrics["i2t"], metrics["t2i"])
    )
    return RetrievalMetrics(i2t=i2t, t2i=t2i, rsum=100 * metrics["rsum"])


def pair_accuracy(true: Tensor, false: Tensor) -> float:
    """Share of the pairs whose first score is higher; equal ones, up to rounding, count half.

    Args:
        true (Tensor): Scores of what is right, ``[num_pairs]``.
        false (Tensor): Scores of what is wrong, ``[num_pairs]``.

    Raises:
        ValueError: If a score is NaN, there is no pair, or the shapes differ.

    Example:
        >>> import torch
        >>> pair_accuracy(torch.tensor([0.9, 0.3, 0.5]), torch.tensor([0.1, 0.3, 0.6]))
        0.5
    """
    if true.shape != false.shape or true.dim() != 1 or not len(true):
        raise ValueError(f"expected two vectors of scores, got {[*true.shape]}, {[*false.shape]}")
    return float(pair_wins(true, false).mean())


def pair_wins(true: Tensor, false: Tensor) -> Tensor:
    """1 where the first score of a pair is higher, 0.5 where both are equal up to rounding, else 0.

    Args:
        true (Tensor): Scores of what is right, of any shape.
        false (Tensor): Scores of what is wrong, of that shape.

    Raises:
        ValueError: If a score is NaN.

    Example:
        >>> import torch
        >>> pair_wins(torch.tensor([0.9, 0.3, 0.5]), torch.tensor([0.1, 0.3, 0.6]))
        tensor([1.0000, 0.5000, 0.0000], dtype=torch.float64)
    """
    if true.isnan().any() or false.isnan().any():
        raise ValueError("a score is NaN")
    # The same numbers summed in another order are not the same to the last bit.
    tie = true.isclose(false, rtol=1e-5, atol=1e-6)
    return (~tie & (true > false)).double().add(0.5 * tie.double())
