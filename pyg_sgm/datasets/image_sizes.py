"""Image sizes from a NumPy file of dictionaries, without running what a pickle may hold."""

import os
import struct
from pathlib import Path

import numpy as np

from pyg_sgm.data import open_npy
from pyg_sgm.datasets._files.pickles import ObjectArray, unpickle


def read_image_sizes(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads ``[num_images, 2]`` widths and heights.

    The file is ``.npy``, either of numbers ``[num_images, 2]``, or of dictionaries with
    ``image_w`` and ``image_h`` as GSMN writes it, also under Python 2. The latter is a pickle
    inside; it is read by an unpickler that knows lists, dictionaries, strings and numbers, and
    nothing that could run.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming the file, if it is cut short or holds anything else.
    """
    path = Path(path)
    raw = path.read_bytes()
    if b"'descr': '|O'" not in raw[:128]:
        sizes = np.asarray(open_npy(path), dtype=np.float64)
    else:
        try:
            sizes = _sizes_of_dictionaries(raw)
        except Exception as error:  # whatever damaged bytes lead the unpickler to
            raise ValueError(f"{path}: cut short or not image sizes ({error})") from error
    if sizes.ndim != 2 or sizes.shape[1] != 2:
        raise ValueError(f"{path}: expected [num_images, 2], got {list(sizes.shape)}")
    return sizes


def _sizes_of_dictionaries(raw: bytes) -> np.ndarray:
    length_format, start = ("<H", 10) if raw[6] == 1 else ("<I", 12)
    (header,) = struct.unpack(length_format, raw[8:start])
    array = unpickle(raw[start + header :])
    items = array.items if isinstance(array, ObjectArray) else array
    sizes = [(item["image_w"], item["image_h"]) for item in items]
    for size in sizes:
        if not all(isinstance(side, (int, float)) for side in size):
            raise ValueError(f"expected numbers, got {size}")
    return np.array(sizes, dtype=np.float64).reshape(-1, 2)
