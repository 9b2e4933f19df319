"""Rows of an index as files for other stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pyg_sgm.index.rows import encoding_of, is_metadata
from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.models import Encoding
from pyg_sgm.ops import Packed
from pyg_sgm.retrieval.encoded_files import as_lists

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
    fingerprint = np.array(seen.header.fingerprint)
    arrays: dict[str, np.ndarray] = {"ids": np.array(seen.ids), "fingerprint": fingerprint}
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
    fields, fingerprint = seen.header.fields, seen.header.fingerprint
    writer = None
    try:
        for start in range(0, len(seen), ROWS):
            keys = seen.keys[start : start + ROWS]
            table = seen.rows.take(keys, [*names, *(field.column for field in fields)])
            encoding = encoding_of(table, fields, kind)
            columns = {name: table[name] for name in names}
            columns |= {field.name: as_lists(getattr(encoding, field.name)) for field in fields}
            part = pa.table(columns).replace_schema_metadata({"fingerprint": fingerprint})
            writer = writer or pq.ParquetWriter(path, part.schema)
            writer.write_table(part)
    finally:
        if writer is not None:
            writer.close()
