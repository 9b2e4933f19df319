"""Ranks against a sort."""

import pytest
import torch

from pyg_sgm.ops import ranks


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
