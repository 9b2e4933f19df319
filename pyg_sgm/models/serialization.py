"""A trained model on disk: ``config.json``, ``model.safetensors``, ``vocabularies.json``.

Nothing is pickled.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pyg_sgm.data import Vocabularies
from pyg_sgm.io import read_json, write_json, write_tensors
from pyg_sgm.models.base import GraphSizes, Matcher
from pyg_sgm.models.registry import find_model

CONFIG, WEIGHTS, VOCABULARIES = "config.json", "model.safetensors", "vocabularies.json"
FORMAT = {"format": "pyg_sgm matcher", "version": 1}
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".joblib", ".pkl", ".pickle")


@dataclass(frozen=True)
class SavedModel:
    """What a folder holds.

    Args:
        name: Name of a registered model.
        model: The model with its weights, in evaluation mode.
        vocabularies: What its labels and words mean.
        extractor: What made the graphs of its images from pixels, fit for JSON. (default:
            :obj:`None`, they came as graphs)
    """

    name: str
    model: Matcher
    vocabularies: Vocabularies
    extractor: Mapping[str, Any] | None = None


def save_model(folder: str | os.PathLike[str], saved: SavedModel) -> None:
    """Writes a model; each file to the side and then renamed, the weights last."""
    save_description(folder, saved)
    save_weights(folder, saved.model.state_dict())


def save_description(folder: str | os.PathLike[str], saved: SavedModel) -> None:
    """Writes all but the weights."""
    saved.vocabularies.save(folder)
    config = {
        **FORMAT,
        "model": saved.name,
        "sizes": asdict(saved.model.sizes),
        "options": saved.model.config,
        "extractor": saved.extractor,
    }
    write_json(Path(folder) / CONFIG, config)


def save_weights(folder: str | os.PathLike[str], weights: Mapping[str, Tensor]) -> None:
    """Writes the weights."""
    write_tensors(Path(folder) / WEIGHTS, weights)


def load_model(folder: str | os.PathLike[str]) -> SavedModel:
    """Reads what :func:`save_model` wrote.

    Raises:
        ValueError: Naming the file, if one is missing, cut short, a pickle, of a later version, or
            does not fit the others.
    """
    folder = Path(folder)
    if folder.suffix.lower() in PICKLES:
        raise ValueError(f"{folder}: pickles are never read, they can run code; give the folder")
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder of a saved model")
    for name in (CONFIG, VOCABULARIES, WEIGHTS):
        if not (folder / name).is_file():
            pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
            refused = f" ({', '.join(pickles)}: pickles are never read)" if pickles else ""
            raise ValueError(f"{folder / name} is missing{refused}")
    config = read_config(folder / CONFIG)
    vocabularies = Vocabularies.load(folder)
    sizes = config["sizes"]
    for field in fields(vocabularies):
        if len(getattr(vocabularies, field.name)) != sizes[field.name]:
            raise ValueError(
                f"{folder / VOCABULARIES}: {len(getattr(vocabularies, field.name))} "
                f"{field.name}, but {CONFIG} says {sizes[field.name]}"
            )
    model = build_model(config["model"], GraphSizes(**sizes), config["options"])
    model.load_state_dict(read_weights(folder / WEIGHTS, model))
    return SavedModel(config["model"], model.eval(), vocabularies, config.get("extractor"))


def build_model(name: str, sizes: GraphSizes, options: Mapping[str, Any], seed: int = 0) -> Matcher:
    """A new model, initialised from a seed; the global random numbers stay as they are.

    Raises:
        ValueError: If there is no such model, or it does not take the options.
    """
    cls = find_model(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return cls(sizes, **options)
        except TypeError as error:
            raise ValueError(f"model {name!r}: {error}") from error


def read_config(path: Path) -> dict[str, Any]:
    """Reads and checks ``config.json``."""
    config = read_json(path, dict)
    if config.get("format") != FORMAT["format"]:
        raise ValueError(f"{path}: this is no model of pyg_sgm")
    if config.get("version") != FORMAT["version"]:
        raise ValueError(f"{path}: version {config.get('version')!r}, expected {FORMAT['version']}")
    try:
        find_model(str(config.get("model")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    names = {field.name for field in fields(GraphSizes)}
    sizes, options = config.get("sizes"), config.get("options")
    if (
        not isinstance(sizes, dict)
        or set(sizes) != names
        or not all(isinstance(size, int) and size >= 0 for size in sizes.values())
    ):
        raise ValueError(f"{path}: sizes: expected the numbers {', '.join(sorted(names))}")
    if not isinstance(options, dict):
        raise ValueError(f"{path}: options: expected an object")
    if not isinstance(config.get("extractor"), dict | None):
        raise ValueError(f"{path}: extractor: expected an object, or null")
    return config


def read_weights(path: Path, model: Matcher) -> dict[str, Tensor]:
    """Reads weights and checks that they are those of the model's architecture."""
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path}: cut short or not a safetensors file; pickles are never read ({error})"
        ) from error
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        odd = sorted(k for k in expected | found if expected.get(k) != found.get(k))[0]
        raise ValueError(
            f"{path}: weights of another architecture: {odd} is {found.get(odd, 'missing')}, "
            f"the model has {expected.get(odd, 'no such weight')}"
        )
    return weights
