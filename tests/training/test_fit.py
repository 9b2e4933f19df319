import csv
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pyg_sgm.data import PairBatch, PairedGraphs
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.evaluation import evaluate
from pyg_sgm.models.serialization import load_model
from pyg_sgm.training import Recipe, TrainingInterrupted, fit
from pyg_sgm.training.checkpoint import RunCheckpoint
from pyg_sgm.training.module import MatcherTraining
from tests.helpers.training import RECIPE, saved_model, world

ROOT = Path(__file__).parents[2]

# Runs the training of `run` and stops for ever at the second step of the second epoch.
STUCK = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tests.training import test_fit
from pyg_sgm.training.checkpoint import RunCheckpoint
from pyg_sgm.training.module import MatcherTraining

step = MatcherTraining.training_step

def stuck(self, batch, batch_idx):
    if (self.current_epoch, batch_idx) == (1, 1):
        print("stuck", flush=True)
        time.sleep(600)
    return step(self, batch, batch_idx)

MatcherTraining.training_step = stuck
test_fit.run(sys.argv[2])
"""

TWO = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.training import test_fit
test_fit.run_shared(sys.argv[2], devices=2, accelerator="cpu", gather_negatives=True)
"""


def run(out: str | Path | None, dropout: float = 0.5, recipe: Recipe = RECIPE, **options) -> list:
    saved = saved_model(dropout=dropout)
    graphs, dev = (world(s).encode(saved.vocabularies) for s in ("train", "dev"))
    return fit(saved, graphs, recipe, dev, out, progress=False, **options)


def run_shared(out: str | Path, **options) -> None:
    """Trains without dropout on batches whose images have texts in both halves, and writes the
    gradients of the first step."""

    def write_gradients(training: MatcherTraining, _: object) -> None:
        if training.global_step == 0 and training.global_rank == 0:
            grads = {n: p.grad for n, p in training.named_parameters() if p.grad is not None}
            save_file(grads, Path(out) / "gradients.safetensors")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MatcherTraining, "on_before_optimizer_step", write_gradients)
        run(out, 0.0, RECIPE.replace(images_per_batch=24, captions_per_image=1), **options)


def state(out: Path) -> dict:
    return torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same(a: object, b: object, where: str = "") -> None:
    if isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor)
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert isinstance(b, dict)
        assert list(a) == list(b), where
        for key in a:
            if key != "seconds":
                assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list):
        assert isinstance(b, list)
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}/{i}")
    else:
        assert a == b, where


@pytest.mark.slow
def test_killed_and_resumed_is_never_killed(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(ROOT), str(tmp_path / "killed")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    process.kill()
    process.wait()
    assert len(state(tmp_path / "killed")["callbacks"]["Keeper"]["history"]) == 1
    history = run(tmp_path / "killed", resume=True)
    assert len(history) == RECIPE.epochs
    whole, resumed = state(tmp_path / "whole"), state(tmp_path / "killed")
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "epoch"):
        assert_same(whole[key], resumed[key], key)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]


def test_killed_before_the_first_epoch_ends(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "last.ckpt").unlink()
    run(tmp_path / "run", resume=True)
    assert_same(state(tmp_path / "whole")["state_dict"], state(tmp_path / "run")["state_dict"])


@pytest.mark.slow
def test_two_devices_with_gathered_negatives_are_one(tmp_path: Path) -> None:
    script = tmp_path / "two.py"  # a file, because Lightning starts it once more
    script.write_text(TWO)
    subprocess.run(
        [sys.executable, str(script), str(ROOT), str(tmp_path / "two")],
        check=True,
        capture_output=True,
        timeout=600,
    )
    run_shared(tmp_path / "one")
    for name, tolerance in (("gradients", 1e-5), ("model", 1e-3)):  # Adam amplifies roundings
        one, two = (load_file(tmp_path / n / f"{name}.safetensors") for n in ("one", "two"))
        assert one.keys() == two.keys()
        assert max(value.abs().max() for value in one.values()) > 0.01
        for key, value in one.items():
            torch.testing.assert_close(two[key], value, rtol=1e-4, atol=tolerance, msg=key)


def test_run_folder(tmp_path: Path) -> None:
    history = run(tmp_path)
    saved = load_model(tmp_path)
    dev = world("dev").encode(saved.vocabularies)
    best = max(epoch["dev_rsum"] for epoch in history)
    assert evaluate(saved.model, dev)["rsum"] == pytest.approx(best)
    with open(tmp_path / "logs" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["dev_rsum"]) for row in rows] == [epoch["dev_rsum"] for epoch in history]
    assert {"epoch", "loss", "lr", "seconds", "dev_i2t_r1", "dev_t2i_medr"} <= set(rows[0])
    assert list((tmp_path / "logs").glob("events.out.tfevents.*"))
    assert not list(tmp_path.rglob("*.tmp"))


