"""The folder of a training run: making it, going on in it, starting over in it.

::

    run.json                            what was asked for, and which data
    config.json, model.safetensors, vocabularies.json   the best model so far
    query_bank.safetensors              of a recipe with a query bank, when training has ended
    attributes.safetensors              of a recipe with attribute words: what names them
    checkpoints/last.ckpt               everything needed to go on
    logs/metrics.csv, logs/events.*     one row per epoch, and TensorBoard
    parses.jsonl                        parses of captions that came without a graph
    graphs.sg/                          graphs of images that came as files
    calibration.json                    what its scores are worth
    rerank.json                         what the scores of others are worth beside its own
    words.vec/                          vectors of words from a text encoder
    skipped_records.jsonl               records of the data that were left out, and why

``run.json`` comes first and says no more than that the folder is a run, until the data are ready.
A run that stopped before the end of its first epoch has nothing to lose: the same call starts it
again.
"""

import hashlib
import io
import json
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pyg_sgm.datasets import SkippedRecord
from pyg_sgm.io import (
    is_temporary,
    locked,
    read_json,
    remove_temporaries,
    write_json,
    write_text,
)
from pyg_sgm.models.registry import saved_recipe
from pyg_sgm.models.serialization import ATTRIBUTES, BANK, CONFIG, VOCABULARIES, WEIGHTS

RUN = "run.json"
MARKER = {"format": "pyg_sgm run", "version": 1}
# In it: names of the data and of a shared graph folder, which may move between two calls; the part
# of the data that the best weights were chosen on, and the names of its images; the split that was
# trained on.
SOURCE, SHARED, HELD_OUT, HELD_OUT_IMAGES = "source", "graphs", "held_out", "held_out_images"
SPLIT = "split"
CONTENT = "content"  # a digest of the data
# True of any run on the same captions and images, so these outlive an overwritten one.
PARSES, GRAPHS, VECTORS = "parses.jsonl", "graphs.sg", "words.vec"
SKIPPED = "skipped_records.jsonl"
CALIBRATION = "calibration.json"
RERANK = "rerank.json"
LAST = "checkpoints/last.ckpt"
METRICS = "logs/metrics.csv"
TENSORBOARD = ("logs/events.out.tfevents.*", "logs/hparams.yaml")
# The second is a temporary file of version 0.1.
WRITTEN = (
    LAST,
    LAST + ".tmp",
    CONFIG,
    WEIGHTS,
    BANK,
    ATTRIBUTES,
    VOCABULARIES,
    CALIBRATION,
    RERANK,
    METRICS,
    *TENSORBOARD,
)
_FOLDERS = ("checkpoints", "logs")
_MODEL = {CONFIG, WEIGHTS, BANK, ATTRIBUTES, VOCABULARIES, CALIBRATION, RERANK}
_OWN = {RUN, *_MODEL, PARSES, GRAPHS, VECTORS, SKIPPED, *_FOLDERS}
# Earlier versions did not write these.
_NEW = (HELD_OUT_IMAGES, f"{HELD_OUT}.num_images", SPLIT, CONTENT)
_TRAILER = b"\nsha256:"
_RESUME, _OVERWRITE = "--resume, resume=True", "--overwrite, overwrite=True"


@contextmanager
def run_dir(
    folder: Path | None, resume: bool = False, overwrite: bool = False, preparing: bool = False
) -> Iterator[None]:
    """Makes a folder that of a run, and keeps other processes out of it during the block. Processes
    that share the work on further devices leave it to the first.

    Args:
        folder (Path): Absent, empty, or a run; or none, then nothing happens.
        resume (bool, optional): Go on with the run that is there. (default: :obj:`False`)
        overwrite (bool, optional): Start over: removes the files that a run writes, and nothing
            else. (default: :obj:`False`)
        preparing (bool, optional): The block may fail for what was asked, so the run that is to be
            overwritten stays; another block follows. (default: :obj:`False`)

    Raises:
        ValueError: If the folder holds a run and neither is wanted, or something that is no run, or
            if a run to be resumed is not there, or another process uses the folder.
    """
    if folder is None or not is_first_process():
        yield
        return
    check_run_dir(folder, resume, overwrite)
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        check_run_dir(folder, resume, overwrite)  # it may have changed before the lock
        for part in (folder, *(folder / name for name in _FOLDERS)):
            remove_temporaries(part)
        stays = preparing and overwrite and not new
        if not (stays or (resume and _is_prepared(folder))):
            # First, so that whatever ends this process leaves a folder that is known to be a run.
            write_json(folder / RUN, MARKER)
            _clear(folder)
        try:
            yield
        except Exception:
            if new and [path.name for path in folder.iterdir()] == [RUN]:
                (folder / RUN).unlink()  # what failed at once leaves nothing behind
                folder.rmdir()
            raise


