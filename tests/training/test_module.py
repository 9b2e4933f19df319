import pytest
import torch

from pyg_sgm.losses import contrastive_loss
from pyg_sgm.models import PVSE, Recipe, find_recipe
from pyg_sgm.training.module import MatcherTraining, lr_factor
from tests.helpers.worlds import edge_cases, sizes_of


def test_what_a_model_adds_is_part_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, vocabularies = edge_cases()
    model = PVSE(sizes_of(vocabularies), dim=6, embed=4, discrepancy=0.5)
    training = MatcherTraining(model, Recipe(loss_options={"temperature": 0.1}))
    monkeypatch.setattr(training, "log", lambda *args, **options: None)
    batch = pairs.batch()
    image, text = model.encode_image(batch.image), model.encode_text(batch.text)
    side = model.side_loss(image, text, batch)
    assert side is not None
    assert side > 0
    expected = contrastive_loss(model.score(image, text), batch.image_of_text, 0.1) + side
    torch.testing.assert_close(training.training_step(batch, 0), expected)


def test_the_paper_divides_the_rate_once() -> None:
    recipe = find_recipe("sgm", "paper")
    assert lr_factor(14 * 7, 7, recipe) == 1
    assert lr_factor(15 * 7, 7, recipe) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle", "step"])
def test_schedules_stay_in_range(schedule: str) -> None:
    recipe = Recipe(epochs=10, schedule=schedule, warmup=0.1, step_epochs=4)  # type: ignore[arg-type]
    factors = [lr_factor(step, 5, recipe) for step in range(51)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[0] < max(factors)
    peak = factors.index(max(factors))
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


def test_ends_of_schedules() -> None:
    def last(schedule: str) -> float:
        return lr_factor(100, 10, Recipe(epochs=10, schedule=schedule))  # type: ignore[arg-type]

    assert last("constant") == 1
    assert last("cosine") == pytest.approx(0, abs=1e-12)
    assert last("one-cycle") == pytest.approx(1e-4)
