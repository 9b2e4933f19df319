"""Images with their encodings as rows of a table, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.utils import cumsum

from pyg_sgm.data import ImageRecord, image_record
from pyg_sgm.io import to_path
from pyg_sgm.models import Encoding
from pyg_sgm.ops import Packed

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "encoded_"  # of the columns of an encoding
GRAPH = ("width", "height", "graph")
SHOWN = ("id", "labels", "relations", "width", "height")  # that filters may read
OWN = ("id", "position", "path", "hash", "labels", "relations", *GRAPH)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Field:
    """How a field of an encoding is kept.

    Args:
        name (str): Its name.
        packed (bool): Whether it has several rows a graph, :class:`~pyg_sgm.ops.Packed`.
        width (int, optional): Numbers in a row; :obj:`None` of single numbers.
        dtype (str): Their type, ``"float16"`` or ``"float32"``.
    """

    name: str
    packed: bool
    width: int | None
    dtype: str

    @property
    def column(self) -> str:
        """Name of its column."""
        return PREFIX + self.name


def fields_of(encoding: Encoding, dtype: str) -> list[Field]:
    """How an encoding is kept: vectors in ``dtype``, single numbers (weights) in float32.

    Args:
        encoding (Encoding): Any encoding.
        dtype (str): ``"float16"`` or ``"float32"``.
    """
    found = []
    for field in fields(encoding):
        value = getattr(encoding, field.name)
        if value is not None:
            packed = isinstance(value, Packed)
            x = value.x if packed else value
            width = x.size(1) if x.dim() == 2 else None
            found.append(Field(field.name, packed, width, "float32" if width is None else dtype))
    return found


def encoding_columns(encoding: Encoding, kept: Sequence[Field]) -> dict[str, pa.Array]:
    """Columns of an encoding: the bytes of every graph's rows.

    Args:
        encoding (Encoding): The graphs of the rows, in order.
        kept (list of Field): Its fields.

    Raises:
        ValueError: If a value is not finite in the type of its field.
    """
    import pyarrow as pa

    columns = {}
    for field in kept:
        value = getattr(encoding, field.name)
        x = (value.x if field.packed else value).detach().cpu().to(getattr(torch, field.dtype))
        if not x.isfinite().all():
            raise ValueError(f"{field.name}: a value is not finite in {field.dtype}")
        ptr = value.ptr.cpu() if field.packed else torch.arange(len(encoding) + 1)
        step = x.element_size() * (1 if field.width is None else field.width)
        offsets = pa.py_buffer((ptr.numpy() * step).astype(np.int64))
        data = pa.py_buffer(x.contiguous().numpy())
        columns[field.column] = pa.Array.from_buffers(
            pa.large_binary(), len(encoding), [None, offsets, data]
        )
    return columns


def encoding_of(table: pa.Table, kept: Sequence[Field], kind: type[Encoding]) -> Encoding:
    """The encoding of rows, in the types that it is kept in.

    Args:
        table (Table): With the columns of :func:`encoding_columns`.
        kept (list of Field): Its fields.
        kind (type): Its class.
    """
    values: dict[str, Any] = {field.name: _field_of(table[field.column], field) for field in kept}
    return kind(**values)


def _field_of(column: pa.ChunkedArray, field: Field) -> Packed | Tensor:
    dtype = np.dtype(field.dtype)
    raw = [value.as_buffer() for value in column]
    x = torch.from_numpy(np.frombuffer(b"".join(raw), dtype).copy())
    step = dtype.itemsize * (field.width or 1)
    if field.width is not None:
        x = x.view(-1, field.width)
    if not field.packed:
        return x
    return Packed(x, cumsum(torch.tensor([value.size // step for value in raw], dtype=torch.long)))


def record_columns(records: Sequence[ImageRecord]) -> dict[str, Any]:
    """Columns of the graphs of images: ``labels`` and ``relations`` in words, to filter by, and all
    of it in JSON.

    Args:
        records (list of ImageRecord): The images.
    """
    import pyarrow as pa

    sizes = [record.size or (None, None) for record in records]
    words = pa.list_(pa.string())
    named = [
        [f"{r.objects[s]} {label} {r.objects[o]}" for s, label, o in r.relations] for r in records
    ]
    return {
        "id": [to_text(record.id) for record in records],
        "path": pa.array([path_column(record) for record in records], pa.string()),
        "labels": pa.array([list(record.objects) for record in records], words),
        "relations": pa.array(named, words),
        "width": pa.array([size[0] for size in sizes], pa.float64()),
        "height": pa.array([size[1] for size in sizes], pa.float64()),
        "graph": [json.dumps(_graph(record)) for record in records],
    }


def path_column(record: ImageRecord) -> str | None:
    """Where the file of an image is, if it has one.

    Args:
        record (ImageRecord): The image.
    """
    return None if record.file is None else to_text(str(to_path(record.file).absolute()))


def _graph(record: ImageRecord) -> dict[str, Any]:
    return {
        "objects": list(record.objects),
        "boxes": None if record.boxes is None else np.asarray(record.boxes, np.float64).tolist(),
        "relations": [list(relation) for relation in record.relations],
        "attributes": [list(attribute) for attribute in record.attributes],
        "scores": {k: np.asarray(v, np.float64).tolist() for k, v in record.scores.items()},
    }


def record_of(row: Mapping[str, Any]) -> ImageRecord:
    """The image of a row.

    Args:
        row (dict): Values of ``id``, ``path``, ``width``, ``height`` and ``graph``.
    """
    graph = json.loads(row["graph"])
    record = image_record(
        graph["objects"],
        graph["boxes"],
        [(s, label, o) for s, label, o in graph["relations"]],
        [(o, label) for o, label in graph["attributes"]],
        scores=graph["scores"],
        id=from_text(row["id"]),
        file=None if row["path"] is None else from_text(row["path"]),
    )
    # The boxes are not in the pixels of the file.
    size = None if row["width"] is None else (row["width"], row["height"])
    return replace(record, size=size)


def check_metadata(metadata: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names of the columns of metadata.

    Args:
        metadata (dict): Values by name, by the id of their image.

    Raises:
        ValueError: For a name that is none of a column, or one of ours.
    """
    names = list(dict.fromkeys(name for row in metadata.values() for name in row))
    for name in names:
        if not _NAME.fullmatch(name) or name in OWN or name.startswith(PREFIX):
            raise ValueError(
                f"metadata: {name!r} cannot be a column: letters, digits and _, and none of "
                f"{', '.join(OWN)}"
            )
    return names


def is_metadata(column: str) -> bool:
    """Whether a column is one of a user."""
    return column not in OWN and not column.startswith(PREFIX)


def to_text(name: str) -> str:
    """A name of a file as UTF-8; what is not UTF-8 in it becomes escapes.

    Example:
        >>> to_text("caf\\udce9.jpg")
        'caf\\\\udce9.jpg'
        >>> from_text(to_text("caf\\udce9.jpg")) == "caf\\udce9.jpg"
        True
    """
    return name.encode("utf-8", "backslashreplace").decode()


def from_text(text: str) -> str:
    """The name of :func:`to_text`.

    Args:
        text (str): What it gave.
    """
    return re.sub(r"\\udc([89a-f][0-9a-f])", lambda match: chr(0xDC00 + int(match[1], 16)), text)
