"""Values from pickles, by an unpickler that knows plain data and nothing that could run."""

import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pyg_sgm.io import write_text


def convert_joblib(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> None:
    """Writes a pickle of plain data, such as the ``.joblib`` files of SGM's authors, as JSON.

    Only dictionaries, lists, tuples, strings, numbers and NumPy's numbers are unpickled; a file
    that holds anything else is refused, and nothing in it is run.

    Args:
        path (str or PathLike): The pickle, not compressed.
        out (str or PathLike): The JSON file, of the same name with the ending ``.json``.

    Raises:
        FileNotFoundError: If the pickle is absent.
        ValueError: Naming the file, if it is cut short or holds anything else.

    Example:
        >>> import pickle
        >>> folder = getfixture("tmp_path")
        >>> _ = (folder / "a.joblib").write_bytes(pickle.dumps({"335": {"sent": "a dog"}}))
        >>> convert_joblib(folder / "a.joblib", folder / "a.json")
        >>> (folder / "a.json").read_text()
        '{"335": {"sent": "a dog"}}'
    """
    raw = Path(path).read_bytes()
    try:
        value = _Plain(len(raw)).of(unpickle(raw))
    except Exception as error:  # whatever damaged bytes lead the unpickler to
        raise ValueError(f"{path}: cut short or not plain data ({error})") from error
    write_text(out, json.dumps(value))


def unpickle(raw: bytes) -> Any:
    """The value of a pickle of plain data."""
    # Strings of Python 2 are bytes, and those of NumPy's numbers hold any of them.
    return _Restricted(io.BytesIO(raw), encoding="latin1").load()


class _Plain:
    """Turns an unpickled value into what JSON knows, within a budget of values.

    A value that contains another one many times over takes few bytes of a pickle.
    """

    def __init__(self, budget: int) -> None:
        self._left = budget

    def of(self, value: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError("values that contain one another")
        if isinstance(value, dict):
            return {self._key(key): self.of(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.of(part) for part in value]
        if value is None or isinstance(value, (str, int, float)):
            return value
        raise ValueError(f"no plain data: {type(value).__name__}")

    def _key(self, key: Any) -> str | int:
        self._left -= 1
        if not isinstance(key, (str, int)):
            raise ValueError(f"no key of JSON: {type(key).__name__}")
        return key


class ObjectArray:
    """Stands for an array of objects: keeps its items, and nothing else."""

    items: list[Any]

    def __setstate__(self, state: tuple) -> None:
        self.items = state[-1]


class _Type:
    """Stands for a number type while unpickling."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name
        self.order = "<"

    def __setstate__(self, state: tuple) -> None:
        if state[1] == ">":
            self.order = ">"


def _scalar(kind: _Type, raw: bytes | str) -> float:
    if kind.name[:1] not in "iuf":
        raise pickle.UnpicklingError(f"no number type: {kind.name}")
    if isinstance(raw, str):
        raw = raw.encode("latin1")
    return np.frombuffer(raw, dtype=kind.order + kind.name)[0].item()


# The one in Python: that in C takes memory for as many values as a damaged file may declare.
class _Restricted(pickle._Unpickler):
    _KNOWN = {  # noqa: RUF012
        "_reconstruct": lambda *_: ObjectArray(),
        "ndarray": ObjectArray,
        "dtype": _Type,
        "scalar": _scalar,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes for Python 2
            return lambda text, _: text.encode("latin1")
        if module.split(".")[0] == "numpy" and name in self._KNOWN:
            return self._KNOWN[name]
        raise pickle.UnpicklingError(f"{module}.{name} is refused")
