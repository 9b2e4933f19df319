"""Segments: encodings of some images in memory-mapped files, which are never changed.

A segment is a folder, renamed into place when it is whole. It holds the encodings as the rows do,
and coarse nodes for those fields of which a model tells bounds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import open_npy
from pyg_sgm.index.coarse import EXTRA, Frame, chosen_width, coarse_rows, node_major, principal
from pyg_sgm.index.rows import Field
from pyg_sgm.index.scan import Scanned
from pyg_sgm.io import read_json, write_json
from pyg_sgm.models import BoundLevel, Encoding
from pyg_sgm.ops import Packed

FORMAT = {"format": "pyg_sgm index segment", "version": 1}
HEADER = "segment.json"
BLOCK_ROWS = 8192  # nodes of a block, whose products stay in the cache
SAMPLE = 20_000  # nodes that directions are made from
MOST = 16_384  # images of a segment, so that one is made in little memory


@dataclass(frozen=True)
class Segment:
    """Encodings of some images.

    Args:
        folder (Path): Where they are.
        positions (Tensor): Position of every image, ascending, ``[num_images]``.
        encoding (Encoding): The images in the types that they are kept in, memory-mapped.
        scanned (dict): The fields that have coarse nodes, by name.
    """

    folder: Path
    positions: Tensor
    encoding: Encoding
    scanned: dict[str, Scanned] = field(repr=False)

    def __len__(self) -> int:
        return len(self.positions)

    def bounds(self, levels: Sequence[BoundLevel], texts: Sequence[Encoding]) -> Tensor:
        """Upper bounds of the scores of some texts, ``[num_texts, num_images]``.

        Args:
            levels (list of BoundLevel): The terms of the score.
            texts (list of Encoding): Encodings of one text each.
        """
        bounds = torch.zeros(len(texts), len(self))
        for name, scanned in self.scanned.items():
            own = [level for level in levels if level.field == name]
            scanned.add_bounds(bounds, own, self.encoding, texts)
        # What a model takes from every score of an image, or of a text.
        of_images = getattr(self.encoding, "hubness", None)
        if of_images is not None:
            bounds -= of_images
        for i, text in enumerate(texts):
            of_text = getattr(text, "hubness", None)
            if of_text is not None:
                bounds[i] -= float(of_text)
        return bounds


def write_segment(
    folder: Path,
    positions: Tensor,
    encoding: Encoding,
    kept: Sequence[Field],
    levels: Sequence[BoundLevel],
    queries: Encoding | None = None,
    like: Segment | None = None,
    width: int | None = None,
) -> None:
    """Writes a segment, whole or not at all.

    Args:
        folder (Path): Where it will be; its parent exists.
        positions (Tensor): Position of every image, ascending.
        encoding (Encoding): The images in the types that they are kept in.
        kept (list of Field): Its fields.
        levels (list of BoundLevel): The terms of the score; none, if there are no bounds.
        queries (Encoding, optional): Texts like those that will be searched for, whose nodes help
            to choose directions. (default: :obj:`None`)
        like (Segment, optional): Another one, whose directions are taken. (default: :obj:`None`)
        width (int, optional): Bytes of a coarse node. (default: :obj:`None`, chosen)

    Raises:
        OSError: Naming the file, if one cannot be written.
    """
    side = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(side, ignore_errors=True)  # of a process that was killed
    side.mkdir(parents=True)
    try:
        numbers: dict[str, dict[str, float]] = {}
        _save(side / "positions.npy", positions)
        bounded = {level.field for level in levels}
        for part in kept:
            value = getattr(encoding, part.name)
            _save(side / f"{part.name}.npy", value.x if part.packed else value)
            if part.packed:
                _save(side / f"{part.name}.ptr.npy", value.ptr)
            if part.name in bounded:
                nodes = _as_packed(value)
                if like is not None:
                    directions = like.scanned[part.name].frame.directions
                else:
                    searching = None if queries is None else getattr(queries, part.name)
                    directions = _directions(nodes, searching, width)
                numbers[part.name] = _save_coarse(side, part.name, nodes, directions)
        files = {path.name: _digest(path) for path in sorted(side.iterdir())}
        write_json(
            side / HEADER,
            FORMAT
            | {
                "fields": [vars(part) for part in kept],
                "bounds": numbers,
                "files": files,
            },
        )
        os.replace(side, folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(side, ignore_errors=True)
        raise


def _directions(nodes: Packed, queries: Packed | Tensor | None, width: int | None) -> Tensor:
    """The directions of coarse nodes, ``[dim, num_directions]``."""
    found = None if queries is None else _as_packed(queries).x.float()
    directions, outside = principal(_sample(nodes.x).float(), found)
    count = (chosen_width(outside) if width is None else width) - EXTRA
    return directions[:, :count].contiguous()


def _save_coarse(side: Path, name: str, nodes: Packed, directions: Tensor) -> dict[str, float]:
    rows, _, _ = node_major(nodes, BLOCK_ROWS)
    coarse, frame = coarse_rows(nodes.x, directions)
    _save(side / f"{name}.coarse.npy", coarse[rows])
    _save(side / f"{name}.directions.npy", frame.directions)
    _save(side / f"{name}.scale.npy", frame.scale)
    return {"longest": frame.longest, "largest": frame.largest}


def open_segment(folder: Path, kind: type[Encoding]) -> Segment:
    """Opens a segment; its files are memory-mapped.

    Args:
        folder (Path): Where it is.
        kind (type): Class of the encoding.

    Raises:
        FileNotFoundError: If it is absent.
        ValueError: Naming the file, if one is cut short or does not fit the others.
    """
    header = _header(folder)
    positions = _open(folder / "positions.npy")
    values: dict[str, Any] = {}
    scanned: dict[str, Scanned] = {}
    for part in (Field(**one) for one in header["fields"]):
        x = _open(folder / f"{part.name}.npy")
        value: Packed | Tensor = x
        if part.packed:
            ptr = _open(folder / f"{part.name}.ptr.npy")
            _check(len(ptr) == len(positions) + 1 and int(ptr[-1]) == len(x), folder, part.name)
            value = Packed(x, ptr)
        else:
            _check(len(x) == len(positions), folder, part.name)
        values[part.name] = value
        if part.name in header["bounds"]:
            coarse = _open(folder / f"{part.name}.coarse.npy")
            directions, scale = (
                _open(folder / f"{part.name}.{what}.npy") for what in ("directions", "scale")
            )
            _check(coarse.shape == (len(x), len(scale)), folder, part.name)
            frame = Frame(directions, scale, **header["bounds"][part.name])
            scanned[part.name] = Scanned(coarse, frame, *node_major(_as_packed(value), BLOCK_ROWS))
    return Segment(folder, positions, kind(**values), scanned)


def damaged_files(folder: Path) -> list[str]:
    """What is wrong with the files of a segment.

    Args:
        folder (Path): Where it is.
    """
    try:
        files = _header(folder)["files"]
    except (OSError, ValueError) as error:
        return [str(error)]
    found = []
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{path}: is not there")
        elif _digest(path) != digest:
            found.append(f"{path}: has changed since it was written")
    return found


def _header(folder: Path) -> dict:
    header = read_json(folder / HEADER, dict)
    if {key: header.get(key) for key in FORMAT} != FORMAT:
        raise ValueError(f"{folder / HEADER}: not a segment of version {FORMAT['version']}")
    return header


def _as_packed(value: Packed | Tensor) -> Packed:
    """Vectors of graphs as their only nodes."""
    return value if isinstance(value, Packed) else Packed(value, torch.arange(len(value) + 1))


def _sample(x: Tensor) -> Tensor:
    step = max(1, len(x) // SAMPLE)
    return x[::step]


def _save(path: Path, value: Tensor) -> None:
    with path.open("wb") as file:
        np.save(file, value.detach().cpu().numpy(), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _open(path: Path) -> Tensor:
    array = open_npy(path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _check(fits: bool, folder: Path, name: str) -> None:
    if not fits:
        raise ValueError(f"{folder}: the files of {name} do not fit each other")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
