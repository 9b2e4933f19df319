"""Region features on disk: memory-mapped, read row by row, never unpickled."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data.ragged import Ragged, Spans
from pyg_sgm.data.schema import first_bad_row


class CheckedRows:
    """Rows of a memory-mapped array, read and checked for NaN and infinity when asked for.

    They are given as float32.

    Args:
        rows: ``[num_rows, dim]``.
        source: What error messages call it, such as the path of the file.
    """

    def __init__(self, rows: np.ndarray, source: str) -> None:
        self._rows = rows
        self._source = source

    @property
    def shape(self) -> Sequence[int]:
        """Number of rows and their width."""
        return self._rows.shape

    def __getitem__(self, index: Tensor) -> Tensor:
        value = torch.from_numpy(self._rows[index.numpy()]).float()
        bad = first_bad_row(value)
        if bad is not None:
            raise ValueError(f"{self._source}: NaN or infinity in row {int(index[bad])}")
        return value


class FolderRows:
    """Rows of many ``.npy`` files as if they were one, each opened only when it is asked for.

    Args:
        paths: The files, each ``[rows, dim]``.
        ptr: First row of each file and the number of all rows, ``[len(paths) + 1]``.
        dim: Width of all rows.
    """

    def __init__(self, paths: Sequence[Path], ptr: Tensor, dim: int) -> None:
        self._paths = list(paths)
        self._ptr = ptr
        self._dim = dim

    @property
    def shape(self) -> Sequence[int]:
        """Number of rows and their width."""
        return torch.Size([int(self._ptr[-1]), self._dim])

    def __getitem__(self, index: Tensor) -> Tensor:
        if not index.numel():
            return torch.zeros(0, self._dim)
        file_of = torch.searchsorted(self._ptr, index, right=True) - 1
        order = file_of.argsort(stable=True)  # each file is opened once
        files, counts = file_of[order].unique_consecutive(return_counts=True)
        out = torch.empty(len(index), self._dim)
        for file, places in zip(files.tolist(), order.split(counts.tolist()), strict=True):
            path, rows = self._paths[file], index[places] - self._ptr[file]
            value = torch.from_numpy(open_npy(path)[rows.numpy()].astype(np.float32))
            bad = first_bad_row(value)
            if bad is not None:
                raise ValueError(f"{path}: NaN or infinity in row {int(rows[bad])}")
            out[places] = value
        return out


def open_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Memory-maps a ``.npy`` file of numbers; nothing but its header is read.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming the file, if it is cut short, not ``.npy``, or holds pickled objects.
    """
    try:
        # Read-only: a writable map, even copy-on-write, must fit into memory as a whole.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path}: cut short, not .npy, or pickled, which is never read ({error})"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise ValueError(f"{path}: expected one array of numbers")
    return array


def open_feature_folder(folder: str | os.PathLike[str], ids: Sequence[str]) -> Ragged:
    """Region features in one file an image: ``1018148011.npy`` (or ``1018148011.jpg.npy``).

    Only the headers are read here, the rows of a batch when it is made.

    Args:
        folder: Holds one ``[num_rows, dim]`` array an image.
        ids: Names of the images, such as ``1018148011.jpg``.

    Raises:
        FileNotFoundError: If the folder or the file of an image is absent.
        ValueError: Naming the file, if it is no such array or of another width than the first.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of features")
    paths: list[Path] = []
    counts: list[int] = []
    dim = 0
    for name in ids:
        path = folder / f"{name}.npy"
        if not path.exists():
            path = folder / f"{Path(name).stem}.npy"
        if not path.exists():
            raise FileNotFoundError(f"{path}: no features of image {name!r}")
        shape = open_npy(path).shape
        if len(shape) != 2 or (paths and shape[1] != dim):
            raise ValueError(f"{path}: expected [rows, {dim or 'dim'}], got {list(shape)}")
        dim = shape[1]
        paths.append(path)
        counts.append(shape[0])
    count = torch.tensor(counts, dtype=torch.long)
    spans = Spans.packed(count)
    ptr = torch.cat([count.new_zeros(1), count.cumsum(0)])
    return Ragged(FolderRows(paths, ptr, dim), spans)
