"""Training a model."""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pyg_sgm.data import PairedGraphs
from pyg_sgm.evaluation.encode import check_features, feature_width
from pyg_sgm.io import counted
from pyg_sgm.models.recipe import Recipe
from pyg_sgm.models.serialization import SavedModel, save_description
from pyg_sgm.training.precision import AUTO, chosen_precision
from pyg_sgm.training.run_dir import (
    CONTENT,
    HELD_OUT_IMAGES,
    LAST,
    check_run_dir,
    is_first_process,
    read_run,
    run_dir,
    start_run,
)

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from pyg_sgm.training.checkpoint import RunCheckpoint


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during a training; the message says what is kept of it.

    Args:
        epochs_done (int): Epochs that have ended.
        epochs (int): Epochs that were asked for.
        folder (Path, optional): Folder of the run.
    """

    def __init__(self, epochs_done: int, epochs: int, folder: Path | None) -> None:
        self.epochs_done = epochs_done
        self.epochs = epochs
        self.folder = folder
        stopped = f"training stopped in epoch {epochs_done + 1} of {epochs}"
        if folder is None:
            super().__init__(f"{stopped}; nothing is kept without a folder")
        elif epochs_done == 0:
            super().__init__(f"{stopped}; the same call starts it again")
        else:
            super().__init__(
                f"{stopped}; {folder} keeps what was learned before: go on with --resume, "
                "resume=True"
            )


def fit(
    saved: SavedModel,
    train: PairedGraphs,
    recipe: Recipe,
    dev: PairedGraphs | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    devices: int = 1,
    accelerator: str = "auto",
    gather_negatives: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> list[dict[str, float]]:
    """Trains a model in place and leaves it with its best weights.

    Args:
        saved (SavedModel): The model, with its name and its vocabularies.
        train (PairedGraphs): What is trained on.
        recipe (Recipe): How.
        dev (PairedGraphs, optional): Where the best weights are chosen, by rsum. (default:
            :obj:`None`, the last ones)
        out (str or PathLike, optional): Folder of the run: the best model, checkpoints and logs.
            (default: :obj:`None`, nothing is written)
        seed (int, optional): Order of the batches, and dropout. (default: :obj:`0`)
        devices (int, optional): Processes that share each batch by distributed data parallel.
            (default: :obj:`1`)
        accelerator (str, optional): As Lightning names it. (default: :obj:`"auto"`)
        gather_negatives (bool, optional): See :class:`~pyg_sgm.training.module.MatcherTraining`.
            (default: :obj:`False`)
        resume (bool, optional): Go on with the run in ``out``, from the end of its last whole
            epoch; the result is that of a run never interrupted. With a recipe of more epochs, the
            learning rate goes on as in a run of so many. (default: :obj:`False`)
        overwrite (bool, optional): Replace the run in ``out``. (default: :obj:`False`)
        progress (bool, optional): Show a line per epoch, and on a terminal a bar. (default:
            :obj:`True`)
        settings (dict, optional): What else the run depends on (such as its data), kept in
            ``run.json`` and compared on resuming. (default: none)

    Returns:
        The metrics of every epoch.

    Raises:
        ValueError: If ``out`` is taken (see :func:`~pyg_sgm.training.run_dir.run_dir`), the graphs
            do not fit the model, there is no such device, or the loss becomes infinite or NaN.
        TrainingInterrupted: At Ctrl-C.
        ImportError: Without Lightning.
    """
    precision = recipe.precision
    if precision == AUTO and resume and out is not None:
        # That of the run, which another machine may have begun.
        precision = (read_run(Path(out)).get("recipe") or {}).get("precision", AUTO)
    recipe = recipe.replace(precision=chosen_precision(precision, accelerator))
    check_fit(
        recipe, out, devices=devices, accelerator=accelerator, resume=resume, overwrite=overwrite
    )
    from lightning.pytorch.callbacks import EMAWeightAveraging
    from lightning.pytorch.loggers import TensorBoardLogger

    from pyg_sgm.training.checkpoint import RunCheckpoint
    from pyg_sgm.training.interrupt import StopBetweenSteps
    from pyg_sgm.training.module import MatcherTraining, PairData
    from pyg_sgm.training.progress import EpochLines

    check_features(saved.model, train.images)
    share = 1 if gather_negatives else devices
    count = train.image_of_text.unique().numel()
    if min(recipe.images_per_batch, count) < 2 * share:
        held_out = "" if dev is None else f" (beside {len(dev.images)} for dev)"
        raise ValueError(
            f"texts of two images at least are needed in each batch{' of a device' * (share > 1)}, "
            "since one image alone has no negative and nothing is learned: there are texts of "
            f"{counted(count, 'image')}{held_out}, with {recipe.images_per_batch} images_per_batch"
        )
    if dev is not None:
        check_features(saved.model, dev.images)
        mute = (torch.bincount(dev.image_of_text, minlength=len(dev.images)) == 0).nonzero()
        if mute.numel():
            raise ValueError(f"dev: image {dev.images.ids[int(mute[0])]!r} has no text")
    folder = None if out is None else Path(out)
    with run_dir(folder, resume, overwrite):
        if folder is not None and is_first_process():
            asked = {
                "model": saved.name,
                "recipe": recipe.to_dict(),
                "seed": seed,
                "data": _digest(train),
                CONTENT: _digest_of_content(saved, train),
                HELD_OUT_IMAGES: None if dev is None else list(dev.images.ids),
                "devices": devices,
                "gather_negatives": gather_negatives,
                **(settings or {}),
            }
            start_run(folder, asked, resume)
            save_description(folder, saved)
        last = folder / LAST if folder and resume and (folder / LAST).exists() else None
        kept = RunCheckpoint(dev, folder, recipe.patience)
        training = MatcherTraining(saved.model, recipe, seed, gather_negatives)
        if last is not None:
            kept.load(last, training)
        cards = range(torch.cuda.device_count() if accelerator != "cpu" and devices == 1 else 0)
        with _quiet(), torch.random.fork_rng(devices=cards):
            trainer = _trainer(
                recipe,
                devices,
                accelerator,
                callbacks=[kept, StopBetweenSteps(), *([EpochLines(kept)] if progress else [])],
                logger=TensorBoardLogger(folder, "logs", "") if folder else False,
            )
            if recipe.ema_decay:  # where the weights will be: now they are still on the host
                average = EMAWeightAveraging(trainer.strategy.root_device, decay=recipe.ema_decay)
                trainer.callbacks.insert(0, average)  # type: ignore[attr-defined]
            if kept.finished or len(kept.history) >= recipe.epochs:
                kept.on_fit_start(trainer, training)
            else:
                _run(trainer, training, PairData(train, recipe, seed), kept, last)
    saved.model.load_state_dict(kept.best_weights)
    saved.model.eval()
    return kept.history


def check_fit(
    recipe: Recipe,
    out: str | os.PathLike[str] | None = None,
    *,
    devices: int = 1,
    accelerator: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Checks what can be checked of a training before there are graphs and a model.

    Args:
        recipe (Recipe): See :func:`fit`.
        out (str or PathLike, optional): See :func:`fit`. (default: :obj:`None`)
        devices (int, optional): See :func:`fit`. (default: :obj:`1`)
        accelerator (str, optional): See :func:`fit`. (default: :obj:`"auto"`)
        resume (bool, optional): See :func:`fit`. (default: :obj:`False`)
        overwrite (bool, optional): See :func:`fit`. (default: :obj:`False`)

    Raises:
        ValueError: If ``out`` is taken, there is no such device or precision, or the recipe's loss
            does not take its options.
        ImportError: Without Lightning.
    """
    try:
        import lightning.pytorch  # noqa: F401
        import rich  # noqa: F401
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise ImportError("training needs more: pip install pyg_sgm[train]") from error
    recipe.make_loss()
    if type(devices) is not int:
        raise ValueError(f"devices: expected a whole number, how many, got {devices!r}")
    if devices < 1:
        raise ValueError(f"devices must be at least 1, got {devices}")
    if resume and out is None:
        raise ValueError("resume needs the folder of the run")
    if out is not None and is_first_process():
        check_run_dir(Path(out), resume, overwrite)
    with _quiet():
        _trainer(recipe, devices, accelerator, callbacks=[], logger=False)


