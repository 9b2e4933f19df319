"""Pairs of objects of many images, and the checks of what comes with them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

_TOLERANCE = 1e-3  # how far beyond the image rounding may place a box


@dataclass(frozen=True)
class PairScores:
    """All ordered pairs of objects of some images, and what the head says of them.

    Args:
        image (Tensor): Index of the image, ascending, ``[num_pairs]``.
        subject (Tensor): Index of the subject among the objects of its image, ``[num_pairs]``.
        object (Tensor): The same of the object, ``[num_pairs]``.
        predicate (Tensor): Probability of each predicate if there is a relation, ``[num_pairs,
            num_predicates]``.
        related (Tensor): Probability that there is a relation, ``[num_pairs]``.
    """

    image: Tensor
    subject: Tensor
    object: Tensor
    predicate: Tensor
    related: Tensor


def ordered_pairs(size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Image, first and second object ``[num_pairs]`` of all pairs of different objects.

    Args:
        size (Tensor): Objects of each image; they are numbered through.
    """
    start = size.cumsum(0) - size
    image = torch.repeat_interleave(size * size)
    at = torch.arange(len(image)) - (size * size).cumsum(0).sub(size * size)[image]
    first, second = start[image] + at // size[image], start[image] + at % size[image]
    different = first != second
    return image[different], first[different], second[different]


def best_pairs(confidence: Tensor, image: Tensor, num_best: int) -> Tensor:
    """Indices of the ``num_best`` most confident pairs of each image, best first."""
    order = confidence.argsort(descending=True, stable=True)
    order = order[image[order].argsort(stable=True)]
    _, group, count = image[order].unique_consecutive(return_inverse=True, return_counts=True)
    rank = torch.arange(len(order)) - (count.cumsum(0) - count)[group]
    return order[rank < num_best]


def checked_boxes(boxes: ArrayLike, count: int, image: int) -> Tensor:
    """Boxes as float32 ``[count, 4]``; an error names the image."""
    array = np.asarray(boxes, dtype=np.float32)
    if array.shape != (count, 4) and not (count == 0 and array.size == 0):
        raise ValueError(f"image {image}: boxes: expected [{count}, 4], got {list(array.shape)}")
    array = array.reshape(-1, 4)
    inside = (array >= -_TOLERANCE).all() and (array <= 1 + _TOLERANCE).all()
    if not (inside and (array[:, 2:] > array[:, :2]).all()):
        raise ValueError(f"image {image}: boxes: expected x1 < x2 and y1 < y2 in [0, 1]")
    return torch.from_numpy(array)


def checked_features(features: ArrayLike, count: int, channels: int, image: int) -> Tensor:
    """Region features as float32 ``[count, channels]``; an error names the image."""
    rows = torch.as_tensor(np.asarray(features, dtype=np.float32))
    if rows.shape != (count, channels) or not rows.isfinite().all():
        raise ValueError(
            f"image {image}: features: expected finite [{count}, {channels}], "
            f"got {list(rows.shape)}"
        )
    return rows


def flat_scores(
    labels: Sequence[Sequence[str]], scores: Sequence[ArrayLike]
) -> tuple[Tensor, Tensor]:
    """Scores of all objects in one row, and where each image begins in it."""
    if len(scores) != len(labels):
        raise ValueError(f"scores: expected one per image, {len(labels)}, got {len(scores)}")
    rows = [np.asarray(row, dtype=np.float32).reshape(-1) for row in scores]
    for image, row in enumerate(rows):
        if row.shape != (len(labels[image]),) or not np.isfinite(row).all():
            raise ValueError(f"image {image}: scores: expected {len(labels[image])} finite numbers")
    size = torch.tensor([len(row) for row in rows])
    return torch.from_numpy(np.concatenate([np.zeros(0, np.float32), *rows])), size.cumsum(0) - size
