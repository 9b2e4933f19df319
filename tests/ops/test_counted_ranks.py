"""Ranks against a sort."""

import pytest
import torch

from pyg_sgm.ops import lowest_tie, ranks, stream_ranks


@pytest.mark.parametrize("levels", [3, 1000])
def test_equals_sort(levels: int) -> None:
    """With few levels most scores are tied, and the ground truth comes last among equals."""
    generator = torch.Generator().manual_seed(levels)
    image_of_text = torch.arange(40) // 5
    image_of_text = image_of_text[torch.randperm(40, generator=generator)]
    scores = torch.randint(-levels, levels, (8, 40), generator=generator).float()
    image_ranks, text_ranks = ranks(scores, image_of_text)
    for t in range(40):
        right = int(image_of_text[t])
        wrong_first = sorted(range(8), key=lambda i: (-float(scores[i, t]), i == right))
        assert int(text_ranks[t]) == 1 + wrong_first.index(right)
    for i in range(8):
        wrong_first = sorted(
            range(40), key=lambda t: (-float(scores[i, t]), int(image_of_text[t]) == i)
        )
        first = next(n for n, t in enumerate(wrong_first) if int(image_of_text[t]) == i)
        assert int(image_ranks[i]) == 1 + first


def test_bad_input() -> None:
    scores = torch.zeros(2, 3)
    scores[1, 2] = torch.nan
    with pytest.raises(ValueError, match=r"scores\[1, 2\] is NaN"):
        ranks(scores, torch.tensor([0, 0, 1]))
    with pytest.raises(ValueError, match="image 1 has no text"):
        ranks(torch.zeros(2, 3), torch.tensor([0, 0, 0]))
    with pytest.raises(ValueError, match=r"expected \(3,\)"):
        ranks(torch.zeros(2, 3), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="0 to 1"):
        ranks(torch.zeros(2, 3), torch.tensor([0, 1, 2]))


@pytest.mark.parametrize("block", [(3, 7), (8, 40), (100, 100)])
@pytest.mark.parametrize("levels", [3, 1000])
def test_stream_equals_matrix(block: tuple[int, int], levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    image_of_text = (torch.arange(40) // 5)[torch.randperm(40, generator=generator)]
    scores = torch.randint(-levels, levels, (8, 40), generator=generator).float()
    scores[2] = -torch.inf
    shapes = []

    def score(images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        shapes.append((len(images), len(texts)))
        return scores[images][:, texts]

    ranking = stream_ranks(score, 8, image_of_text, k=4, block=block)
    image_ranks, text_ranks = ranks(scores, image_of_text)
    assert torch.equal(ranking.image_ranks, image_ranks)
    assert torch.equal(ranking.text_ranks, text_ranks)
    assert torch.equal(ranking.top_text_scores, scores.topk(4, 1).values)
    assert torch.equal(ranking.top_image_scores, scores.t().topk(4, 1).values)
    assert torch.equal(scores.gather(1, ranking.top_texts), ranking.top_text_scores)
    assert torch.equal(scores.t().gather(1, ranking.top_images), ranking.top_image_scores)
    assert all(len(set(row.tolist())) == 4 for row in ranking.top_texts)
    assert max(i for i, _ in shapes) <= block[0]


def test_stream_of_little() -> None:
    one = stream_ranks(lambda i, t: torch.zeros(len(i), len(t)), 1, torch.tensor([0]))
    assert one.image_ranks.tolist() == one.text_ranks.tolist() == [1]
    assert one.top_images.tolist() == [[0]]
    none = stream_ranks(lambda i, t: torch.zeros(len(i), len(t)), 0, torch.tensor([]).long())
    assert none.top_images.shape == (0, 0)


def test_stream_names_nan() -> None:
    scores = torch.zeros(2, 3)
    scores[1, 0] = torch.nan
    with pytest.raises(ValueError, match=r"scores\[1, 0\] is NaN"):
        stream_ranks(lambda i, t: scores[i][:, t], 2, torch.tensor([0, 0, 1]), block=(1, 2))


def test_infinite_scores_are_no_nan() -> None:
    scores = torch.tensor([[torch.inf, -torch.inf], [-torch.inf, torch.inf]])
    assert ranks(scores, torch.tensor([0, 1]))[0].tolist() == [1, 1]


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_what_differs_by_rounding_is_equal(scale: float) -> None:
    """Blocks of another shape are rounded otherwise, whatever the unit of the scores."""

    def score(images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), len(texts)), 0.3 * scale * (1 - 1e-7 * len(texts)))

    ranking = stream_ranks(score, 6, torch.arange(6), block=(4, 5))
    assert ranking.image_ranks.tolist() == ranking.text_ranks.tolist() == [6] * 6
    scores = scale * torch.tensor([[0.3, 0.2999], [0.2, 0.2]])
    assert ranks(scores, torch.tensor([0, 1]))[0].tolist() == [1, 2]


def test_lowest_tie() -> None:
    truth = torch.tensor([0.0, 1.0, -3.0, torch.inf, -torch.inf], dtype=torch.float64)
    lowest = torch.tensor([-0.8e-5, 1 - 1e-5, -3 - 3e-5, torch.inf, -torch.inf]).double()
    torch.testing.assert_close(lowest_tie(truth), lowest, rtol=0, atol=1e-6)
    assert lowest_tie(torch.empty(0)).shape == (0,)
