"""A trained model on disk: ``config.json``, ``model.safetensors``, ``vocabularies.json``.

Nothing is pickled.
"""

import inspect
import math
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pyg_sgm.data import Vocabularies
from pyg_sgm.io import read_json, write_json, write_tensors
from pyg_sgm.models.base import GraphSizes, Matcher
from pyg_sgm.models.query_bank import TEMPERATURE, QueryBank
from pyg_sgm.models.registry import find_model, model_name

CONFIG, WEIGHTS, VOCABULARIES = "config.json", "model.safetensors", "vocabularies.json"
BANK, ATTRIBUTES = "query_bank.safetensors", "attributes.safetensors"
FORMAT = {"format": "pyg_sgm matcher", "version": 1}
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".joblib", ".pkl", ".pickle")


class Saveable(Protocol):
    """What writes itself to a file."""

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Writes the file."""


@dataclass(frozen=True)
class SavedModel:
    """What a folder holds.

    Args:
        name (str): Name of a registered model.
        model (Matcher): The model with its weights, in evaluation mode.
        vocabularies (Vocabularies): What its labels and words mean.
        extractor (dict, optional): What made the graphs of its images from pixels, fit for JSON.
            (default: :obj:`None`, they came as graphs)
        text_encoder (dict, optional): What gives the features of words, fit for JSON. (default:
            :obj:`None`, words have none)
        attribute_head (Saveable, optional): What names attributes of objects, written beside the
            model; :func:`load_model` leaves it to its own class. (default: :obj:`None`)
    """

    name: str
    model: Matcher
    vocabularies: Vocabularies
    extractor: Mapping[str, Any] | None = None
    text_encoder: Mapping[str, Any] | None = None
    attribute_head: Saveable | None = None


def save_model(folder: str | os.PathLike[str], saved: SavedModel) -> None:
    """Writes a model; each file to the side and then renamed.

    Args:
        folder (str or PathLike): Where it is written.
        saved (SavedModel): The model and what belongs to it.

    Raises:
        OSError: Naming the file, if one cannot be written.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    model = saved.model
    if isinstance(model, QueryBank):
        write_tensors(Path(folder) / BANK, model.bank())
        model = model.model
    save_weights(folder, model.state_dict())
    save_description(folder, saved)


def save_description(folder: str | os.PathLike[str], saved: SavedModel) -> None:
    """Writes all but the weights and the bank."""
    saved.vocabularies.save(folder)
    if saved.attribute_head is not None:
        saved.attribute_head.save(Path(folder) / ATTRIBUTES)
    config = {
        **FORMAT,
        "model": saved.name,
        "sizes": asdict(saved.model.sizes),
        "options": saved.model.config,
        "extractor": saved.extractor,
        "text_encoder": saved.text_encoder,
        "query_bank": isinstance(saved.model, QueryBank),
        "query_bank_temperature": bank_temperature(saved.model),
        "attribute_head": saved.attribute_head is not None,
    }
    write_json(Path(folder) / CONFIG, config)


def save_weights(folder: str | os.PathLike[str], weights: Mapping[str, Tensor]) -> None:
    """Writes the weights."""
    write_tensors(Path(folder) / WEIGHTS, weights)


def load_model(folder: str | os.PathLike[str]) -> SavedModel:
    """Reads what :func:`save_model` wrote.

    Args:
        folder (str or PathLike): Where it was written.

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
    model = _empty_model(folder / CONFIG, config)
    weights = read_weights(folder / WEIGHTS, model)
    model.load_state_dict(weights, assign=True)
    if any(buffer.is_meta for buffer in model.buffers()):  # some that are not saved
        model = build_model(config["model"], GraphSizes(**sizes), config["options"])
        model.load_state_dict(weights)
    if config.get("query_bank"):
        model = _with_bank(folder / BANK, model, config["query_bank_temperature"])
    return SavedModel(
        config["model"],
        model.eval(),
        vocabularies,
        config.get("extractor"),
        config.get("text_encoder"),
    )


def bank_temperature(model: Matcher) -> float | None:
    """That of the query bank of a model; :obj:`None` of one without.

    Args:
        model (Matcher): The model.
    """
    return model.temperature if isinstance(model, QueryBank) else None


def _with_bank(path: Path, model: Matcher, temperature: float) -> QueryBank:
    try:
        with safe_open(path, framework="pt") as file:
            bank = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: missing, cut short or not a safetensors file") from error
    like = next(model.parameters())
    bank = {k: v.to(like) if v.is_floating_point() else v for k, v in bank.items()}
    try:
        return QueryBank.of_bank(model, bank, temperature)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def build_model(
    model: str | type[Matcher], sizes: GraphSizes, options: Mapping[str, Any], seed: int = 0
) -> Matcher:
    """A new model, initialized from a seed; the global random numbers stay as they are.

    Args:
        model (str or type): Name of a registered model, or its class.
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        options (dict): Further arguments of the model.
        seed (int, optional): Of the initial weights. (default: :obj:`0`)

    Raises:
        ValueError: If there is no such model, or it does not take the options.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # no card draws anything
        return _build(find_model(model), sizes, options)


