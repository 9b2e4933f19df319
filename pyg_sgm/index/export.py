"""Rows of an index as files for other stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pyg_sgm.index.rows import Field, encoding_of, is_metadata
from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.models import Encoding
from pyg_sgm.ops import Packed

ROWS = 1024  # of a group of a Parquet file


def write_npz(path: Path, seen: Snapshot, kind: type[Encoding]) -> None:
    """Writes names and encodings; see :meth:`SceneGraphIndex.export`.

    Args:
        path (Path): The file.
        seen (Snapshot): The images.
        kind (type): Class of their encoding.
    """
    assert seen.rows is not None
    columns = [field.column for field in seen.header.fields]
    encoding = encoding_of(seen.rows.take(seen.keys, columns), seen.header.fields, kind)
    arrays: dict[str, np.ndarray] = {"ids": np.array(seen.ids)}
    for field in seen.header.fields:
        value = getattr(encoding, field.name)
        arrays[field.name] = (value.x if isinstance(value, Packed) else value).numpy()
        if isinstance(value, Packed):
            arrays[f"{field.name}.ptr"] = value.ptr.numpy()
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def write_parquet(path: Path, seen: Snapshot, kind: type[Encoding]) -> None:
    """Writes names, graphs, metadata, and encodings as lists; see :meth:`SceneGraphIndex.export`.

    Args:
        path (Path): The file.
        seen (Snapshot): The images.
        kind (type): Class of their encoding.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert seen.rows is not None
    names = ["id", "path", "labels", "relations", "width", "height", "graph"]
    names += [name for name in seen.rows.schema().names if is_metadata(name)]
    fields = seen.header.fields
    writer = None
    try:
        for start in range(0, len(seen), ROWS):
            keys = seen.keys[start : start + ROWS]
            table = seen.rows.take(keys, [*names, *(field.column for field in fields)])
            encoding = encoding_of(table, fields, kind)
            columns = {name: table[name] for name in names}
            columns |= {
                field.name: _lists(getattr(encoding, field.name), field) for field in fields
            }
            part = pa.table(columns)
            writer = writer or pq.ParquetWriter(path, part.schema)
            writer.write_table(part)
    finally:
        if writer is not None:
            writer.close()


def _lists(value: Packed | torch.Tensor, field: Field):  # type: ignore[no-untyped-def]
    """Rows as lists of numbers, of each image a list of them where it may have several."""
    import pyarrow as pa

    x = value.x if isinstance(value, Packed) else value
    rows = pa.array(x.flatten().numpy())
    if field.width is not None:
        rows = pa.FixedSizeListArray.from_arrays(rows, field.width)
    if not isinstance(value, Packed):
        return rows
    return pa.ListArray.from_arrays(pa.array(value.ptr.numpy().astype(np.int32)), rows)
