"""From scores to chances that a pair belongs together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

BINS = 4096  # of scores, so that a fit takes no longer for more pairs
ALMOST_ONE = -1e-12  # largest log of a chance, whose complement has a log too


@dataclass(frozen=True)
class Logistic:
    r"""Chance that an image and a text belong together, of their score

    .. math:: p(s) = \frac{c}{1 + e^{-(a s + b)}}

    which rises with the score to a ceiling :math:`c \leq 1`: what is left of it is texts that fit
    another image as well.

    Args:
        slope (float): :math:`a > 0`.
        offset (float): :math:`b`.
        ceiling (float): :math:`c`.

    Example:
        >>> chance = Logistic(slope=2.0, offset=-1.0, ceiling=0.8)
        >>> chance.probability(0.5), chance.score_at(0.4)
        (0.4, 0.5)
    """

    slope: float
    offset: float
    ceiling: float = 1.0

    def probability(self, score: float) -> float:
        """The chance at a score.

        Args:
            score (float): Score of a pair; minus infinity gives 0.
        """
        return self.ceiling * (1 + math.tanh((self.slope * score + self.offset) / 2)) / 2

    def score_at(self, probability: float) -> float:
        """The least score with a chance; infinite if that is beyond the ceiling.

        Args:
            probability (float): Between 0 and 1.

        Raises:
            ValueError: If it is not.
        """
        if not 0 <= probability <= 1:
            raise ValueError(f"a probability lies between 0 and 1, got {probability}")
        if probability == 0:
            return -math.inf
        if probability >= self.ceiling:
            return math.inf
        share = probability / self.ceiling
        return (math.log(share / (1 - share)) - self.offset) / self.slope


def fit_logistic(scores: Tensor, image_of_text: Tensor) -> Logistic:
    """The logistic curve that makes what is true of all pairs most likely: a text belongs to its
    own image and to no other. As Platt has it, truths are pulled in a little, so that scores
    without an overlap have a fit.

    Args:
        scores (Tensor): Scores of all pairs, ``[num_images, num_texts]``.
        image_of_text (LongTensor): Image of every text, ``[num_texts]``.

    Raises:
        ValueError: If there are fewer than two images, no text, or scores that are not finite.

    Example:
        >>> scores = torch.tensor([[2.0, 0.1, 0.3], [0.2, 1.8, 0.0], [0.4, 0.3, 0.2]])
        >>> chance = fit_logistic(scores, torch.tensor([0, 1, 2]))
        >>> chance.probability(2.0) > 0.5 > chance.probability(0.3)
        True
    """
    if scores.size(0) < 2 or scores.size(1) < 1:
        raise ValueError("a calibration needs two images and a text")
    if not scores.isfinite().all():
        raise ValueError("a calibration needs finite scores")
    s = scores.double()
    true = torch.zeros_like(s, dtype=torch.bool)
    true[image_of_text, torch.arange(s.size(1))] = True
    low, high = float(s.min()), float(s.max())
    step = max((high - low) / BINS, 1e-12)
    cell = ((s - low) / step).long().clamp(max=BINS - 1)
    own = torch.bincount(cell[true], minlength=BINS).double()  # [BINS]
    other = torch.bincount(cell[~true], minlength=BINS).double()
    hit, miss = (own.sum() + 1) / (own.sum() + 2), 1 / (other.sum() + 2)
    yes, no = own * hit + other * miss, own * (1 - hit) + other * (1 - miss)
    z = (torch.arange(BINS).double() + 0.5 - BINS / 2) / BINS  # the bins' centers, in -0.5 to 0.5
    # Log of the slope, offset, and logit of the ceiling.
    at = torch.tensor([math.log(10.0), -5.0, 3.0], dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        log = logsigmoid(at[2]) + logsigmoid(at[0].exp() * z + at[1])
        log = log.clamp(max=ALMOST_ONE)
        return -(yes * log + no * torch.log1p(-log.exp())).sum() / own.sum()

    optimizer = torch.optim.LBFGS(
        [at],
        max_iter=500,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(closure)
    log_slope, offset, ceiling = at.detach().tolist()
    slope = math.exp(log_slope) / (step * BINS)
    middle = low + step * BINS / 2
    return Logistic(slope, offset - slope * middle, 1 / (1 + math.exp(-ceiling)))


def calibration_error(probabilities: Tensor, truth: Tensor, num_bins: int = 15) -> float:
    """Expected calibration error: the mean distance between chance and share of the true ones,
    over bins of equal width, weighted by how many answers are in each.

    Args:
        probabilities (Tensor): Chance of each answer, between 0 and 1, of any shape.
        truth (Tensor): Whether each is true, of the same shape.
        num_bins (int, optional): Number of bins. (default: :obj:`15`)

    Example:
        >>> chances = torch.tensor([0.9, 0.9, 0.1, 0.1])
        >>> round(calibration_error(chances, torch.tensor([True, True, False, True])), 3)
        0.25
    """
    p, y = probabilities.flatten().double(), truth.flatten().double()
    cell = (p * num_bins).long().clamp(max=num_bins - 1)
    sums = torch.zeros(2, num_bins, dtype=torch.float64)
    sums[0].index_add_(0, cell, p)
    sums[1].index_add_(0, cell, y)
    return float((sums[0] - sums[1]).abs().sum() / max(len(p), 1))