def _trainer(recipe: Recipe, devices: int, accelerator: str, **options: Any) -> pl.Trainer:
    import lightning.pytorch as pl
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        return pl.Trainer(
            max_epochs=recipe.epochs,
            accelerator=accelerator,
            devices=devices,
            strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",
            precision=chosen_precision(recipe.precision, accelerator),  # type: ignore[arg-type]
            gradient_clip_val=recipe.clip or None,
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=bool(options["callbacks"]),
            use_distributed_sampler=False,
            **options,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        if accelerator in ("cuda", "gpu") and not torch.cuda.is_available():
            raise ValueError("there is no CUDA device") from error
        raise ValueError(f"{error}") from error


def _run(
    trainer: pl.Trainer, training: Any, data: Any, kept: RunCheckpoint, last: Path | None
) -> None:
    """Trains; what Lightning does with signals becomes exceptions of this process."""
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    try:
        trainer.fit(training, data, ckpt_path=last, weights_only=True)
    except SIGTERMException as stop:
        raise SystemExit(128 + 15) from stop
    except SystemExit as stop:  # Lightning's answer to Ctrl-C
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        epochs = training.recipe.epochs
        raise TrainingInterrupted(len(kept.history), epochs, kept.folder) from stop
    except Exception as error:
        if last is None or kept.started:
            raise
        raise ValueError(f"{last}: this is no checkpoint of this training ({error})") from error


def _digest(graphs: PairedGraphs) -> str:
    """Tells data apart, by the names of images and texts and which belongs to which."""
    names = "\n".join([*graphs.images.ids, *graphs.texts.ids]).encode()
    return hashlib.sha256(names + graphs.image_of_text.numpy().tobytes()).hexdigest()[:16]


def _digest_of_content(saved: SavedModel, graphs: PairedGraphs) -> str:
    """Tells data of the same names apart, by the words of texts, the labels of objects, and the
    width of features."""
    digest = hashlib.sha256(str(feature_width(graphs.images)).encode())
    for known in (saved.vocabularies.words, saved.vocabularies.objects):
        digest.update("\n".join(known.words).encode())
    for side, field in ((graphs.texts, ("word", "token")), (graphs.images, ("object", "label"))):
        rows = side.fields[field].rows
        digest.update(rows[torch.arange(rows.shape[0])].numpy().tobytes())
    return digest.hexdigest()[:16]


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning without its advice, which is about what is settled here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
