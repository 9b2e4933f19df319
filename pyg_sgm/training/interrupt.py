"""Ctrl-C between the steps of a training."""

import signal
import threading
from types import FrameType
from typing import Any

import lightning.pytorch as pl


class StopBetweenSteps(pl.Callback):
    """Has Ctrl-C take effect when the step that it falls into has ended; a second one does at once.

    In the middle of a step it may leave the thread that writes the logs waiting for ever.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Only the main thread may handle signals, and a handler of the user's stays.
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._ask)

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        if self._asked:
            self._restore()
            raise KeyboardInterrupt

    def on_exception(self, *_: Any) -> None:
        self._restore()

    def on_train_end(self, *_: Any) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
