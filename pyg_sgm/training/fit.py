"""Training a model."""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pyg_sgm.data import PairedGraphs
from pyg_sgm.evaluation.encode import check_features
from pyg_sgm.models.recipe import Recipe
from pyg_sgm.models.serialization import SavedModel, save_description
from pyg_sgm.training.run_dir import LAST, create_run_dir, read_checkpoint


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
        saved: The model, with its name and its vocabularies.
        train: What is trained on.
        recipe: How.
        dev: Where the best weights are chosen, by rsum. (default: :obj:`None`, the last ones)
        out: Folder of the run: the best model, checkpoints and logs. (default: :obj:`None`,
            nothing is written)
        seed: Order of the batches, and dropout. (default: ``0``)
        devices: Processes that share each batch by distributed data parallel. (default: ``1``)
        accelerator: As Lightning names it. (default: ``"auto"``)
        gather_negatives: See :class:`~pyg_sgm.training.module.MatcherTraining`. (default:
            :obj:`False`)
        resume: Go on with the run in ``out``, from the end of its last whole epoch; the result is
            that of a run never interrupted. (default: :obj:`False`)
        overwrite: Replace the run in ``out``. (default: :obj:`False`)
        progress: Show a progress bar. (default: :obj:`True`)
        settings: What else the run depends on (such as its data), kept in ``run.json`` and
            compared on resuming. (default: none)

    Returns:
        The metrics of every epoch.

    Raises:
        ValueError: If ``out`` is taken (see :func:`~pyg_sgm.training.run_dir.create_run_dir`), or
            the graphs do not fit the model.
        ImportError: Without Lightning.
    """
    try:
        import lightning.pytorch as pl
    except ImportError as error:
        raise ImportError("training needs Lightning: pip install pyg_sgm[train]") from error
    from lightning.pytorch.callbacks import Callback, RichProgressBar
    from lightning.pytorch.loggers import TensorBoardLogger

    from pyg_sgm.training.checkpoint import RunCheckpoint
    from pyg_sgm.training.module import MatcherTraining, PairData

    check_features(saved.model, train.images)
    if dev is not None:
        check_features(saved.model, dev.images)
        mute = (torch.bincount(dev.image_of_text, minlength=len(dev.images)) == 0).nonzero()
        if mute.numel():
            raise ValueError(f"dev: image {dev.images.ids[int(mute[0])]!r} has no text")
    folder = None if out is None else Path(out)
    checkpoint = None
    if resume and folder is None:
        raise ValueError("resume needs the folder of the run")
    if folder is not None:
        if is_first_process():
            asked = {
                "model": saved.name,
                "recipe": recipe.to_dict(),
                "seed": seed,
                "data": _digest(train),
                "devices": devices,
                "gather_negatives": gather_negatives,
                **(settings or {}),
            }
            create_run_dir(folder, asked, resume, overwrite)
            save_description(folder, saved)
        checkpoint = folder / LAST if resume and (folder / LAST).exists() else None

    kept = RunCheckpoint(dev, folder, recipe.patience)
    callbacks: list[Callback] = [kept]
    if progress:
        callbacks.append(RichProgressBar(leave=False))
    if checkpoint is not None:
        # Read here for a clear error; a run that has ended is only loaded again.
        state = read_checkpoint(checkpoint)
        kept.load_state_dict(state["callbacks"][kept.state_key])
    training = MatcherTraining(saved.model, recipe, seed, gather_negatives)
    with _quiet(), torch.random.fork_rng(devices=[]):
        trainer = pl.Trainer(
            max_epochs=recipe.epochs,
            accelerator=accelerator,
            devices=devices,
            strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",
            precision=recipe.precision,  # type: ignore[arg-type]
            gradient_clip_val=recipe.clip or None,
            callbacks=callbacks,
            logger=TensorBoardLogger(folder, "logs", "") if folder else False,
            log_every_n_steps=1,
            enable_progress_bar=progress,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        if kept.finished or len(kept.history) >= recipe.epochs:
            assert folder is not None
            kept.on_fit_start(trainer, training)
        else:
            trainer.fit(
                training, PairData(train, recipe, seed), ckpt_path=checkpoint, weights_only=True
            )
    saved.model.load_state_dict(kept.best_weights)
    saved.model.eval()
    return kept.history


def is_first_process() -> bool:
    """Whether this process is the one that writes: the others are started by it, to share its
    work on further devices."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def _digest(graphs: PairedGraphs) -> str:
    """Tells data apart, by the names of images and texts and which belongs to which."""
    names = "\n".join([*graphs.images.ids, *graphs.texts.ids]).encode()
    return hashlib.sha256(names + graphs.image_of_text.numpy().tobytes()).hexdigest()[:16]


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
