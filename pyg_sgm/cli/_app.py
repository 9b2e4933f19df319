"""What the commands share: the app, its console, parameters, and helpers."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

try:
    from cyclopts import App, Parameter
    from rich.console import Console, ConsoleDimensions
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )
except ImportError as error:
    raise ImportError("the command line needs more: pip install pyg_sgm[train]") from error

from pyg_sgm.io import write_json as write_json_file
from pyg_sgm.retrieval import SceneGraphMatcher

app = App(
    name="pyg-sgm",
    help="Match images with captions by their scene graphs.",
    version_flags=[],
    result_action="return_value",
)
WIDE = 100_000  # columns, where nothing but a terminal would cut lines


class _Console(Console):
    """A console that cuts no names and wraps no lines when it writes to a file or a pipe."""

    @property
    def size(self) -> ConsoleDimensions:
        return super().size if self.is_terminal else ConsoleDimensions(WIDE, 25)


console = _Console()

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
JsonFile = Annotated[Path | None, Parameter(name="--json", allow_leading_hyphen=True)]  # or "-"
Run = Annotated[Path, Parameter(help="Folder of a training run or of a saved matcher.")]


def open_run(run: Path) -> SceneGraphMatcher:
    """The trained matcher of a folder."""
    if not run.is_dir():
        raise ValueError(f"{run}: there is no such folder of a training run")
    return SceneGraphMatcher.from_pretrained(run)


@contextmanager
def count_up(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar, which is told how many are done and how many there are."""
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=None, visible=False)  # what fails at once leaves no bar
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON to a file, or "-" to standard output."""
    if str(path) == "-":
        print(json.dumps(value, indent=2, ensure_ascii=False))
        return
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    write_json_file(path, value)
