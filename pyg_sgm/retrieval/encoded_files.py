"""Encodings as files of arrays: safetensors, npz, Parquet."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pyg_sgm.io import atomic_write, parse_json, write_tensors
from pyg_sgm.models import Encoding
from pyg_sgm.models.arrays import PTR, arrays_of
from pyg_sgm.ops import Packed

FORMAT = "pyg_sgm encodings 1"
ENDINGS = (".safetensors", ".npz", ".parquet")
Arrays = tuple[list[str], dict[str, Tensor], str]  # names, arrays, fingerprint


def write_arrays(
    path: str | os.PathLike[str],
    ids: Sequence[str],
    encoding: Encoding,
    known: Tensor,
    fingerprint: str,
) -> None:
    """Writes encoded images; see :meth:`EncodedImages.save`.

    Args:
        path (str or PathLike): The file.
        ids (list of str): Names of the images.
        encoding (Encoding): Those whose graphs are known.
        known (Tensor): Their positions, ``[num_known]``.
        fingerprint (str): Of the model.

    Raises:
        ValueError: If the name has another ending.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: expected a file {', '.join(ENDINGS)}")
    if path.suffix == ".parquet":
        with atomic_write(path) as side:
            _write_parquet(side, [ids[i] for i in known.tolist()], encoding, fingerprint)
        return
    arrays = {"known": known, **arrays_of(encoding)}
    if path.suffix == ".safetensors":
        metadata = {"format": FORMAT, "fingerprint": fingerprint, "ids": json.dumps(list(ids))}
        write_tensors(path, arrays, metadata)
        return
    values = {name: _to_numpy(array) for name, array in arrays.items()}
    with atomic_write(path) as side, side.open("wb") as file:
        texts: dict[str, Any] = {"ids": np.array(ids), "fingerprint": np.array(fingerprint)}
        np.savez(file, **values, **texts)  # type: ignore[arg-type]


def read_arrays(path: str | os.PathLike[str], kind: type[Encoding]) -> Arrays:
    """Names of images, the arrays of their encodings, and the fingerprint of the model.

    Args:
        path (str or PathLike): The file.
        kind (type): Class of the encodings; other columns of a Parquet file are left alone.

    Raises:
        ValueError: Naming the file, if it is cut short or not such a file.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: expected a file {', '.join(ENDINGS)}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix == ".npz":
        return _read_npz(path)
    return _read_parquet(path, [field.name for field in fields(kind)])


def _read_safetensors(path: Path) -> Arrays:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: cut short or not a safetensors file ({error})") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path}: format: these are no encodings of images")
    ids = parse_json(metadata.get("ids", ""), f"{path}: ids")
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise ValueError(f"{path}: ids: expected a list of names")
    return ids, arrays, metadata.get("fingerprint", "")


def _read_npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"{path}: cut short or not an npz file; pickles are never read ({error})"
        ) from error
    texts = {}
    for name, dimensions in (("ids", 1), ("fingerprint", 0)):
        value = arrays.pop(name, np.zeros(0))
        if value.dtype.kind != "U" or value.ndim != dimensions:
            raise ValueError(f"{path}: {name}: missing, or no text")
        texts[name] = value.tolist()
    for name, value in arrays.items():
        if value.dtype.kind not in "fiu":
            raise ValueError(f"{path}: {name}: expected numbers")
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    return texts["ids"], tensors, texts["fingerprint"]


def _write_parquet(path: Path, ids: Sequence[str], encoding: Encoding, fingerprint: str) -> None:
    pa, pq = _pyarrow()
    columns = {"id": pa.array(ids, pa.string())}
    for name, value in encoding.values().items():
        if value is not None:
            columns[name] = as_lists(value)
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata({"fingerprint": fingerprint}), path)


def _to_numpy(x: Tensor) -> np.ndarray:
    x = x.detach().cpu()
    # NumPy has no bfloat16, all of whose numbers float32 has.
    array: np.ndarray = (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    return array


def as_lists(value: Packed | Tensor) -> Any:
    """Rows of images as a column of pyarrow: vectors as lists of numbers, and where an image may
    have several, as lists of these.

    Args:
        value (Packed or Tensor): A field of an encoding.
    """
    pa, _ = _pyarrow()
    x = value.x if isinstance(value, Packed) else value
    rows = pa.array(_to_numpy(x.flatten()))
    if x.dim() == 2:
        rows = pa.FixedSizeListArray.from_arrays(rows, x.size(1))
    if not isinstance(value, Packed):
        return rows
    return pa.ListArray.from_arrays(pa.array(value.ptr.cpu().numpy().astype(np.int32)), rows)


def _read_parquet(path: Path, names: Sequence[str]) -> Arrays:
    pa, pq = _pyarrow()
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: cut short or not a Parquet file ({error})") from error
    fingerprint = (table.schema.metadata or {}).get(b"fingerprint", b"").decode()
    if "id" not in table.column_names:
        raise ValueError(f"{path}: id: missing")
    arrays: dict[str, Tensor] = {}
    for name in names:
        if name not in table.column_names:
            continue
        column = table[name].combine_chunks()
        several = pa.types.is_list(column.type)
        inner = column.type.value_type if several else column.type
        vectors = pa.types.is_fixed_size_list(inner)
        if not pa.types.is_floating(inner.value_type if vectors else inner):
            raise ValueError(f"{path}: {name}: expected lists of numbers")
        if several:
            ptr = np.asarray(column.offsets).astype(np.int64)
            arrays[name + PTR] = torch.from_numpy(ptr - ptr[0])
        rows = column.flatten() if several else column
        x = torch.from_numpy(np.array(rows.flatten() if vectors else rows))
        arrays[name] = x.view(-1, inner.list_size) if vectors else x
    return table["id"].to_pylist(), arrays, fingerprint


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Parquet needs more: pip install pyg_sgm[index]") from error
    return pyarrow, pyarrow.parquet
