"""Region features on disk: memory-mapped, read row by row, never unpickled."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data.ragged import Ragged, Spans
from pyg_sgm.data.schema import first_bad_row
from pyg_sgm.io import local_copy, to_path


class CheckedRows:
    """Rows of a memory-mapped array, read and checked for NaN and infinity when asked for.

    They are given as float32.

    Args:
        rows (ndarray): ``[num_rows, dim]``.
        source (str): What error messages call it, such as the path of the file.
    """

    def __init__(self, rows: np.ndarray, source: str) -> None:
        self._rows = rows
        self._source = source

    @property
    def shape(self) -> Sequence[int]:
        """Number of rows and their width."""
        return self._rows.shape

    def __getitem__(self, index: Tensor) -> Tensor:
        value = _float32(self._rows[index.numpy()])
        bad = first_bad_row(value)
        if bad is not None:
            raise ValueError(f"{self._source}: NaN or infinity in row {int(index[bad])}")
        return value


class FolderRows:
    """Rows of many ``.npy`` files as if they were one, each opened only when it is asked for.

    Args:
        paths (list of Path): The files, each ``[rows, dim]``.
        ptr (Tensor): First row of each file and the number of all rows, ``[len(paths) + 1]``.
        dim (int): Width of all rows.
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
            array = open_npy(path)
            if array.shape != (int(self._ptr[file + 1] - self._ptr[file]), self._dim):
                raise ValueError(f"{path}: has changed since it was opened")
            value = _float32(array[rows.numpy()])
            bad = first_bad_row(value)
            if bad is not None:
                raise ValueError(f"{path}: NaN or infinity in row {int(rows[bad])}")
            out[places] = value
        return out


def _float32(rows: np.ndarray) -> Tensor:
    """Numbers of any type and byte order."""
    if rows.dtype == np.float16:  # PyTorch converts halves several times as fast as NumPy
        return torch.from_numpy(rows).float()
    with np.errstate(over="ignore"):
        return torch.from_numpy(rows.astype(np.float32))


def open_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Memory-maps a ``.npy`` file of numbers, or a copy of one at a URI; nothing but its header is
    read.

    Args:
        path (str or PathLike): The file.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming the file, if it is cut short, not ``.npy``, holds pickled objects, or
            has rows without numbers, of which a header may declare any number.
    """
    try:
        # Read-only: a writable map, even copy-on-write, must fit into memory as a whole.
        array = np.load(local_copy(to_path(path)), mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # parsers of headers raise whatever damaged bytes lead them to
        raise ValueError(
            f"{path}: cut short, not .npy, or pickled, which is never read ({error})"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise ValueError(f"{path}: expected one array of numbers")
    if array.ndim == 0 or (len(array) and not array.size):
        raise ValueError(f"{path}: expected rows of numbers, got the shape {list(array.shape)}")
    return array


@dataclass(frozen=True)
class FeatureFile:
    """A file of the region features of one image.

    Args:
        path (Path): The file.
        rows (int): Number of regions.
        dim (int): Width of the features.
    """

    path: Path
    rows: int
    dim: int


def feature_file(
    folder: str | os.PathLike[str], name: str, like: FeatureFile | None = None
) -> FeatureFile:
    """The features of one image, ``1018148011.jpg.npy`` or ``1018148011.npy``; reads the header.

    Args:
        folder (str or PathLike): Holds one ``[num_rows, dim]`` array per image.
        name (str): Name of the image, such as ``1018148011.jpg``.
        like (FeatureFile, optional): Another file of the same width. (default: :obj:`None`, any
            width)

    Raises:
        FileNotFoundError: If it is absent.
        ValueError: Naming the file, if it is no such array or of another width, or if the name
            leads out of the folder.
    """
    if not is_inside(name):
        raise ValueError(f"image {name!r} leads out of the folder of features {folder}")
    path = Path(folder, f"{name}.npy")
    if not os.path.isfile(path):
        path = Path(folder, f"{PurePath(name).with_suffix('')}.npy")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no features of image {name!r}")
    shape = open_npy(path).shape
    if len(shape) != 2 or (like is not None and shape[1] != like.dim):
        expected = "dim" if like is None else like.dim
        raise ValueError(f"{path}: expected [rows, {expected}], got {list(shape)}")
    return FeatureFile(path, *shape)


def join_features(files: Sequence[FeatureFile]) -> Ragged:
    """The features of many images, of equal width.

    Raises:
        ValueError: If two images have the same file.
    """
    if len({file.path for file in files}) < len(files):
        twice = Counter(file.path for file in files).most_common(1)[0][0]
        raise ValueError(f"{twice}: two images have the same file of features")
    count = torch.tensor([file.rows for file in files], dtype=torch.long)
    ptr = torch.cat([count.new_zeros(1), count.cumsum(0)])
    dim = files[0].dim if files else 0
    return Ragged(FolderRows([file.path for file in files], ptr, dim), Spans.packed(count))


def open_feature_folder(folder: str | os.PathLike[str], ids: Sequence[str]) -> Ragged:
    """Region features in one file per image: ``1018148011.npy`` (or ``1018148011.jpg.npy``).

    Only the headers are read here, the rows of a batch when it is made.

    Args:
        folder (str or PathLike): Holds one ``[num_rows, dim]`` array per image.
        ids (list of str): Names of the images, such as ``1018148011.jpg``.

    Raises:
        FileNotFoundError: If the folder or the file of an image is absent.
        ValueError: Naming the file, if it is no such array, of another width than the first, or
            that of two images.
    """
    check_feature_folder(folder)
    files: list[FeatureFile] = []
    for name in ids:
        files.append(feature_file(folder, name, files[0] if files else None))
    return join_features(files)


def check_feature_folder(folder: str | os.PathLike[str]) -> None:
    """Raises a FileNotFoundError unless the folder is there."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of features")


def is_inside(name: str) -> bool:
    """Whether a path that a data file names stays within the folder that it belongs to.

    Example:
        >>> is_inside("val2017/1.jpg"), is_inside("../1.jpg"), is_inside("/etc/passwd")
        (True, False, False)
    """
    path = PurePath(name)
    return not path.anchor and ".." not in path.parts
