"""Checks of what comes from outside, where it becomes a record."""

from collections.abc import Iterable, Iterator, Sequence
from reprlib import repr as short
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyg_sgm.data.words import is_unicode, nfc


def text(value: Any, where: str) -> str:
    """A string in NFC, in which equal labels are equal strings."""
    if not isinstance(value, str):
        raise ValueError(f"{where}: expected a string, got {short(value)}")
    if not is_unicode(value):
        raise ValueError(f"{where}: {short(value)} is not Unicode text")
    return nfc(value)


def texts(values: Any, where: str) -> list[str]:
    """Strings in NFC."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{where}: expected strings, got {short(values)}")
    return [text(value, where) for value in values]


def pairs(values: Any, kind: Any, where: str) -> list[tuple[Any, str]]:
    """Attributes: an object, which is of the given kind, and a phrase."""
    return [(_end(o, kind, at), text(label, at)) for at, (o, label) in _parts(values, 2, where)]


def triplets(values: Any, kind: Any, where: str) -> list[tuple[Any, str, Any]]:
    """Relations: an object, a phrase, an object."""
    return [
        (_end(s, kind, at), text(label, at), _end(o, kind, at))
        for at, (s, label, o) in _parts(values, 3, where)
    ]


def is_index(value: Any) -> bool:
    """Whether a value is a whole number; :obj:`True` and :obj:`False` are not."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def numbers(values: ArrayLike, where: str) -> np.ndarray:
    """An array of float64."""
    try:
        array = np.asarray(values)
        # NumPy itself would make numbers of strings, True and False too.
        if array.size and array.dtype.kind not in "fiu":
            raise TypeError(f"{array.dtype}")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{where}: expected numbers ({error})") from error


def box_array(boxes: ArrayLike, count: int, where: str) -> np.ndarray:
    """Boxes as float64 ``[count, 4]``."""
    box = numbers(boxes, where)
    if not box.size:
        box = np.zeros((0, 4))
    if box.ndim != 2 or box.shape[1] != 4:
        raise ValueError(f"{where}: expected [{count}, 4] numbers, got {list(box.shape)}")
    if len(box) != count:
        raise ValueError(f"{where}: {len(box)} boxes for {count} objects")
    return box


def positive(size: Sequence[float], where: str) -> tuple[float, float]:
    """A width and a height."""
    values = numbers(size, where)
    if values.shape != (2,) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"{where}: expected a positive width and height, got {short(size)}")
    return size[0], size[1]


def check_ends(
    relations: Sequence[tuple[int, str, int]],
    attributes: Sequence[tuple[int, str]],
    count: int,
    name: str,
) -> None:
    """Raises a ValueError unless relations and attributes are of objects that are there."""
    for i, (s, _, o) in enumerate(relations):
        if not (0 <= s < count and 0 <= o < count):
            bad = o if 0 <= s < count else s
            raise ValueError(f"{name}: relation {i}: object {bad} is not there ({count} objects)")
    for i, (o, _) in enumerate(attributes):
        if not 0 <= o < count:
            raise ValueError(f"{name}: attribute {i}: object {o} is not there ({count} objects)")


def normalized_boxes(
    boxes: ArrayLike, count: int, size: tuple[float, float] | None, name: str
) -> np.ndarray:
    """Boxes in ``[0, 1]``; what reaches beyond by rounding is clipped."""
    box = box_array(boxes, count, f"{name}: box")
    if not np.isfinite(box).all():
        raise ValueError(f"{name}: box: NaN or infinity in row {_first(~np.isfinite(box))}")
    whole, slack = (np.ones(4), 1e-3) if size is None else (np.array([*size, *size]), 1)
    outside = (box < -slack) | (box > whole + slack)
    if outside.any():
        raise ValueError(f"{name}: box {_first(outside)} is outside the image")
    box = (box / whole).clip(0, 1)
    # As tensors of a graph they are float32.
    empty = box[:, 2:].astype(np.float32) <= box[:, :2].astype(np.float32)
    if empty.any():
        raise ValueError(f"{name}: box {_first(empty)} is empty (x2 <= x1 or y2 <= y1)")
    return box


def _parts(values: Any, count: int, where: str) -> Iterator[tuple[str, Sequence[Any]]]:
    """What each attribute or relation is called in messages, and its parts."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{where}s: expected a list, got {short(values)}")
    for i, value in enumerate(values):
        if not isinstance(value, (list, tuple)) or len(value) != count:
            raise ValueError(f"{where} {i}: expected {count} parts, got {short(value)}")
        yield f"{where} {i}", value


def _end(value: Any, kind: Any, where: str) -> Any:
    if isinstance(value, str) and kind is not int:
        return text(value, where)
    if not is_index(value):
        raise ValueError(f"{where}: expected the index of an object, got {short(value)}")
    return int(value)


def _first(bad: np.ndarray) -> int:
    return int(bad.any(axis=1).argmax())
