"""What all pictures share: colors, pixels, files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyg_sgm.io import atomic_write, is_path
from pyg_sgm.vision.images import read_photo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 2048  # pixels of the longer side of a photo that is drawn
INK, GRAY, FAINT = "#222222", "#73787f", "#b8bcc2"


def new_figure(width: float, height: float) -> Figure:
    """An empty picture, in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need Matplotlib: pip install pyg_sgm[viz]") from error
    return Figure(figsize=(width, height), dpi=150)


def grid(count: int) -> np.ndarray:
    """Boxes side by side in rows, ``[count, 4]`` in ``[0, 1]``."""
    columns = max(1, int(np.ceil(np.sqrt(count))))
    row, column = np.divmod(np.arange(count), columns)
    step = 1 / columns
    corner = np.stack([column, row], axis=1) * step
    return np.concatenate([corner + 0.15 * step, corner + 0.85 * step], axis=1)


def read_pixels(image: Any) -> np.ndarray | None:
    """The pixels of a file or an array; none of nothing."""
    if image is None:
        return None
    if isinstance(image, (str, os.PathLike)) or is_path(image):
        return read_photo(image, at_most=MOST).pixels
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"image: expected an array [height, width, 3], got {pixels.shape}")
    return pixels


def finish(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    """Takes dollars in texts as they are, not for formulas, and writes the picture, if asked to."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    if path is not None:
        _save(figure, Path(path))
    return figure


def check_picture(path: str | os.PathLike[str]) -> None:
    """Checks a file of a picture before the work that it is about.

    Args:
        path (str or PathLike): The file; its ending says the format.

    Raises:
        ValueError: If there is no such format, or no such folder.
        ImportError: Without Matplotlib.
    """
    path = Path(path)
    known = new_figure(1, 1).canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(f"{path}: unknown format; known: {', '.join(sorted(known))}")
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")


def _save(figure: Figure, path: Path) -> None:
    check_picture(path)
    with atomic_write(path) as side:
        figure.savefig(side, format=path.suffix[1:].lower())


def short(text: str, length: int) -> str:
    """A text cut to a number of letters."""
    return text if len(text) <= length else text[: length - 1] + "…"
