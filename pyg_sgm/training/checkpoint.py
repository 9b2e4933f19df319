"""What is kept of a training: metrics of every epoch, the best weights, a checkpoint to resume."""

import csv
import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging
from torch import Tensor

from pyg_sgm.data import PairedGraphs
from pyg_sgm.evaluation import evaluate
from pyg_sgm.io import atomic_write, write_text
from pyg_sgm.models.serialization import WEIGHTS, read_weights, save_weights
from pyg_sgm.training.module import MatcherTraining
from pyg_sgm.training.run_dir import LAST, METRICS, read_checkpoint, seal_checkpoint

Epoch = dict[str, float]


class RunCheckpoint(Checkpoint):
    """Evaluates after every epoch, keeps the best weights and the state to go on from.

    Args:
        dev (PairedGraphs, optional): Where the best weights are chosen, by rsum; without it the
            last weights are the best.
        folder (Path, optional): Folder of the run; nothing is written without one.
        patience (int): Epochs in a row without a better rsum after which training stops; 0 for
            never.
    """

    def __init__(self, dev: PairedGraphs | None, folder: Path | None, patience: int) -> None:
        self.dev = dev
        self.folder = folder
        self.patience = patience
        self.history: list[Epoch] = []
        self.best_epoch = -1
        self.best_weights: dict[str, Tensor] = {}
        self.started = False
        self._start = 0.0

    @property
    def state_key(self) -> str:
        """Its name in a checkpoint, which is that of version 0.1."""
        return "Keeper"

    @property
    def finished(self) -> bool:
        """Whether patience has run out."""
        waited = len(self.history) - 1 - self.best_epoch
        return self.dev is not None and 0 < self.patience <= waited

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, MatcherTraining)
        with _averaged(trainer, pl_module):
            epoch = self._measure(trainer, pl_module)
            self.history.append(epoch)
            best = self.best_epoch
            if self.dev is None or best < 0 or epoch["dev_rsum"] > self.history[best]["dev_rsum"]:
                self.best_epoch = len(self.history) - 1
                state = pl_module.model.state_dict()
                self.best_weights = {k: v.detach().cpu().clone() for k, v in state.items()}
                if self.folder and trainer.is_global_zero:
                    save_weights(self.folder, self.best_weights)
        if self.folder and trainer.is_global_zero:
            write_text(self.folder / METRICS, _csv(self.history))
            with atomic_write(self.folder / LAST) as temporary:
                trainer.save_checkpoint(temporary)
                seal_checkpoint(temporary)
        elif self.folder:  # all processes take part
            trainer.save_checkpoint(self.folder / LAST)
        trainer.should_stop = self.finished

    def _measure(self, trainer: pl.Trainer, module: MatcherTraining) -> Epoch:
        epoch = {
            "epoch": float(trainer.current_epoch + 1),
            "seconds": time.perf_counter() - self._start,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "loss": float(torch.stack(module.losses).mean()),
        }
        if self.dev is not None:
            # One process evaluates; the others take its word, so that all stop at the same epoch.
            if trainer.is_global_zero:
                metrics = evaluate(module.model, self.dev)
                epoch["dev_rsum"] = metrics["rsum"]
                for side in ("i2t", "t2i"):
                    epoch |= {f"dev_{side}_{k}": v for k, v in dict(metrics[side]).items()}
            epoch = trainer.strategy.broadcast(epoch)
            module.log("dev_rsum", epoch["dev_rsum"])  # to TensorBoard
        return epoch

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best_epoch": self.best_epoch, "unit": "fraction"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        # Version 0.1 counted epochs from 0, and gave recalls in percent.
        scale = 1.0 if state_dict.get("unit") == "fraction" else 0.01
        self.history = [
            {
                **{k: v * scale if _is_recall(k) else v for k, v in epoch.items()},
                "epoch": float(number),
            }
            for number, epoch in enumerate(state_dict["history"], start=1)
        ]
        self.best_epoch = int(state_dict["best_epoch"])

    def load(self, path: Path, module: pl.LightningModule) -> None:
        """Takes its state from a checkpoint of the whole training.

        Args:
            path (Path): The checkpoint.
            module (LightningModule): What it is to be restored into.

        Raises:
            ValueError: Naming the file and the part, if it is no such checkpoint.
        """
        checkpoint = read_checkpoint(path)
        expected = {name: value.shape for name, value in module.state_dict().items()}
        part = "state_dict"
        try:
            assert {name: value.shape for name, value in checkpoint[part].items()} == expected
            for part in ("optimizer_states", "lr_schedulers"):
                assert len(checkpoint[part]) == 1
                assert checkpoint[part][0]
            part = "loops"
            assert checkpoint[part]["fit_loop"]
            part = "callbacks"
            self.load_state_dict(checkpoint[part][self.state_key])
            rsum = "loss" if self.dev is None else "dev_rsum"
            assert all(isinstance(epoch[rsum], float) for epoch in self.history)
            assert 0 <= self.best_epoch < len(self.history)
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            raise ValueError(f"{path}: {part} is missing or of another training") from error

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, MatcherTraining)
        if self.folder and self.best_epoch >= 0:
            self.best_weights = read_weights(self.folder / WEIGHTS, pl_module.model)


@contextmanager
def _averaged(trainer: pl.Trainer, module: pl.LightningModule) -> Iterator[None]:
    """The average of the weights in place of the last ones, if the training keeps one."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    averaging = [kept for kept in callbacks if isinstance(kept, WeightAveraging)]
    for kept in averaging:
        kept.on_validation_epoch_start(trainer, module)
    try:
        yield
    finally:
        for kept in averaging:
            kept.on_validation_epoch_end(trainer, module)


def _is_recall(name: str) -> bool:
    return name.startswith("dev_") and not name.endswith("_medr")


def _csv(rows: list[Epoch]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
