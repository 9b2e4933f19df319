import pytest
import torch

from pyg_sgm.losses import TripletLoss, triplet_loss
from tests.helpers.devices import host_waits


def reference(
    scores: torch.Tensor, image_of_text: list[int], margin: float, hardest: bool, mask: bool
) -> float:
    """Pair by pair, from eq. 8 and eq. 9: each text with its image is a pair of the batch."""
    s = scores.double().tolist()
    total = 0.0
    for i, k in enumerate(image_of_text):
        others = [(j, m) for j, m in enumerate(image_of_text) if j != i and not (mask and m == k)]
        texts = [max(0.0, margin - s[k][i] + s[k][j]) for j, _ in others]
        images = [max(0.0, margin - s[k][i] + s[m][i]) for _, m in others]
        for costs in (texts, images):
            total += max(costs, default=0.0) if hardest else sum(costs)
    return total


@pytest.mark.parametrize("hardest", [True, False])
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("image_of_text", [[0, 1, 2], [0, 0, 1, 2, 2], [1, 0, 1], [0, 0]])
def test_against_reference(hardest: bool, mask: bool, image_of_text: list[int]) -> None:
    scores = torch.randn(max(image_of_text) + 1, len(image_of_text), dtype=torch.double)
    loss = triplet_loss(scores, torch.tensor(image_of_text), 0.2, hardest, mask)
    expected = reference(scores, image_of_text, 0.2, hardest, mask)
    assert float(loss) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("hardest", [True, False])
def test_gradcheck(hardest: bool) -> None:
    scores = torch.randn(3, 4, dtype=torch.double, requires_grad=True)
    index = torch.tensor([0, 1, 1, 2])
    assert torch.autograd.gradcheck(lambda s: triplet_loss(s, index, 0.2, hardest), (scores,))


@pytest.mark.parametrize("num_texts", [0, 1])
def test_no_negative_costs_nothing(num_texts: int) -> None:
    index = torch.zeros(num_texts, dtype=torch.long)
    assert float(triplet_loss(torch.ones(1, num_texts), index)) == 0


def test_warm_up_takes_the_sum_first() -> None:
    scores, index = torch.randn(4, 4), torch.arange(4)
    loss = TripletLoss(warmup_calls=2)
    values = [float(loss(scores, index)) for _ in range(3)]
    total, hardest = (float(triplet_loss(scores, index, hardest=h)) for h in (False, True))
    assert values == [total, total, hardest]
    assert float(TripletLoss(warmup_calls=2).eval()(scores, index)) == hardest


def test_collapse_is_noticed_and_forgotten() -> None:
    loss = TripletLoss(patience_calls=3)
    index = torch.arange(4)
    for _ in range(3):
        assert not loss.collapsed
        loss(torch.zeros(4, 4), index)
    assert loss.collapsed
    loss(torch.eye(4), index)
    assert not loss.collapsed


def test_no_collapse_without_a_margin() -> None:
    loss = TripletLoss(margin=0.0, patience_calls=1)
    assert float(loss(torch.eye(2), torch.arange(2))) == 0
    assert not loss.collapsed


def test_no_look_at_the_calls_without_warm_up() -> None:
    cpu = torch.device("cpu")
    for warmup_calls in (0, 3):
        loss = TripletLoss(warmup_calls=warmup_calls)
        with host_waits(cpu) as found:
            loss(torch.eye(2), torch.arange(2))
        assert found.get("triplet.py:forward", 0) == (warmup_calls > 0)


def test_no_collapse_during_warm_up() -> None:
    loss = TripletLoss(patience_calls=1, warmup_calls=5)
    for _ in range(5):
        loss(torch.zeros(2, 2), torch.arange(2))  # sum and maximum are equal here
    assert not loss.collapsed


def test_counts_are_part_of_the_state() -> None:
    loss = TripletLoss(patience_calls=1, warmup_calls=1)
    for _ in range(2):
        loss(torch.zeros(2, 2), torch.arange(2))
    again = TripletLoss(patience_calls=1, warmup_calls=1)
    again.load_state_dict(loss.state_dict())
    assert again.collapsed
