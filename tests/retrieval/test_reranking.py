"""Candidates of others, put in order."""

import math

import pytest
import torch

from pyg_sgm.data import ImageRecord
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.retrieval import Query, SceneGraphMatcher, fit_weight, prior_part
from pyg_sgm.retrieval.reranking import WEIGHTS, first_rank
from pyg_sgm.training import Recipe


def world() -> SceneWorld:
    return SceneWorld("train", num_images=8, captions_per_image=2, feature_dim=0)


@pytest.fixture(scope="module")
def matcher() -> SceneGraphMatcher:
    matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
    return matcher.fit(world(), recipe=Recipe(epochs=1), progress=False)


def test_the_prior_in_the_unit_of_the_scores() -> None:
    """Against the formula in plain numbers."""
    scores, prior = [0.3, -0.1, 0.7, 0.2], [20.0, 35.0, 10.0, 80.0]

    def moments(values: list[float]) -> tuple[float, float]:
        mean = sum(values) / len(values)
        return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))

    (_, s), (mean, p) = moments(scores), moments(prior)
    expected = [2.5 * s * (value - mean) / p for value in prior]
    part = prior_part(torch.tensor(scores), torch.tensor(prior), 2.5)
    assert part.tolist() == pytest.approx(expected, abs=1e-6)
    scaled = prior_part(torch.tensor(scores), 1000 * torch.tensor(prior) - 7, 2.5)
    torch.testing.assert_close(scaled, part)
    for equal in (1.0, 0.1):  # the mean of tenths is none
        assert prior_part(torch.rand(6), torch.full((6,), equal).double()).tolist() == [0] * 6
    assert prior_part(torch.zeros(0), torch.zeros(0)).tolist() == []


def test_images_that_cannot_be_read_stay_out_of_the_means() -> None:
    scores, prior = torch.tensor([0.3, -torch.inf, 0.7]), torch.tensor([1.0, 500.0, 2.0])
    part = prior_part(scores, prior)
    torch.testing.assert_close(part[[0, 2]], prior_part(scores[[0, 2]], prior[[0, 2]]))
    assert (scores + part)[1] == -torch.inf


def test_wrong_priors() -> None:
    scores = torch.zeros(2)
    with pytest.raises(ValueError, match="prior: 3 scores for 2 candidates"):
        prior_part(scores, torch.zeros(3))
    with pytest.raises(ValueError, match="prior: a score is not finite"):
        prior_part(scores, torch.tensor([0.0, torch.nan]))
    for weight in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="weight: must be at least 0"):
            prior_part(scores, scores, weight)


def test_rerank(matcher: SceneGraphMatcher) -> None:
    data, prior = world(), [0.5, 0.9, 0.1, 0.2]
    some = data.select_images([6, 1, 3, 5])
    own = matcher.score(some, ["a dog chasing a cat"])[:, 0]
    alone = matcher.rerank("a dog chasing a cat", some)
    assert [c.index for c in alone] == own.argsort(descending=True).tolist()
    assert [c.previous_rank for c in alone] == [c.index + 1 for c in alone]
    both = matcher.rerank("a dog chasing a cat", some, prior, weight=0.7, k=2)
    total = own + prior_part(own, torch.tensor(prior), 0.7)
    assert [c.index for c in both] == total.argsort(descending=True)[:2].tolist()
    assert both[0].score == pytest.approx(float(total.max()))
    assert [c.previous_rank for c in both] == [[2, 1, 4, 3][c.index] for c in both]
    strong = matcher.rerank("a dog chasing a cat", some, prior, weight=1e6)
    assert [c.index for c in strong] == [1, 0, 3, 2]
    excluded = matcher.rerank(Query.of("a dog", exclude=["a cat"]), some)
    assert len(excluded) == 4
    unread = [*some.images, ImageRecord("unread", (), has_graph=False)]
    assert len(matcher.rerank("a dog", unread, [*prior, 99.0])) == 4
    with pytest.raises(ValueError, match="prior: 2 scores for 4 candidates"):
        matcher.rerank("a dog", some, [1.0, 2.0])


def test_the_weight_that_puts_most_first() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(200) % 20
    relevant = [torch.arange(20) == t for t in truth.tolist()]
    signal = [3 * each.float() for each in relevant]
    noisy = [s + torch.randn(20, generator=generator) * 2 for s in signal]
    clear = [s + torch.randn(20, generator=generator) * 0.5 for s in signal]

    def quality(weight: float) -> float:
        ranks = [
            first_rank(s + prior_part(s, p, weight), r)
            for s, p, r in zip(noisy, clear, relevant, strict=True)
        ]
        return sum(1 / rank for rank in ranks)

    weight = fit_weight(noisy, clear, relevant)
    assert weight > 1
    assert quality(weight) == max(quality(w) for w in WEIGHTS)
    assert fit_weight(clear, noisy, relevant) < 1
    noise = [torch.randn(20, generator=generator) for _ in signal]
    assert fit_weight(clear, noise, relevant) < 0.5
    with pytest.raises(ValueError, match="nothing to fit"):
        fit_weight(noisy, clear, [torch.zeros(20, dtype=torch.bool)] * 200)


def test_ties_count_against() -> None:
    assert first_rank(torch.tensor([0.5, 0.5, 0.1]), torch.tensor([True, False, False])) == 2
