"""``pyg-sgm parse``"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from pyg_sgm.cli._app import check_out, console, is_stdout, messages
from pyg_sgm.io import counted

if TYPE_CHECKING:
    from pyg_sgm.text import ParsedCaption


def parse(
    caption: str | None = None,
    *,
    file: Path | None = None,
    out: Path | None = None,
    backend: Literal["learned", "rules"] = "learned",
    draw: Path | None = None,
) -> None:
    """Turn captions into scene graphs.

    Parameters
    ----------
    caption
        One caption, whose graph is printed.
    file
        Captions, one per line, instead.
    out
        File of the graphs, one JSON object per line in the order of the captions: caption, objects,
        attributes, relations, exclusions; "-" for the standard output.
    backend
        The network that comes with the package, or rules on spaCy's trees.
    draw
        File of a picture of the caption's graph, such as graph.png.
    """
    from pyg_sgm.text import parse as parse_caption

    if (caption is None) == (file is None):
        raise ValueError("give one caption, or --file")
    check_out(out)
    if file is not None:
        if out is None or draw is not None:
            raise ValueError("--file goes with --out, and not with --draw")
        _parse_file(file, out, backend)
        return
    assert caption is not None
    if draw is not None:
        from pyg_sgm.viz import check_picture

        check_picture(draw)
    parsed = parse_caption(caption, backend)
    if out is not None:
        with _open_out(out) as graphs:
            graphs.write(_json(parsed) + "\n")
    else:
        console.print(str(parsed) or "(nothing)", markup=False, highlight=False)
    if draw is not None:
        from pyg_sgm.viz import draw_caption

        draw_caption(parsed, draw)
        messages.print(f"The picture is in {draw}", markup=False, highlight=False)


def _parse_file(file: Path, out: Path, backend: Literal["learned", "rules"]) -> None:
    from pyg_sgm.text import parse_stream

    number = 0
    with _open_out(out) as graphs:
        for parsed in parse_stream(_lines(file), backend):
            number += 1
            graphs.write(_json(parsed) + "\n")
    messages.print(f"{counted(number, 'graph')} written to {out}", markup=False, highlight=False)


@contextmanager
def _open_out(out: Path) -> Iterator[TextIO]:
    """A file that is written whole or not at all, or the standard output."""
    from pyg_sgm.io import atomic_write

    if is_stdout(out):
        yield sys.stdout
        return
    with atomic_write(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield file


def _json(parsed: "ParsedCaption") -> str:
    """The graph on one line for every reader: characters that some take for its end are escaped."""
    text = json.dumps(parsed.to_dict(), ensure_ascii=False)
    return text if text.isprintable() else json.dumps(parsed.to_dict())


def _lines(path: Path) -> Iterator[str]:
    """Lines of a text file, which end at line feeds alone, beneath a progress bar."""
    from rich.progress import open as progress_open

    with progress_open(
        path,
        "r",
        encoding="utf-8-sig",
        newline="\n",
        description="parsing",
        console=messages,
        disable=not messages.is_terminal,
    ) as file:
        try:
            for line in file:
                yield line.removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error})") from error
