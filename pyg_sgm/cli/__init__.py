"""The command ``pyg-sgm``: needs the extra ``train``."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def main(tokens: Sequence[str] | None = None) -> None:
    """Runs the command line; a mistake of the user is one line and exit status 2, Ctrl-C one line
    and 130, SIGTERM one line and 143.

    Args:
        tokens (list of str, optional): The words of the command line. (default: those of the
            process)
    """
    # Threads that wait for each other give way after some 50 microseconds. Beside another busy
    # process a step of training takes three times as long where they spin on, and where they give
    # way at once it takes a third longer with nothing beside it. The libraries that torch may be
    # built with read these when they are loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    # oneDNN keeps code and buffers for the shapes of the last 1,024 products, and those of ragged
    # graphs hardly ever come again: a training takes a gigabyte less with 256. All layers of two
    # backbones have 146.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
    stopped_by = [signal.SIGINT]
    try:
        with _sigterm_stops(stopped_by), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("ignore", ResourceWarning)  # no word for who types commands
            from pyg_sgm.cli._app import run  # says what to install

            run(sys.argv[1:] if tokens is None else list(tokens))
    except BrokenPipeError:  # of pyg-sgm ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt as stop:
        _say(str(stop) or "stopped")
        sys.exit(128 + stopped_by[-1])
    except (ValueError, OSError, ImportError) as error:
        _say(str(error))
        sys.exit(2)


@contextmanager
def _sigterm_stops(stopped_by: list[signal.Signals]) -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what is done is kept."""

    def stop(*_: object) -> None:
        stopped_by.append(signal.SIGTERM)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """One line, without the place in the code that it comes from."""
    _say(f"warning: {message}")


def _say(message: str) -> None:
    print(f"pyg-sgm: {' '.join(message.split())}", file=sys.stderr, flush=True)
