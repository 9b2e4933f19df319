import math

import pytest
import torch

from pyg_sgm.losses import ContrastiveLoss, contrastive_loss


def reference(scores: torch.Tensor, image_of_text: list[int], temperature: float) -> float:
    """Query by query and positive by positive, in plain Python floats."""
    s = (scores.double() / temperature).tolist()
    num_images, num_texts = scores.shape
    of_images = []
    for k in range(num_images):
        own = [j for j in range(num_texts) if image_of_text[j] == k]
        rest = sum(math.exp(s[k][j]) for j in range(num_texts) if image_of_text[j] != k)
        if own:
            losses = [-math.log(math.exp(s[k][j]) / (math.exp(s[k][j]) + rest)) for j in own]
            of_images.append(sum(losses) / len(losses))
    of_texts = []
    for j in range(num_texts):
        rest = sum(math.exp(s[k][j]) for k in range(num_images))
        of_texts.append(-math.log(math.exp(s[image_of_text[j]][j]) / rest))
    return sum(of_images) / len(of_images) / 2 + sum(of_texts) / len(of_texts) / 2


@pytest.mark.parametrize(
    "image_of_text", [[0, 1, 2], [0, 0, 1, 2, 2, 2], [2, 0, 2, 1], [0, 0], [0, 2]]
)
def test_against_reference(image_of_text: list[int]) -> None:
    scores = torch.randn(max(image_of_text) + 1, len(image_of_text), dtype=torch.double)
    loss = contrastive_loss(scores, torch.tensor(image_of_text), 0.3)
    assert float(loss) == pytest.approx(reference(scores, image_of_text, 0.3), rel=1e-12)


def test_gradcheck() -> None:
    scores = torch.randn(3, 5, dtype=torch.double, requires_grad=True)
    temperature = torch.tensor(0.5, dtype=torch.double, requires_grad=True)
    index = torch.tensor([0, 0, 1, 2, 2])
    assert torch.autograd.gradcheck(
        lambda s, t: contrastive_loss(s, index, t), (scores, temperature)
    )


def test_order_of_texts_and_images_does_not_matter() -> None:
    scores, index = torch.randn(3, 5), torch.tensor([0, 0, 1, 2, 2])
    texts, images = torch.randperm(5), torch.randperm(3)
    position = images.argsort()
    moved = contrastive_loss(scores[images][:, texts], position[index][texts], 0.1)
    torch.testing.assert_close(moved, contrastive_loss(scores, index, 0.1))


def test_one_image_has_nothing_to_contrast() -> None:
    scores = torch.randn(1, 3, requires_grad=True)
    loss = contrastive_loss(scores, torch.tensor([0, 0, 0]), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert (scores.grad == 0).all()


def test_no_text() -> None:
    assert float(contrastive_loss(torch.zeros(2, 0), torch.tensor([], dtype=torch.long), 0.1)) == 0


def test_large_scores_stay_finite() -> None:
    scores = (1e4 * torch.randn(4, 4)).requires_grad_()
    contrastive_loss(scores, torch.arange(4), 0.01).backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_temperature_is_learned_within_bounds() -> None:
    loss = ContrastiveLoss(temperature=0.02)
    optimizer = torch.optim.SGD(loss.parameters(), lr=100.0)
    for _ in range(20):
        optimizer.zero_grad()
        loss(torch.eye(3) * 0.1, torch.arange(3)).backward()
        optimizer.step()
    assert loss.temperature.item() == pytest.approx(0.01)
    assert not list(
        filter(lambda p: p.requires_grad, ContrastiveLoss(learnable=False).parameters())
    )


@pytest.mark.parametrize("start", [0.02, 0.9])
def test_temperature_comes_back_from_its_bounds(start: float) -> None:
    loss = ContrastiveLoss(start)
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.1)
    away = 0.1 * torch.eye(3) if start < 0.1 else -0.1 * torch.eye(3)
    bound = []
    for scores in [away] * 150 + [-away] * 150:
        optimizer.zero_grad()
        (loss(scores, torch.arange(3)) + loss(scores, torch.arange(3))).backward()
        optimizer.step()
        bound.append(loss.temperature.item())
    assert bound[149] == pytest.approx(0.01 if start < 0.1 else 1)
    assert bound[-1] == pytest.approx(1 if start < 0.1 else 0.01)


@pytest.mark.parametrize("temperature", [0.0, -1.0, 2.0, math.nan])
def test_bad_temperature(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        ContrastiveLoss(temperature)
