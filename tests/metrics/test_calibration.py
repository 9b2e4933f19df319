"""Chances of scores, against plain float64 loops."""

import math
import random

import pytest
import torch

from pyg_sgm.metrics import Logistic, calibration_error, fit_logistic


def pairs(slope: float, offset: float, ceiling: float, count: int = 600) -> torch.Tensor:
    """Scores of which those of own pairs come as often as the curve has it."""
    generator = random.Random(0)
    own, others = [], []
    while len(own) < count:
        score = generator.gauss(0.0, 1.0)
        chance = ceiling / (1 + math.exp(-(slope * score + offset)))
        (own if generator.random() < chance else others).append(score)
    # As many images as texts, so each text has (count - 1) others.
    scores = torch.empty(count, count, dtype=torch.float64)
    pool = torch.tensor(others, dtype=torch.float64)
    picks = torch.randint(len(pool), (count, count), generator=torch.Generator().manual_seed(0))
    scores[:] = pool[picks]
    scores[range(count), range(count)] = torch.tensor(own, dtype=torch.float64)
    return scores


def likelihood(scores: torch.Tensor, curve: Logistic) -> float:
    """Log of the chance of all truths, by the formula."""
    total = 0.0
    for i, row in enumerate(scores.tolist()):
        for t, score in enumerate(row):
            p = curve.ceiling / (1 + math.exp(-(curve.slope * score + curve.offset)))
            total += math.log(p if i == t else 1 - p)
    return total


def test_nothing_near_the_fit_is_likelier() -> None:
    scores = pairs(3.0, -2.0, 0.7, 120)
    curve = fit_logistic(scores, torch.arange(120))
    best = likelihood(scores, curve)
    for slope, offset, ceiling in (
        (1.05, 0, 0),
        (0.95, 0, 0),
        (1, 0.1, 0),
        (1, -0.1, 0),
        (1, 0, -0.02),
    ):
        other = Logistic(
            curve.slope * slope, curve.offset + offset, min(1.0, curve.ceiling + ceiling)
        )
        assert likelihood(scores, other) < best
    assert likelihood(scores, Logistic(1.0, -3.0)) < best


def test_chances_are_the_shares() -> None:
    """What is drawn with a ceiling is found with it; without others there is none."""
    scores = pairs(3.0, -2.0, 0.7)
    curve = fit_logistic(scores, torch.arange(600))
    chances = torch.tensor([[curve.probability(s) for s in row] for row in scores[:50].tolist()])
    truth = torch.arange(50)[:, None] == torch.arange(600)
    assert calibration_error(chances, truth) < 2e-4
    assert chances.sum() == pytest.approx(50, rel=0.15)


def test_scores_without_overlap() -> None:
    scores = torch.eye(30) + 0.01 * torch.rand(30, 30, generator=torch.Generator().manual_seed(1))
    curve = fit_logistic(scores, torch.arange(30))
    assert 0 < curve.slope < math.inf
    assert curve.probability(1.0) > 0.9
    assert curve.probability(0.01) < 0.01


def test_the_fit_follows_the_scale_of_scores() -> None:
    scores = pairs(3.0, -2.0, 0.7, 120)
    one, other = (fit_logistic(s, torch.arange(120)) for s in (scores, 100 * scores - 7))
    for score in (-1.0, 0.0, 1.0, 2.0):
        assert other.probability(100 * score - 7) == pytest.approx(one.probability(score), rel=1e-3)


def test_inverse() -> None:
    curve = Logistic(5.0, -3.0, 0.8)
    for chance in (1e-6, 0.1, 0.5, 0.79):
        assert curve.probability(curve.score_at(chance)) == pytest.approx(chance, rel=1e-6)
    assert curve.score_at(0.0) == -math.inf
    assert curve.score_at(0.8) == curve.score_at(1.0) == math.inf
    assert curve.probability(-math.inf) == 0
    assert curve.probability(1e9) == 0.8
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            curve.score_at(wrong)


def test_calibration_error() -> None:
    generator = torch.Generator().manual_seed(0)
    p, y = torch.rand(500, generator=generator), torch.rand(500, generator=generator) < 0.3
    expected = 0.0
    for b in range(15):
        members = [i for i in range(500) if b / 15 <= float(p[i]) < (b + 1) / 15]
        if members:
            chance = sum(float(p[i]) for i in members) / len(members)
            share = sum(bool(y[i]) for i in members) / len(members)
            expected += len(members) / 500 * abs(chance - share)
    assert calibration_error(p, y) == pytest.approx(expected, abs=1e-6)
    assert calibration_error(torch.ones(3), torch.ones(3)) == 0
    assert calibration_error(torch.ones(3), torch.zeros(3)) == 1


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="two images"):
        fit_logistic(torch.zeros(1, 1), torch.tensor([0]))
    with pytest.raises(ValueError, match="finite"):
        fit_logistic(torch.full((2, 2), -torch.inf), torch.tensor([0, 1]))
