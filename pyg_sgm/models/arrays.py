"""Encodings as arrays by name, as files hold them."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torch import Tensor

from pyg_sgm.models.base import Encoding
from pyg_sgm.ops import Packed, is_ptr

PTR = ".ptr"


def arrays_of(encoding: Encoding) -> dict[str, Tensor]:
    """The arrays of an encoding by name, boundaries as ``name.ptr``.

    Args:
        encoding (Encoding): Encoded graphs.
    """
    arrays: dict[str, Tensor] = {}
    for name, value in encoding.values().items():
        if isinstance(value, Packed):
            arrays |= {name: value.x, name + PTR: value.ptr}
        elif value is not None:
            arrays[name] = value
    return arrays


def encoding_of_arrays(arrays: Mapping[str, Tensor], kind: type[Encoding], where: str) -> Encoding:
    """The encoding of arrays, checked.

    Args:
        arrays (dict): Arrays by name, boundaries as ``name.ptr``.
        kind (type): Class of the encoding.
        where (str): What they are of, for messages.

    Raises:
        ValueError: Naming the field, if it is none of the encoding, holds NaN or infinity, or does
            not fit the others.
    """
    values: dict[str, Any] = {}
    known = {field.name for field in fields(kind)}
    for name, x in arrays.items():
        if name.removesuffix(PTR) not in known or name.removesuffix(PTR) not in arrays:
            raise ValueError(f"{where}: {name}: this is no field of {kind.__name__}")
        if name.endswith(PTR):
            continue
        if not x.is_floating_point() or x.dim() not in (1, 2) or not x.isfinite().all():
            raise ValueError(f"{where}: {name}: expected rows of finite numbers")
        ptr = arrays.get(name + PTR)
        values[name] = x if ptr is None else Packed(x, ptr)
        if ptr is not None and not is_ptr(ptr, len(x)):
            raise ValueError(f"{where}: {name + PTR}: not the boundaries of {len(x)} rows")
    if len({len(value) for value in values.values()}) != 1:
        raise ValueError(f"{where}: the fields are of different numbers of images")
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where}: this is no {kind.__name__}: {error}") from error
