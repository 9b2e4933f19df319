"""Image sizes from a NumPy file of dictionaries, without running what a pickle may hold."""

import io
import os
import pickle
import struct
from typing import Any

import numpy as np


def read_image_sizes(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads ``[num_images, 2]`` widths and heights.

    The file is ``.npy``, either of numbers ``[num_images, 2]``, or of dictionaries with
    ``image_w`` and ``image_h`` as GSMN writes it. The latter is a pickle inside; it is read by an
    unpickler that knows lists, dictionaries, strings and numbers, and nothing that could run.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming the file, if it is cut short, holds anything else, or a size that is
            not positive.
    """
    with open(path, "rb") as file:
        raw = file.read()
    try:
        if b"'descr': '|O'" in raw[:128]:
            sizes = _sizes_of_dictionaries(raw)
        else:
            sizes = np.load(io.BytesIO(raw), allow_pickle=False).astype(np.float64)
    except Exception as error:  # whatever a damaged file makes the parsers raise
        raise ValueError(f"{path}: cut short or not image sizes ({error})") from error
    if sizes.ndim != 2 or sizes.shape[1] != 2:
        raise ValueError(f"{path}: expected [num_images, 2], got {list(sizes.shape)}")
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(f"{path}: a width or height is not positive")
    return sizes


def _sizes_of_dictionaries(raw: bytes) -> np.ndarray:
    version = raw[6]
    length_format, start = ("<H", 10) if version == 1 else ("<I", 12)
    (header,) = struct.unpack(length_format, raw[8:start])
    array = _Restricted(io.BytesIO(raw[start + header :])).load()
    items = array.items if isinstance(array, _Array) else array
    return np.array([[item["image_w"], item["image_h"]] for item in items], dtype=np.float64)


class _Array:
    """Stands for the object array while unpickling: keeps its items, and nothing else."""

    items: list[Any]

    def __setstate__(self, state: tuple) -> None:
        self.items = state[-1]


class _Type:
    """Stands for a number type while unpickling."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: tuple) -> None:
        """The byte order, which is always that of the little-endian machines in use."""


def _scalar(kind: _Type, raw: bytes) -> float:
    if kind.name[:1] not in "iuf":
        raise pickle.UnpicklingError(f"no number type: {kind.name}")
    return np.frombuffer(raw, dtype="<" + kind.name)[0].item()


class _Restricted(pickle.Unpickler):
    _KNOWN = {  # noqa: RUF012
        "_reconstruct": lambda *_: _Array(),
        "ndarray": _Array,
        "dtype": _Type,
        "scalar": _scalar,
    }

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in self._KNOWN:
            return self._KNOWN[name]
        raise pickle.UnpicklingError(f"{module}.{name} is refused")