def start_run(folder: Path, settings: Mapping[str, Any], resume: bool = False) -> None:
    """Writes what a run depends on, or compares it with what is there.

    Args:
        folder (Path): Inside the block of :func:`run_dir`.
        settings (dict): Fit for JSON. A resumed run must have the same, except that it may have
            more epochs.
        resume (bool, optional): Go on with the run that is there. (default: :obj:`False`)

    Raises:
        ValueError: If the run to be resumed had other settings.
    """
    wanted: dict[str, Any] = MARKER | json.loads(json.dumps(settings))
    if resume and _is_prepared(folder):
        _check_same(folder, wanted)
    for name in _FOLDERS:
        (folder / name).mkdir(exist_ok=True)
    if read_json(folder / RUN) != wanted:
        write_json(folder / RUN, wanted)


def check_run_dir(folder: Path, resume: bool = False, overwrite: bool = False) -> None:
    """Raises what :func:`run_dir` would raise of a folder, and changes nothing."""
    if resume and overwrite:
        raise ValueError("a run is either resumed or overwritten")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file")
    if (folder / RUN).is_file():
        if not (resume or overwrite) and _has_epoch(folder):
            raise ValueError(
                f"{folder} holds a run already: go on with it ({_RESUME}), or replace it "
                f"({_OVERWRITE})"
            )
        return
    if resume:
        raise ValueError(f"{folder}: there is no run to resume")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    names = {name for name in names if not is_temporary(name)}
    if names - _OWN:
        raise ValueError(f"{folder} holds files that are no run, such as {min(names - _OWN)}")
    kept = any(path.is_file() for name in _FOLDERS for path in (folder / name).glob("*"))
    if (names & _MODEL or kept) and not overwrite:
        raise ValueError(
            f"{folder} holds a model or parts of a run without {RUN}: replace it ({_OVERWRITE})"
        )


def is_first_process() -> bool:
    """Whether this process is the one that writes: the others are started by it, to share its
    work on further devices."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def write_skipped(folder: Path, records: Iterable[SkippedRecord]) -> None:
    """Lists the records of the data that were left out, one JSON object per line.

    Args:
        folder (Path): The run.
        records (iterable): What was left out; of none, no file is written.
    """
    lines = [json.dumps({"id": record.id, "reason": record.reason}) for record in records]
    if lines:
        write_text(folder / SKIPPED, "\n".join(lines) + "\n")
    else:
        (folder / SKIPPED).unlink(missing_ok=True)


def read_run(folder: Path) -> dict[str, Any]:
    """What a run was asked for; nothing, if the folder is no run but a saved matcher.

    Raises:
        ValueError: Naming the file, if it is cut short.
    """
    return read_json(folder / RUN, dict) if (folder / RUN).is_file() else {}


def seal_checkpoint(path: Path) -> None:
    """Adds a checksum to the end of a checkpoint."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with path.open("ab") as file:
        file.write(_TRAILER + digest.encode())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint, of which nothing but tensors and plain values is unpickled.

    Raises:
        ValueError: If it is cut short, changed, or not a checkpoint.
    """
    raw = path.read_bytes()
    content, sealed, digest = raw.rpartition(_TRAILER)
    if sealed:
        whole = hashlib.sha256(content).hexdigest().encode() == digest
    else:  # of version 0.1, which ends as a zip file does
        content, whole = raw, raw[-22:-18] == b"PK\5\6"
    if not whole:
        raise ValueError(f"{path}: cut short or no checkpoint; other pickles are never read")
    try:
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{path}: cut short or no checkpoint; other pickles are never read"
        ) from error
    if not isinstance(checkpoint, dict) or "loops" not in checkpoint:
        raise ValueError(f"{path}: this is no checkpoint of a training")
    return checkpoint


def _has_epoch(folder: Path) -> bool:
    """Whether an epoch of the run has ended, so that there is something to lose."""
    kept = (folder / LAST).exists() or (folder / WEIGHTS).exists()
    return kept and _is_prepared(folder)


def _is_prepared(folder: Path) -> bool:
    """Whether the settings of the run are there; what lies beside the bare marker is of a run that
    was being replaced."""
    return read_run(folder) != MARKER


def _clear(folder: Path) -> None:
    for pattern in WRITTEN:
        for written in folder.glob(pattern):
            written.unlink()


def _check_same(folder: Path, wanted: dict[str, Any]) -> None:
    run = read_run(folder)
    if "model" in wanted and isinstance(run.get("recipe"), dict):
        try:  # it may have names of an earlier version
            run["recipe"] = saved_recipe(wanted["model"], run["recipe"]).to_dict()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{folder / RUN}: recipe: {error}") from error
    before, now = _flat(run), _flat(wanted)
    for name in before | now:
        if name in (*MARKER, SOURCE, SHARED) or before.get(name) == now.get(name):
            continue
        if name in _NEW and name not in before:
            continue
        if name == "recipe.epochs" and now[name] > before[name]:
            continue
        if name in ("data", CONTENT):  # digests
            raise ValueError(
                f"{folder}: the images, graphs or captions are not those that the run was "
                f"started with; replace it ({_OVERWRITE}), or give another folder"
            )
        raise ValueError(
            f"{folder / RUN}: the run was started with {name} = {_short(before.get(name))}, it "
            f"cannot be resumed with {_short(now.get(name))}; replace it ({_OVERWRITE}), or give "
            "another folder"
        )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"recipe": {"lr": 1}}`` as ``{"recipe.lr": 1}``."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        nested = isinstance(value, dict) and value
        flat |= _flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return flat


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
