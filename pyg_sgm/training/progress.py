"""What is shown of a training, on the standard error."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pyg_sgm.training.checkpoint import Epoch, RunCheckpoint


class EpochLines(Checkpoint):  # such callbacks are called when the epoch has been evaluated
    """One line per epoch, and on a terminal a bar beneath them.

    Args:
        checkpoint (RunCheckpoint): Has the metrics of the epochs; it is called before.
    """

    def __init__(self, checkpoint: RunCheckpoint) -> None:
        self.checkpoint = checkpoint
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("")

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self._bar.start()
            name = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            steps = int(trainer.num_training_batches)
            self._bar.reset(self._task, description=name, total=steps)

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        self._bar.advance(self._task)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            last = self.checkpoint.history[-1]
            best = self.checkpoint.best_epoch == len(self.checkpoint.history) - 1
            line = describe(last, trainer.max_epochs or 0, best and "dev_rsum" in last)
            self._bar.console.print(line, highlight=False, soft_wrap=True)

    def on_train_end(self, *_: Any) -> None:
        self._bar.stop()

    def on_exception(self, *_: Any) -> None:
        self._bar.stop()


def describe(epoch: Epoch, epochs: int, best: bool) -> str:
    """An epoch in one line, with rsum in percent.

    Example:
        >>> describe({"epoch": 2.0, "loss": 1.25, "dev_rsum": 3.125, "seconds": 9.0}, 20, best=True)
        'epoch 2 of 20: loss 1.250, dev rsum 312.5 (best so far), 9 s'
    """
    rsum = f", dev rsum {100 * epoch['dev_rsum']:.1f}" if "dev_rsum" in epoch else ""
    return (
        f"epoch {epoch['epoch']:.0f} of {epochs}: loss {epoch['loss']:.3f}{rsum}"
        f"{' (best so far)' if best else ''}, {epoch['seconds']:.0f} s"
    )
