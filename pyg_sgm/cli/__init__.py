"""The command ``pyg-sgm``: needs the extra ``train``."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pyg_sgm.cli._app import app  # first: says what to install

# isort: split
from cyclopts import CycloptsError, Parameter
from cyclopts.config import Yaml

from pyg_sgm.cli.evaluate import evaluate
from pyg_sgm.cli.explain import explain
from pyg_sgm.cli.graphs import graphs
from pyg_sgm.cli.parse import parse
from pyg_sgm.cli.probe import probe
from pyg_sgm.cli.search import search
from pyg_sgm.cli.train import train

for command in (train, evaluate, explain, search, probe, parse, graphs):
    app.command(command)


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
    if tokens[:1] == ("rank",):
        warnings.warn("the command rank is now called search", DeprecationWarning, stacklevel=1)
        tokens = ("search", *tokens[1:])
    file = () if config is None else (Yaml(config, must_exist=True, use_commands_as_keys=False),)
    app.config = file
    app(tokens, exit_on_error=False, print_error=False)


def main(tokens: Sequence[str] | None = None) -> None:
    """Runs the command line; a mistake of the user is one line and exit status 2.

    Args:
        tokens: The words of the command line. (default: those of the process)
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            app.meta(
                sys.argv[1:] if tokens is None else list(tokens),
                exit_on_error=False,
                print_error=False,
            )
    except (CycloptsError, ValueError, OSError, ImportError) as error:
        message = " ".join(str(error).split())
        print(f"pyg-sgm: {message}", file=sys.stderr)
        sys.exit(2)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """One line, without the place in the code that it comes from."""
    print(f"pyg-sgm: warning: {message}", file=sys.stderr)
