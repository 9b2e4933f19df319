import math

import pytest
import torch

from pyg_sgm.losses import edit_loss


def reference(true: torch.Tensor, false: torch.Tensor, image_of_edit: list[int], m: float) -> float:
    """Edit by edit in plain Python floats."""
    total = 0.0
    for j, k in enumerate(image_of_edit):
        d = [float(true[i, j]) - float(false[i, j]) for i in range(len(true))]
        others = [x for i, x in enumerate(d) if i != k]
        mean = sum(others) / len(others)
        spread = math.sqrt(sum((x - mean) ** 2 for x in others) / len(others))
        total += math.log(1 + math.exp(m - (d[k] - mean) / spread))
    return total / len(image_of_edit)


@pytest.mark.parametrize("image_of_edit", [[0, 1, 2], [3, 3, 0, 2, 1], [1]])
@pytest.mark.parametrize("margin", [0.0, 2.0])
def test_against_reference(image_of_edit: list[int], margin: float) -> None:
    true, false = torch.randn(2, 4, len(image_of_edit), dtype=torch.double)
    loss = edit_loss(true, false, torch.tensor(image_of_edit), margin)
    expected = reference(true, false, image_of_edit, margin)
    assert float(loss) == pytest.approx(expected, rel=1e-12)


def test_gradient_goes_through_the_scores_but_not_the_spread() -> None:
    true, false = torch.randn(2, 4, 3, dtype=torch.double)
    index = torch.tensor([2, 0, 3])
    difference = true - false
    others = torch.ones(4, 3, dtype=torch.bool)
    others[index, torch.arange(3)] = False
    parts = difference.t()[others.t()].view(3, 3)  # of the other images
    spread = (parts - parts.mean(dim=1, keepdim=True)).square().mean(dim=1).sqrt()

    def fixed(true: torch.Tensor, false: torch.Tensor) -> torch.Tensor:
        d = true - false
        mean = d.t()[others.t()].view(3, 3).mean(dim=1)
        z = (d[index, torch.arange(3)] - mean) / spread
        return (1 + (2 - z).exp()).log().mean()

    given = [x.clone().requires_grad_() for x in (true, false)]
    wanted = [x.clone().requires_grad_() for x in (true, false)]
    edit_loss(given[0], given[1], index).backward()
    fixed(wanted[0], wanted[1]).backward()
    for one, other in zip(given, wanted, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_what_words_alone_tell_does_not_count() -> None:
    true, false = torch.randn(2, 5, 3, dtype=torch.double)
    index = torch.tensor([0, 4, 4])
    plausible = 7 * torch.rand(3, dtype=torch.double)  # of the text, the same of every image
    torch.testing.assert_close(
        edit_loss(true + plausible, false, index), edit_loss(true, false, index)
    )
    torch.testing.assert_close(edit_loss(9 * true, 9 * false, index), edit_loss(true, false, index))


@pytest.mark.parametrize(("images", "edits"), [(1, 3), (2, 3), (4, 0)])
def test_nothing_to_compare_with(images: int, edits: int) -> None:
    true = torch.randn(images, edits, requires_grad=True)
    loss = edit_loss(true, torch.randn(images, edits), torch.zeros(edits, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0
    assert (true.grad == 0).all()


def test_no_other_image_differs() -> None:
    true = torch.tensor([[1.0], [0.5], [0.5]], requires_grad=True)
    loss = edit_loss(true, torch.zeros(3, 1), torch.tensor([0]))
    loss.backward()
    assert loss.isfinite()
    assert true.grad.isfinite().all()