def test_same_seed_same_weights_and_no_folder_needed() -> None:
    states = []
    for seed in (0, 0, 1):
        saved = saved_model(dropout=0.5)
        torch.manual_seed(torch.initial_seed() + 1)
        expected = torch.get_rng_state()
        fit(saved, world().encode(saved.vocabularies), RECIPE, seed=seed, progress=False)
        assert torch.equal(torch.get_rng_state(), expected)  # the caller's numbers stay
        states.append(saved.model.state_dict())
        assert not saved.model.training
    assert_same(states[0], states[1])
    assert any(not torch.equal(states[0][k], states[2][k]) for k in states[0])


def test_finished_run_is_resumed_to_itself(tmp_path: Path) -> None:
    history = run(tmp_path)
    saved = saved_model(seed=5, dropout=0.5)
    graphs, dev = (world(s).encode(saved.vocabularies) for s in ("train", "dev"))
    assert fit(saved, graphs, RECIPE, dev, tmp_path, resume=True, progress=False) == history
    best = load_file(tmp_path / "model.safetensors")
    assert_same(dict(sorted(saved.model.state_dict().items())), dict(sorted(best.items())))


def test_changed_data_are_not_resumed_and_nothing_is_written(tmp_path: Path) -> None:
    """Other captions or labels of the same names."""
    run(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    saved = saved_model(dropout=0.5)
    dev = world("dev").encode(saved.vocabularies)
    for side, field in (("texts", ("word", "token")), ("images", ("object", "label"))):
        graphs = world().encode(saved.vocabularies)
        rows = getattr(graphs, side).fields[field].rows
        rows[0] = (rows[0] + 1) % 3
        with pytest.raises(ValueError, match="not those that the run was started with"):
            fit(saved, graphs, RECIPE, dev, tmp_path, resume=True, progress=False)
    assert {path: path.read_bytes() for path in before} == before


def test_early_stopping(tmp_path: Path) -> None:
    recipe = RECIPE.replace(epochs=30, patience=2, lr=1e-12)  # nothing is learned
    history = run(tmp_path, recipe=recipe)
    assert len(history) == 3
    assert run(tmp_path, recipe=recipe, resume=True) == history


def test_taken_folder_and_other_settings(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="holds a run already"):
        run(tmp_path)
    with pytest.raises(ValueError, match="started with recipe"):
        run(tmp_path, recipe=RECIPE.replace(lr=1.0), resume=True)
    with pytest.raises(ValueError, match="resume needs the folder"):
        run(None, resume=True)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    run(tmp_path, recipe=RECIPE.replace(epochs=1), overwrite=True)
    assert len(state(tmp_path)["callbacks"]["Keeper"]["history"]) == 1


@pytest.mark.parametrize("precision", ["bf16-mixed"])
@pytest.mark.parametrize("schedule", ["one-cycle", "step", "constant"])
def test_recipes_run(precision: str, schedule: str) -> None:
    history = run(None, recipe=RECIPE.replace(epochs=2, precision=precision, schedule=schedule))
    assert all(epoch["loss"] > 0 for epoch in history)


def test_collapse_is_reported() -> None:
    # Weights of zero give equal scores, and hardest negatives at twice the margin a text.
    saved = saved_model()
    for parameter in saved.model.parameters():
        parameter.data.zero_()
    recipe = RECIPE.replace(
        epochs=3, loss="triplet", loss_options={"patience_calls": 3}, weight_decay=0.0
    )
    with pytest.warns(UserWarning, match="hardest-negative training has collapsed"):
        fit(saved, world().encode(saved.vocabularies), recipe, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run(None, recipe=RECIPE.replace(epochs=1))


def test_graphs_that_do_not_fit() -> None:
    saved = saved_model()
    bare = SceneWorld("train", num_images=8, feature_dim=0).encode(saved.vocabularies)
    with pytest.raises(ValueError, match=r"object.x: no region features"):
        fit(saved, bare, RECIPE, progress=False)


def test_images_without_a_text_cannot_choose_weights() -> None:
    saved = saved_model()
    graphs = world().encode(saved.vocabularies)
    dev = PairedGraphs(graphs.images, graphs.texts.select([0]), graphs.image_of_text[:1])
    with pytest.raises(ValueError, match=r"dev: image .* has no text"):
        fit(saved, graphs, RECIPE, dev, progress=False)


def test_a_loss_that_explodes_stops_the_training() -> None:
    saved = saved_model()
    with torch.no_grad():
        saved.model.embeddings()["words"].weight.fill_(torch.inf)
    with pytest.raises(ValueError, match="infinite or NaN in epoch 1"):
        fit(saved, world().encode(saved.vocabularies), RECIPE, progress=False)


def test_without_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(ImportError, match=r"pip install pyg_sgm\[train\]"):
        run(None)


def test_killed_while_the_checkpoint_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last whole checkpoint is still there, and the run goes on from it."""
    run(tmp_path / "whole")
    replace = os.replace

    def cut(source: str | Path, target: str | Path) -> None:
        if Path(target).name == "last.ckpt" and Path(target).exists():
            Path(source).write_bytes(Path(source).read_bytes()[:1000])
            raise KeyError("killed")
        replace(source, target)

    monkeypatch.setattr(os, "replace", cut)
    with pytest.raises(KeyError, match="killed"):
        run(tmp_path / "killed")
    monkeypatch.undo()
    run(tmp_path / "killed", resume=True)
    assert_same(state(tmp_path / "whole")["state_dict"], state(tmp_path / "killed")["state_dict"])


def test_metrics_of_version_0_1_become_fractions() -> None:
    checkpoint = RunCheckpoint(None, None, 0)
    epoch = {"epoch": 0.0, "loss": 1.5, "lr": 0.1, "dev_rsum": 250.0, "dev_i2t_medr": 3.0}
    checkpoint.load_state_dict({"history": [epoch], "best_epoch": 0})
    assert checkpoint.history == [{**epoch, "epoch": 1.0, "dev_rsum": 2.5}]
    checkpoint.load_state_dict(checkpoint.state_dict())
    assert checkpoint.history[0]["dev_rsum"] == 2.5


def test_a_batch_of_one_image_has_no_negative() -> None:
    with pytest.raises(ValueError, match="images_per_batch must be a whole number of at least 2"):
        RECIPE.replace(images_per_batch=1)
    saved = saved_model()
    alone = world().select_images([3]).encode(saved.vocabularies)
    with pytest.raises(ValueError, match="texts of two images at least are needed"):
        fit(saved, alone, RECIPE, progress=False)
    graphs = world().encode(saved.vocabularies)
    with pytest.raises(ValueError, match="in each batch of a device"):
        fit(saved, graphs, RECIPE.replace(images_per_batch=2), devices=2, accelerator="cpu")


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Ctrl-C in the first step of an epoch, counted from 1."""
    step = MatcherTraining.training_step

    def stop(self: MatcherTraining, batch: PairBatch, batch_idx: int) -> torch.Tensor:
        if self.current_epoch + 1 == epoch:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(MatcherTraining, "training_step", stop)


def test_ctrl_c_raises_and_says_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    run(tmp_path / "whole")
    interrupt(monkeypatch, 2)
    with pytest.raises(TrainingInterrupted, match=r"epoch 2 of 3; .*stopped keeps.*resume=True"):
        run(tmp_path / "stopped")
    assert signal.getsignal(signal.SIGINT) is handler
    interrupt(monkeypatch, 1)
    with pytest.raises(TrainingInterrupted, match="epoch 1 of 3; the same call starts it again"):
        run(tmp_path / "first")
    with pytest.raises(KeyboardInterrupt, match="epoch 1 of 3; nothing is kept"):
        run(None)
    monkeypatch.undo()
    run(tmp_path / "stopped", resume=True)
    run(tmp_path / "first")
    for name in ("stopped", "first"):
        for part in ("state_dict", "optimizer_states", "callbacks"):
            assert_same(state(tmp_path / "whole")[part], state(tmp_path / name)[part], part)


def test_more_epochs(tmp_path: Path) -> None:
    """The rate goes on as in a run of so many epochs from the start."""
    run(tmp_path / "run")
    recipe = RECIPE.replace(epochs=5)
    rates: list[float] = []

    def watch(training: MatcherTraining, batch: PairBatch, batch_idx: int) -> None:
        rates.append(training.trainer.optimizers[0].param_groups[0]["lr"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MatcherTraining, "on_train_batch_start", watch)
        history = run(tmp_path / "run", recipe=recipe, resume=True)
        resumed, rates[:] = list(rates), []
        run(None, recipe=recipe)
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3, 4, 5]
    assert resumed == rates[-len(resumed) :]
    assert min(resumed) > 0
    with pytest.raises(ValueError, match=r"with recipe\.epochs = 5, it cannot .* 3"):
        run(tmp_path / "run", resume=True)


def test_a_run_that_diverges_at_once_frees_its_name(tmp_path: Path) -> None:
    saved = saved_model()
    with torch.no_grad():
        saved.model.embeddings()["words"].weight.fill_(torch.inf)
    with pytest.raises(ValueError, match="infinite or NaN in epoch 1"):
        fit(saved, world().encode(saved.vocabularies), RECIPE, out=tmp_path, progress=False)
    run(tmp_path)


def test_weights_that_become_nan_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step of an epoch can spoil the weights without a loss that shows it."""

    def spoil(training: MatcherTraining) -> None:
        for parameter in training.model.parameters():
            parameter.data.fill_(torch.nan)

    monkeypatch.setattr(MatcherTraining, "on_train_epoch_end", compose(spoil))
    saved = saved_model()
    with pytest.raises(ValueError, match="weights became infinite or NaN in epoch 1"):
        fit(saved, world().encode(saved.vocabularies), RECIPE, out=tmp_path, progress=False)
    assert not (tmp_path / "model.safetensors").exists()


def compose(first: Callable[[MatcherTraining], None]) -> Callable[[MatcherTraining], None]:
    then = MatcherTraining.on_train_epoch_end

    def both(training: MatcherTraining) -> None:
        first(training)
        then(training)

    return both


def test_what_is_asked_for_is_checked_before_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(ValueError, match="devices must be at least 1"):
        run(out, devices=0)
    with pytest.raises(ValueError, match="devices: expected a whole number, how many, got '0'"):
        run(out, devices="0")  # type: ignore[arg-type]  # as a card is named elsewhere
    with pytest.raises(ValueError, match="fp16"):
        run(out, recipe=RECIPE.replace(precision="fp16"))
    with pytest.raises(ValueError, match="margins"):
        run(out, recipe=RECIPE.replace(loss="triplet", loss_options={"margins": 1}))
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device"):
            run(out, accelerator="cuda")
    with pytest.raises(ValueError, match="quantum"):
        run(out, accelerator="quantum")
    assert not out.exists()


def test_names_of_held_out_images_are_kept(tmp_path: Path) -> None:
    run(tmp_path)
    kept = json.loads((tmp_path / "run.json").read_text())["held_out_images"]
    assert kept == list(world("dev").image_ids)


def test_a_checkpoint_of_another_training_is_named(tmp_path: Path) -> None:
    run(tmp_path, recipe=RECIPE.replace(epochs=1))
    last = tmp_path / "checkpoints" / "last.ckpt"
    whole = torch.load(last, weights_only=True)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks"):
        for other in ({**whole, part: {}}, {k: v for k, v in whole.items() if k != part}):
            torch.save(other, last)
            with pytest.raises(ValueError, match=rf"last\.ckpt: .*({part}|checkpoint)"):
                run(tmp_path, recipe=RECIPE.replace(epochs=2), resume=True)
    torch.save(whole, last)
    run(tmp_path, recipe=RECIPE.replace(epochs=2), resume=True)


def test_lines_of_the_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = saved_model(dropout=0.5)
    graphs, dev = (world(s).encode(saved.vocabularies) for s in ("train", "dev"))
    history = fit(saved, graphs, RECIPE, dev)
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [line for line in shown.err.splitlines() if line]
    assert len(lines) == 3
    for number, (line, epoch) in enumerate(zip(lines, history, strict=True), start=1):
        assert line.startswith(f"epoch {number} of 3: loss {epoch['loss']:.3f}, dev rsum ")
        assert f"dev rsum {100 * epoch['dev_rsum']:.1f}" in line


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_weight_decay_is_that_of_the_optimizer(optimizer: str) -> None:
    """One step of one batch, against the formula."""
    decay, lr = 0.5, 0.01
    recipe = RECIPE.replace(
        epochs=1, images_per_batch=200, lr=lr, weight_decay=decay, optimizer=optimizer,
        schedule="constant", warmup=0.0, clip=0.0,
    )  # fmt: skip
    saved = saved_model()
    before = {name: value.clone() for name, value in saved.model.named_parameters()}
    graphs = world().encode(saved.vocabularies)
    gradients: dict[str, Tensor] = {}
    for name, parameter in saved.model.named_parameters():
        parameter.register_hook(lambda grad, name=name: gradients.setdefault(name, grad.clone()))
    fit(saved, graphs, recipe, progress=False)
    for name, value in saved.model.named_parameters():
        if name not in gradients:
            continue
        old, grad = before[name], gradients[name]
        if optimizer == "adam":
            grad = grad + decay * old
        elif old.dim() > 1:
            old = old * (1 - lr * decay)
        expected = old - lr * grad / (grad.abs() + 1e-8)
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-4)


def test_runs_of_version_0_1_go_on(tmp_path: Path) -> None:
    run(tmp_path, recipe=RECIPE.with_model_options(bidirectional=True))
    settings = json.loads((tmp_path / "run.json").read_text())
    options = settings["recipe"]["options"]
    options["both_ways"] = options.pop("bidirectional")
    del settings["recipe"]["optimizer"]
    (tmp_path / "run.json").write_text(json.dumps(settings))
    history = run(tmp_path, recipe=RECIPE.with_model_options(bidirectional=True), resume=True)
    assert len(history) == RECIPE.epochs
    with pytest.raises(ValueError, match=r"recipe.options.bidirectional"):
        run(tmp_path, resume=True)
