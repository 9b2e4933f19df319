from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pyg_sgm.evaluation import evaluate
from pyg_sgm.models.serialization import load_model
from pyg_sgm.training import Recipe, fit
from pyg_sgm.training.module import MatcherTraining
from tests.helpers.training import RECIPE, saved_model, world

AVERAGED = RECIPE.replace(ema_decay=0.8)


def run(
    out: Path | None, recipe: Recipe, with_dev: bool = True, **options: object
) -> dict[str, Tensor]:
    """Trains with dropout; returns the weights that the model is left with."""
    saved = saved_model(dropout=0.5)
    train, dev = (world(split).encode(saved.vocabularies) for split in ("train", "dev"))
    fit(saved, train, recipe, dev if with_dev else None, out, progress=False, **options)
    return dict(saved.model.state_dict())


def checkpoint(out: Path) -> dict:
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def test_the_weights_are_the_moving_average(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def keep(training: MatcherTraining, *_: object) -> None:
        steps.append({k: v.double().clone() for k, v in training.model.state_dict().items()})

    monkeypatch.setattr(MatcherTraining, "on_train_batch_end", keep)
    weights = run(None, AVERAGED, with_dev=False)
    assert len(steps) > 8
    expected = steps[0]
    for step in steps[1:]:
        expected = {k: 0.8 * expected[k] + 0.2 * step[k] for k in expected}
    for name, value in weights.items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6, msg=name)
    assert any((weights[k] - steps[-1][k]).abs().max() > 1e-3 for k in weights)


def test_the_average_is_evaluated_and_the_training_as_it_was(tmp_path: Path) -> None:
    run(tmp_path / "plain", RECIPE)
    kept = run(tmp_path / "averaged", AVERAGED)
    assert_equal(kept, load_file(tmp_path / "averaged" / "model.safetensors"))
    state = checkpoint(tmp_path / "averaged")
    saved = load_model(tmp_path / "averaged")
    dev = world("dev").encode(saved.vocabularies)
    best = max(epoch["dev_rsum"] for epoch in state["callbacks"]["Keeper"]["history"])
    assert evaluate(saved.model, dev)["rsum"] == pytest.approx(best)
    assert_equal(checkpoint(tmp_path / "plain")["state_dict"], state["current_model_state"])


def test_an_interrupted_average_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "whole", AVERAGED)
    step = MatcherTraining.training_step

    def stopped(self: MatcherTraining, batch: object, batch_idx: int) -> Tensor:
        if (self.current_epoch, batch_idx) == (1, 1):
            raise KeyError("stopped")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(MatcherTraining, "training_step", stopped)
        with pytest.raises(KeyError, match="stopped"):
            run(tmp_path / "stopped", AVERAGED)
    run(tmp_path / "stopped", AVERAGED, resume=True)
    whole, resumed = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "stopped")
    for part in ("state_dict", "current_model_state", "averaging_state"):
        assert_equal(whole[part], resumed[part])
    weights = [(tmp_path / x / "model.safetensors").read_bytes() for x in ("whole", "stopped")]
    assert weights[0] == weights[1]