def _build(model: type[Matcher], sizes: GraphSizes, options: Mapping[str, Any]) -> Matcher:
    try:
        return model(sizes, **options)
    except (TypeError, RuntimeError, OverflowError) as error:
        name = model_name(model)
        raise ValueError(f"model {name!r}: {str(error).splitlines()[0]}") from error


def _empty_model(path: Path, config: Mapping[str, Any]) -> Matcher:
    """The model without memory for its weights, and without a look at random numbers."""
    try:
        with torch.device("meta"):
            sizes = GraphSizes(**config["sizes"])
            return _build(find_model(config["model"]), sizes, config["options"])
    except ValueError as error:
        raise ValueError(f"{path}: options: {error}") from error


def check_options(model: str | type[Matcher], options: Mapping[str, Any]) -> None:
    """Checks the options of a model before its sizes are known, without memory for it.

    Args:
        model (str or type): Name of a registered model, or its class.
        options (dict): Further arguments of the model.

    Raises:
        ValueError: If it does not take them.
    """
    architecture = find_model(model)
    known = list(inspect.signature(architecture).parameters)[1:]  # without the sizes
    for option in options:
        if option not in known:
            near = get_close_matches(option, known, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"model {model_name(model)!r} has no option {option!r}; {meant}"
                f"known: {', '.join(known)}"
            )
    try:
        with torch.device("meta"):
            _build(architecture, GraphSizes(1, 1, 1, 1, 1), options)
    except ValueError as error:
        # A model that computes with its first weights cannot be built without any.
        if not isinstance(error.__cause__, NotImplementedError):
            raise


def read_config(path: Path) -> dict[str, Any]:
    """Reads and checks ``config.json``."""
    config: dict[str, Any] = read_json(path, dict)
    if config.get("format") != FORMAT["format"]:
        raise ValueError(f"{path}: this is no model of pyg_sgm")
    if config.get("version") != FORMAT["version"]:
        raise ValueError(f"{path}: version {config.get('version')!r}, expected {FORMAT['version']}")
    try:
        model = find_model(str(config.get("model")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    names = {field.name for field in fields(GraphSizes)}
    needed = {field.name for field in fields(GraphSizes) if field.default is MISSING}
    sizes, options = config.get("sizes"), config.get("options")
    if (
        not isinstance(sizes, dict)
        or not needed <= set(sizes) <= names
        or not all(isinstance(size, int) and size >= 0 for size in sizes.values())
    ):
        raise ValueError(f"{path}: sizes: expected the numbers {', '.join(sorted(names))}")
    if not isinstance(options, dict):
        raise ValueError(f"{path}: options: expected an object")
    config["options"] = {model.renamed_options.get(k, k): v for k, v in options.items()}
    for name in ("extractor", "text_encoder"):
        if not isinstance(config.get(name), dict | None):
            raise ValueError(f"{path}: {name}: expected an object, or null")
    for name in ("query_bank", "attribute_head"):
        if not isinstance(config.get(name, False), bool):
            raise ValueError(f"{path}: {name}: expected true or false")
    temperature = config.get("query_bank_temperature")
    if temperature is None:  # there is no bank, or it is of a version that knew only one
        temperature = TEMPERATURE
    if not isinstance(temperature, int | float) or not 0 < temperature < math.inf:
        raise ValueError(f"{path}: query_bank_temperature: expected a number above 0")
    config["query_bank_temperature"] = temperature
    return config


def read_weights(path: Path, model: Matcher) -> dict[str, Tensor]:
    """Reads weights, after a look at the header of the file: they are those of the model's
    architecture.

    Args:
        path (Path): The file.
        model (Matcher): The model, which may be on the device ``"meta"``.

    Raises:
        ValueError: If the file is cut short, of another architecture, or has a value that is not
            finite.
    """
    state = model.state_dict()
    expected = {name: list(value.shape) for name, value in state.items()}
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            if expected != found:
                odd = sorted(k for k in expected | found if expected.get(k) != found.get(k))[0]
                raise ValueError(
                    f"{path}: weights of another architecture: {odd} is "
                    f"{found.get(odd, 'missing')}, the model has "
                    f"{expected.get(odd, 'no such weight')}"
                )
            # Copies, since the file may be replaced while the model is in use.
            weights = {
                name: file.get_tensor(name).to(value.dtype, copy=True)
                for name, value in state.items()
            }
    except SafetensorError as error:
        raise ValueError(
            f"{path}: cut short or not a safetensors file; pickles are never read ({error})"
        ) from error
    for name, value in weights.items():
        if not value.isfinite().all():
            raise ValueError(f"{path}: {name} holds NaN or infinity")
    return weights
