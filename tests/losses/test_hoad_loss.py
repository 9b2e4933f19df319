"""Eq. 11 of HOAD against a loop over pairs."""

import math

import pytest
import torch
from torch import Tensor

from pyg_sgm.losses import HOADLoss, hoad_loss

IMAGE_OF_TEXT = torch.tensor([0, 0, 1, 2])


def probabilities(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(3, 4, generator=generator, dtype=torch.float64) * 0.9 + 0.05


def reference(scores: Tensor, hardest: bool, margin: float, l1: float, l2: float) -> float:
    s = scores.tolist()
    image_of_text = IMAGE_OF_TEXT.tolist()
    total = 0.0
    for t, i in enumerate(image_of_text):
        texts = [s[i][u] for u in range(4) if image_of_text[u] != i]
        images = [s[k][t] for k in range(3) if k != i]
        for negatives in (texts, images):
            chosen = [max(negatives)] if hardest else negatives
            total += l1 * sum(max(n - s[i][t] + margin, 0.0) for n in chosen)
            total -= l2 * (math.log(s[i][t]) + sum(math.log(1 - n) for n in chosen))
    return total / len(image_of_text)


@pytest.mark.parametrize("negatives", ["all", "hardest"])
@pytest.mark.parametrize(("margin", "l1", "l2"), [(1.0, 1.0, 0.5), (0.2, 0.7, 0.0), (0.2, 0.0, 2)])
def test_equals_reference(negatives: str, margin: float, l1: float, l2: float) -> None:
    scores = probabilities()
    loss = HOADLoss(margin, l1, l2, negatives)  # type: ignore[arg-type]
    expected = reference(scores, negatives == "hardest", margin, l1, l2)
    assert float(loss(scores, IMAGE_OF_TEXT)) == pytest.approx(expected)


def test_random_negatives() -> None:
    scores = probabilities()
    every = hoad_loss(scores, IMAGE_OF_TEXT, negatives="all")
    # More are wanted than there are: all are taken.
    torch.testing.assert_close(hoad_loss(scores, IMAGE_OF_TEXT, num_negatives=10), every)
    torch.manual_seed(0)
    one = [hoad_loss(scores, IMAGE_OF_TEXT, num_negatives=1) for _ in range(200)]
    assert len({round(float(v), 9) for v in one}) > 2
    torch.manual_seed(0)
    assert torch.equal(hoad_loss(scores, IMAGE_OF_TEXT, num_negatives=1), one[0])


def test_gradcheck() -> None:
    scores = probabilities().requires_grad_()
    for negatives in ("all", "hardest"):
        loss = HOADLoss(margin=0.3, negatives=negatives)  # type: ignore[arg-type]
        assert torch.autograd.gradcheck(lambda s, f=loss: f(s, IMAGE_OF_TEXT), scores)


def test_scores_outside_the_unit_interval() -> None:
    scores = torch.tensor([[1.1, -0.1], [2.0, 0.0]], requires_grad=True)
    loss = hoad_loss(scores, torch.tensor([0, 1]))
    loss.backward()
    assert loss.isfinite()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_one_image_has_no_negatives() -> None:
    scores = torch.tensor([[0.5, 0.5]])
    loss = hoad_loss(scores, torch.tensor([0, 0]))
    torch.testing.assert_close(loss, torch.tensor(math.log(2)))
    assert hoad_loss(torch.rand(2, 0), torch.tensor([], dtype=torch.long)) == 0


def test_unknown_negatives() -> None:
    with pytest.raises(ValueError, match="known: random, hardest, all"):
        hoad_loss(probabilities(), IMAGE_OF_TEXT, negatives="semi")  # type: ignore[arg-type]
