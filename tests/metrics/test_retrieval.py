import pytest
import torch

from pyg_sgm.metrics.retrieval import (
    fold_metrics,
    in_percent,
    median_rank,
    recall_at_k,
    retrieval_metrics,
)


def reference(scores: torch.Tensor, image_of_text: list[int]) -> dict[str, list[int]]:
    """Ranks by full sorting in plain Python, the worst among equals."""
    s = scores.tolist()
    num_images, num_texts = scores.shape
    i2t, t2i = [], []
    for k in range(num_images):
        own = [s[k][j] for j in range(num_texts) if image_of_text[j] == k]
        wrong = [s[k][j] for j in range(num_texts) if image_of_text[j] != k]
        i2t.append(1 + sum(w >= max(own) for w in wrong))
    for j in range(num_texts):
        truth = s[image_of_text[j]][j]
        t2i.append(sum(s[k][j] >= truth for k in range(num_images)))
    return {"i2t": i2t, "t2i": t2i}


@pytest.mark.parametrize("levels", [3, 1000])  # few levels: many ties
@pytest.mark.parametrize("image_of_text", [list(range(20)), [i // 3 for i in range(60)]])
def test_against_reference(levels: int, image_of_text: list[int]) -> None:
    num_images = max(image_of_text) + 1
    scores = torch.randint(-levels, levels, (num_images, len(image_of_text))).double()
    metrics = retrieval_metrics(scores, torch.tensor(image_of_text))
    rsum = 0.0
    for side, ranks in reference(scores, image_of_text).items():
        ranks.sort()
        half = len(ranks) // 2
        middle = ranks[half] if len(ranks) % 2 else (ranks[half - 1] + ranks[half]) / 2
        assert metrics[side]["medr"] == middle  # type: ignore[literal-required]
        for k in (1, 5, 10):
            expected = sum(rank <= k for rank in ranks) / len(ranks)
            assert metrics[side][f"r{k}"] == pytest.approx(expected)  # type: ignore[literal-required]
            rsum += expected
    assert metrics["rsum"] == pytest.approx(rsum)


def test_negative_scores_count_like_any() -> None:
    scores = torch.eye(4) - 10
    assert retrieval_metrics(scores, torch.arange(4))["rsum"] == 6


def test_a_constant_score_finds_nothing() -> None:
    metrics = retrieval_metrics(torch.zeros(20, 20), torch.arange(20))
    assert metrics["rsum"] == 0
    assert metrics["t2i"]["medr"] == 20


def test_order_of_images_and_texts_does_not_matter() -> None:
    scores, index = torch.randn(7, 14), torch.arange(7).repeat(2)
    images, texts = torch.randperm(7), torch.randperm(14)
    moved = retrieval_metrics(scores[images][:, texts], images.argsort()[index][texts])
    assert moved == retrieval_metrics(scores, index)


def test_folds_are_the_mean_of_their_parts() -> None:
    scores, index = torch.randn(10, 30), torch.arange(10).repeat_interleave(3)
    folds = fold_metrics(scores, index, num_folds=2)
    parts = [
        retrieval_metrics(scores[:5, :15], index[:15]),
        retrieval_metrics(scores[5:, 15:], index[15:] - 5),
    ]
    assert folds["rsum"] == pytest.approx(sum(part["rsum"] for part in parts) / 2)
    for side in ("i2t", "t2i"):
        for key in ("r1", "r5", "r10", "medr"):
            expected = sum(part[side][key] for part in parts) / 2  # type: ignore[literal-required]
            assert folds[side][key] == pytest.approx(expected)  # type: ignore[literal-required]


def test_too_few_images_for_folds() -> None:
    with pytest.raises(ValueError, match="3 images cannot make 5 folds"):
        fold_metrics(torch.eye(3), torch.arange(3))


def test_nan_is_an_error_that_says_where() -> None:
    scores = torch.eye(3)
    scores[1, 2] = torch.nan
    with pytest.raises(ValueError, match=r"scores\[1, 2\] is NaN"):
        retrieval_metrics(scores, torch.arange(3))


@pytest.mark.parametrize("index", [[0, 1], [0, 1, 3], [0, 1, -1], [0, 0, 1]])
def test_ground_truth_that_does_not_fit(index: list[int]) -> None:
    with pytest.raises(ValueError, match="image"):
        retrieval_metrics(torch.eye(3), torch.tensor(index))


def test_percent_is_for_recalls_alone() -> None:
    metrics = retrieval_metrics(torch.eye(4).flip(0), torch.arange(4))
    shown = in_percent(metrics)
    assert shown["rsum"] == pytest.approx(100 * metrics["rsum"])
    assert shown["i2t"] == {"r1": 0.0, "r5": 100.0, "r10": 100.0, "medr": metrics["i2t"]["medr"]}


def test_recall_and_median() -> None:
    ranks = torch.tensor([1, 5, 6, 100])
    assert recall_at_k(ranks, 5) == 0.5
    assert median_rank(ranks) == 5.5
    assert median_rank(ranks[:3]) == 5
    assert median_rank(torch.ones(2**24 + 1, dtype=torch.uint8)) == 1
