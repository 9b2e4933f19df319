"""The app, and what its commands share. Nothing here or at the top of a command's module imports
PyTorch, so that help and mistyped flags are answered at once."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pyg_sgm import __version__

try:
    from cyclopts import App, CycloptsError, Parameter
    from cyclopts.config import Yaml
    from rich.console import Console, ConsoleDimensions
except ImportError as error:
    raise ImportError("the command line needs more: pip install pyg_sgm[train]") from error

if TYPE_CHECKING:
    from pyg_sgm.cli._data import Networks
    from pyg_sgm.distributed import Pool
    from pyg_sgm.retrieval import SceneGraphMatcher

# Where each is, imported when it is called; what help says of it.
COMMANDS = {
    "train": ("train:train", "Train a model and keep its best weights in a folder."),
    "evaluate": ("evaluate:evaluate", "Print recall and median rank in both directions."),
    "calibrate": ("calibrate:calibrate", "Measure what scores are worth, as chances."),
    "explain": ("explain:explain", "Show which word matched which object."),
    "search": ("search:search", "Find images for a text, texts for an image, or like images."),
    "rerank": ("rerank:rerank", "Put images that something else has found in order."),
    "clip": ("clip:clip", "Find candidates to rerank by CLIP or SigLIP."),
    "serve": ("serve:serve", "Search an index in the browser, and by an API of JSON."),
    "probe": ("probe:probe", "Print how often a true caption scores higher than a false one."),
    "parse": ("parse:parse", "Turn captions into scene graphs."),
    "finetune": ("finetune:finetune", "Train the last blocks of a backbone on photos."),
    "graphs": ("graphs:graphs", "Turn a folder of images into scene graphs."),
}
INDEX = {
    "build": "Make an index of photos, or of a dataset.",
    "add": "Add photos to an index.",
    "remove": "Remove photos from an index.",
    "info": "Say what an index holds and what made it.",
    "optimize": "Join the small files of an index.",
    "rebuild": "Make an index fit another run, or mend it.",
    "verify": "Say which files of an index are damaged.",
    "export": "Write the rows of an index to a file.",
}

app = App(
    name="pyg-sgm",
    help="Match images with captions by their scene graphs.",
    version=__version__,
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main says where it stopped
)
app.meta.suppress_keyboard_interrupt = False
for name, (place, help) in COMMANDS.items():
    app.command(f"pyg_sgm.cli.{place}", name=name, help=help)
index = App(name="index", help="Keep encoded photos on the disk, to search among many.")
for name, help in INDEX.items():
    index.command(f"pyg_sgm.cli.index:{name}", name=name, help=help)
app.command(index)


class _Console(Console):
    """A console that cuts no names and wraps no lines when it writes to a file or a pipe."""

    @property  # type: ignore[misc]
    def size(self) -> ConsoleDimensions:
        return super().size if self.is_terminal else ConsoleDimensions(100_000, 25)


console = _Console()  # for results
messages = Console(stderr=True)  # for progress, and where results are

Data = Annotated[
    str,
    Parameter(
        help="Dataset: images:FOLDER (with --captions), flickr8k:FOLDER, scene-world, ...; a wrong "
        "name lists all."
    ),
]
KnownData = Annotated[
    str | None,
    Parameter(help="Dataset, as train takes it. [default: that of the training]"),
]
JsonFile = Annotated[Path | None, Parameter(name="--json")]
Run = Annotated[Path, Parameter(help="Folder of a training run or of a saved matcher.")]
TextEncoderName = Annotated[
    str | None,
    Parameter(
        help="Language model that gives the vectors of words: minilm (extra minilm), or hf:NAME; "
        "either with ,layers=all for its states after all layers beside those after the last. "
        "[default: that of the run, if it is shipped; in training that of the recipe]"
    ),
]


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Path | None = None,
) -> None:
    """Runs a command with the settings of a file beneath its flags.

    Parameters
    ----------
    config
        YAML file of flags and their values, such as "lr: 0.001"; flags on the line go before it.
    """
    if config is not None:
        _check_yaml(config)
        app.config = (Yaml(config, must_exist=True, use_commands_as_keys=False),)
    else:
        app.config = ()
    app(tokens, exit_on_error=False, print_error=False)


def run(tokens: list[str]) -> None:
    """Runs one command.

    Raises:
        ValueError: If the words are no command.
    """
    # Cyclopts takes a hyphen for a flag, unless it is joined to one.
    joined: list[str] = []
    for token in tokens:
        if token == "-" and joined and re.fullmatch(r"--[a-z][a-z-]*", joined[-1]):
            joined[-1] += "=-"
        else:
            joined.append(token)
    tokens = joined
    if tokens[:1] == ["rank"]:
        warnings.warn("the command rank is now called search", DeprecationWarning, stacklevel=1)
        tokens = ["search", *tokens[1:]]
    # The own help of a command says more than its line in that of all.
    command = next((token for token in tokens if token in (*COMMANDS, "index")), None)
    if command == "index":
        part = next((token for token in tokens if token in INDEX), None)
        if part is not None:
            index[part].help = None
    elif command is not None:
        app[command].help = None
    try:
        app.meta(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise ValueError(str(error)) from error


def open_run(run: Path, networks: Networks | None = None) -> SceneGraphMatcher:
    """The trained matcher of a folder, with the text encoder that flags name."""
    from pyg_sgm.index.reading import is_index
    from pyg_sgm.retrieval import SceneGraphMatcher

    if not run.is_dir():
        raise ValueError(f"{run}: there is no such folder of a training run")
    if is_index(run):
        raise ValueError(f"{run} is an index: give the run that it was built with")
    matcher = SceneGraphMatcher.from_pretrained(run)
    set_text_encoder(matcher, networks)
    return matcher


def set_text_encoder(matcher: SceneGraphMatcher, networks: Networks | None) -> None:
    """Gives a trained matcher its text encoder, if a flag names it."""
    from pyg_sgm.text import open_text_encoder

    if networks is not None and networks.text_encoder is not None:
        matcher.text_encoder = open_text_encoder(networks.text_encoder)


def open_pool(ray: str | None) -> Pool | None:
    """The workers of a Ray cluster, if its address is given."""
    from pyg_sgm.distributed import RayPool

    return None if ray is None else RayPool(ray)


@contextmanager
def count_up(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar, which is told how many are done and how many there are."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as bar:
        task = bar.add_task(name, total=None, visible=False)  # what fails at once leaves no bar
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def print_title(text: str) -> None:
    """What a table is about, above it: a title of the table's own would wrap at its width."""
    console.print(text, style="italic", markup=False, highlight=False)


def check_out(path: Path | None) -> None:
    """Checks a file to be written before the work that it is about; ``-`` is the standard output.

    Raises:
        ValueError: If its folder is absent, or it is a folder.
    """
    if path is None or is_stdout(path):
        return
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder")


def is_stdout(path: Path | None) -> bool:
    """Whether a file to be written is the standard output, which then has nothing else."""
    return path is not None and str(path) in ("-", "/dev/stdout")


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, with dates of metadata as ISO 8601 has them, to the standard output if
    the path is ``-``."""
    from pyg_sgm.io import write_text

    check_out(path)
    text = json.dumps(value, indent=2, default=_plain) + "\n"
    if is_stdout(path):
        sys.stdout.write(text)
    else:
        write_text(path, text)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _check_yaml(path: Path) -> None:
    import yaml

    from pyg_sgm.io import read_text

    try:
        settings = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f'{path}: expected flags and their values, such as "lr: 0.001"')
