"""``pyg-sgm parse``"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from rich.progress import open as progress_open

from pyg_sgm.cli._app import console
from pyg_sgm.io import atomic_write
from pyg_sgm.text import parse as parse_caption
from pyg_sgm.text import parse_stream
from pyg_sgm.viz import draw_caption


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
        Captions, one a line, instead.
    out
        File of the graphs of --file, one JSON object a line in the order of the captions: caption,
        objects, attributes, relations.
    backend
        The network that comes with the package, or rules on spaCy's trees.
    draw
        File of a picture of the caption's graph, such as graph.png.
    """
    if (caption is None) == (file is None):
        raise ValueError("give one caption, or --file")
    if caption is not None:
        parsed = parse_caption(caption, backend)
        console.print(str(parsed) or "(nothing)", markup=False, highlight=False)
        if draw is not None:
            draw_caption(parsed, draw)
            console.print(f"The picture is in {draw}")
        return
    assert file is not None
    if out is None or draw is not None:
        raise ValueError("--file goes with --out, and not with --draw")
    if not out.parent.is_dir():
        raise ValueError(f"{out}: there is no folder {out.parent}")
    number = 0
    lines = (line.rstrip("\r\n") for line in _lines(file))
    with atomic_write(out) as side, side.open("w", encoding="utf-8") as graphs:
        for parsed in parse_stream(lines, backend):
            number += 1
            graphs.write(json.dumps(parsed.to_dict(), ensure_ascii=False) + "\n")
    console.print(f"{number} graphs are in {out}")


def _lines(path: Path) -> Iterator[str]:
    """Lines of a text file, beneath a progress bar."""
    with progress_open(path, "r", encoding="utf-8", description="parsing", console=console) as file:
        try:
            yield from file
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error})") from error
