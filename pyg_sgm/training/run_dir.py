"""The folder of a training run: claiming it, going on in it, starting over in it.

::

    run.json                            what was asked for, and which data
    config.json, model.safetensors, vocabularies.json   the best model so far
    checkpoints/last.ckpt               everything needed to go on
    logs/metrics.csv, logs/events.*     one row an epoch, and TensorBoard
    parses.jsonl                        parses of captions that came without a graph
    graphs.sg/                          graphs of images that came as files
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pyg_sgm.io import read_json, write_json
from pyg_sgm.models.serialization import CONFIG, VOCABULARIES, WEIGHTS

RUN = "run.json"
# In it: names of the data and of a shared graph folder, which may move between two calls; and the
# part of the data that the best weights were chosen on.
SOURCE, SHARED, HELD_OUT = "source", "graphs", "held_out"
# True of any run on the same captions and images, so these outlive an overwritten one.
PARSES, GRAPHS = "parses.jsonl", "graphs.sg"
LAST = "checkpoints/last.ckpt"
LAST_SIDE = "checkpoints/last.ckpt.tmp"
METRICS = "logs/metrics.csv"
TENSORBOARD = ("logs/events.out.tfevents.*", "logs/hparams.yaml")
WRITTEN = (CONFIG, WEIGHTS, VOCABULARIES, LAST, LAST_SIDE, METRICS, *TENSORBOARD, RUN)


def create_run_dir(
    folder: Path, settings: Mapping[str, Any], resume: bool = False, overwrite: bool = False
) -> None:
    """Makes a folder the folder of this run.

    Args:
        folder: Absent, empty, or a run.
        settings: What the run depends on, fit for JSON; a resumed run must have the same.
        resume: Go on with the run that is there.
        overwrite: Start over: removes the files that a run writes, and nothing else.

    Raises:
        ValueError: If the folder holds a run and neither is wanted, or something that is no run,
            or if a run to be resumed is not there or had other settings.
    """
    check_free(folder, resume, overwrite)
    wanted: dict[str, Any] = json.loads(json.dumps(settings))
    path = folder / RUN
    if resume:
        _check_same(path, wanted)
        return
    for pattern in WRITTEN:
        for written in folder.glob(pattern):
            written.unlink()
    (folder / LAST).parent.mkdir(parents=True, exist_ok=True)
    (folder / METRICS).parent.mkdir(exist_ok=True)
    write_json(path, wanted)


def check_free(folder: Path, resume: bool = False, overwrite: bool = False) -> None:
    """Raises what :func:`create_run_dir` would raise, whatever the settings."""
    if resume and overwrite:
        raise ValueError("a run is either resumed or overwritten")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file")
    run = (folder / RUN).is_file()
    if resume and not run:
        raise ValueError(f"{folder}: there is no run to resume")
    if run and not (resume or overwrite):
        raise ValueError(f"{folder} holds a run already: resume it, or overwrite it")
    if (
        not run
        and folder.exists()
        and any(p.name not in (PARSES, GRAPHS) for p in folder.iterdir())
    ):
        raise ValueError(f"{folder} holds files that are no run; give another folder")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint with PyTorch's restricted unpickler, which runs no code.

    Raises:
        ValueError: If it is cut short or holds anything but tensors and plain values.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: cut short or no checkpoint; other pickles are never read"
        ) from error
    if not isinstance(checkpoint, dict) or "loops" not in checkpoint:
        raise ValueError(f"{path}: this is no checkpoint of a training")
    return checkpoint


def _check_same(path: Path, settings: dict[str, Any]) -> None:
    before = read_json(path, dict)
    for name in before | settings:
        if name not in (SOURCE, SHARED) and before.get(name) != settings.get(name):
            raise ValueError(
                f"{path}: the run was started with {name} = {before.get(name)!r}, "
                f"it cannot be resumed with {settings.get(name)!r}"
            )
