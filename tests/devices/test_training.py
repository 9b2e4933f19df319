"""Trainings on every device: mixed precision, and runs that go on elsewhere."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.models.serialization import load_model
from pyg_sgm.training import fit
from pyg_sgm.training.batches import blank
from tests.helpers.devices import assert_near
from tests.helpers.indexes import SMALL
from tests.helpers.training import RECIPE, saved_model, world

PRECISIONS = pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])


def run(device: str, out: Path | None = None, **changes: Any) -> tuple[list[dict], dict]:
    """History and weights of a small training without dropout."""
    options = changes.pop("options", {})
    resume = changes.pop("resume", False)
    saved = saved_model(**options)
    train, dev = (world(split).encode(saved.vocabularies) for split in ("train", "dev"))
    recipe = RECIPE.replace(**changes)
    history = fit(saved, train, recipe, dev, out, accelerator=device, resume=resume, progress=False)
    return history, saved.model.state_dict()


@PRECISIONS
def test_learns_what_it_learns_on_the_cpu(precision: str, device: torch.device) -> None:
    history, weights = run(device.type, precision=precision)
    expected, reference = run("cpu")
    tolerance = 1e-3 if precision == "32-true" else 0.1
    losses, wanted = ([epoch["loss"] for epoch in h] for h in (history, expected))
    assert losses == pytest.approx(wanted, rel=tolerance)
    assert losses[-1] < losses[0]
    for name, value in weights.items():
        assert value.device.type == "cpu"  # a trained model is where it was
        assert value.dtype == reference[name].dtype
        assert value.isfinite().all()


@PRECISIONS
@pytest.mark.parametrize("first", ["device", "cpu"])
def test_goes_on_elsewhere(
    first: str, precision: str, device: torch.device, tmp_path: Path
) -> None:
    """A run on one device, resumed on the other, is about the run on one of them."""
    devices = [device.type, "cpu"] if first == "device" else ["cpu", device.type]
    steady: dict[str, Any] = {"precision": precision, "schedule": "constant", "warmup": 0.0}
    run(devices[0], tmp_path, epochs=2, **steady)
    history, weights = run(devices[1], tmp_path, epochs=4, resume=True, **steady)
    whole, _ = run("cpu", epochs=4, **steady)
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3, 4]
    tolerance = 1e-3 if precision == "32-true" else 0.1
    losses, wanted = ([epoch["loss"] for epoch in h] for h in (history, whole))
    assert losses == pytest.approx(wanted, rel=tolerance)
    for name, value in load_model(tmp_path).model.state_dict().items():
        assert torch.equal(value, weights[name])


def test_blanks_are_of_one_seed(device: torch.device) -> None:
    graphs = world().encode(world().vocabularies())
    batch = graphs.batch().to(device)
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        runs.append(blank(batch, features=0.5, words=0.5))
    first, second = runs
    assert first.image["object"].x.device.type == device.type
    assert torch.equal(first.image["object"].x, second.image["object"].x)
    assert torch.equal(first.text["word"].token, second.text["word"].token)
    zeros = float((first.image["object"].x == 0).float().mean())
    assert 0.2 < zeros < 0.8


def test_a_training_leaves_the_random_numbers_alone(device: torch.device) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = torch.rand(2, device=device)
        torch.manual_seed(3)
        run(device.type, epochs=1, options={"dropout": 0.5})
        assert torch.equal(torch.rand(2, device=device), expected)


@pytest.mark.parametrize("name", ["sgm photos", "hoad"])
def test_all_that_a_recipe_has(name: str, device: torch.device, tmp_path: Path) -> None:
    """Edits, blanks, dropout, an average of the weights, a query bank, mixed precision, weights
    chosen on dev; opened again, on the device and on the CPU."""
    options = dict(SMALL[name])
    if name == "sgm photos":
        options |= {"channel_dropout": 0.5, "relation_dropout": 0.5, "attributes": True}
    matcher = SceneGraphMatcher(name.split()[0], **options)
    recipe = RECIPE.replace(
        options={},
        epochs=2,
        precision="bf16-mixed",
        feature_dropout=0.2,
        word_dropout=0.1,
        ema_decay=0.8,
        edit_weight=0.2,
        query_bank=6,
        clip=1.0,
    )
    matcher.fit(
        world(), world("dev"), recipe, out=tmp_path / "run", accelerator=device.type, progress=False
    )
    here, there = (SceneGraphMatcher.from_pretrained(tmp_path / "run") for _ in "ab")
    scores = [m.score(world(), world()) for m in (matcher, here, there.to(device))]
    assert torch.equal(scores[0], scores[1])
    assert_near(scores[2], scores[1].double(), 1e-4)
