"""Region features of bottom-up attention in tab-separated files."""

import binascii
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord, Ragged, Spans, image_record
from pyg_sgm.data.schema import first_bad_row
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.captions import captioned
from pyg_sgm.io import read_lines

PLAIN = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LABELLED = (
    *("img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf"),
    *("num_boxes", "boxes", "features"),
)


class BottomUp(SceneGraphDataset):
    """Regions of `bottom-up attention <https://arxiv.org/abs/1707.07998>`_, base64 in a TSV file
    without a header.

    The columns are image_id, image_w, image_h, num_boxes, boxes, features, or img_id, img_h,
    img_w, objects_id, objects_conf, attrs_id, attrs_conf, num_boxes, boxes, features. Opening
    reads the file once from end to end, line by line; features stay in it, and those of a batch
    are decoded when it is made.

    In the first layout objects have the unknown label. In the second, each has a label, an
    attribute and the scores of both; names come from ``objects_vocab.txt`` and
    ``attributes_vocab.txt``, one per line, if they lie beside the file, else they are the numbers.
    There are no relations and no splits.

    Args:
        path (str or PathLike): The file.
        captions (str or PathLike, optional): File of captions, see
            :func:`~pyg_sgm.datasets.captions.captioned`. (default: :obj:`None`, images alone)
        strict (bool, optional): Whether an image or caption that cannot be used is an error; else
            it is left out, and one warning lists all of them. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming file, line and field, for an image that occurs twice, features that are
            not float32, or if no line can be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        captions: str | os.PathLike[str] | None = None,
        *,
        strict: bool = False,
    ) -> None:
        path = Path(path)
        vocabularies = {
            "objects_id": _names(path.with_name("objects_vocab.txt")),
            "attrs_id": _names(path.with_name("attributes_vocab.txt")),
        }
        skipped = SkippedRecords(strict)
        images: dict[str, ImageRecord] = {}
        places: list[tuple[int, int]] = []
        dim = start = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                where = f"{path}: line {number}"
                row = None
                with skipped.record(_id(line) or f"line {number}"):
                    columns = _columns(where, line)
                    image = _image(where, columns, vocabularies)
                    width = _width(where, columns["features"], len(image.objects), dim)
                    row = image, width, columns["features"]
                if row is not None:
                    image, width, text = row
                    if image.id in images:
                        raise ValueError(f"{where}: image {image.id!r} occurs twice")
                    if not dim and width:
                        _check_float32(where, text)
                    dim = dim or width
                    images[image.id] = image
                    places.append((start + len(line.rstrip(b"\r\n")) - len(text), len(text)))
                start += len(line)
        spans = Spans.packed(torch.tensor([len(image.objects) for image in images.values()]))
        ptr = torch.cat([spans.start, spans.count.sum()[None]])
        features = {"object": Ragged(Base64Rows(path, places, ptr, dim), spans)}
        arguments = captioned(list(images.values()), captions, skipped, features)
        skipped.report(path, len(arguments["images"]))
        super().__init__(**arguments)


class Base64Rows:
    """Rows of float32 in base64, decoded when they are asked for.

    Args:
        path (Path): The file.
        places (list of tuple): Where the text of each image begins, and how long it is, in bytes.
        ptr (Tensor): First row of each image and the number of all rows, ``[num_images + 1]``.
        dim (int): Width of all rows.
    """

    def __init__(
        self, path: Path, places: Sequence[tuple[int, int]], ptr: Tensor, dim: int
    ) -> None:
        self._path = path
        self._places = places
        self._ptr = ptr
        self._dim = dim

    @property
    def shape(self) -> Sequence[int]:
        """Number of rows and their width."""
        return torch.Size([int(self._ptr[-1]), self._dim])

    def __getitem__(self, index: Tensor) -> Tensor:
        image_of = torch.searchsorted(self._ptr, index, right=True) - 1
        images, counts = image_of.unique_consecutive(return_counts=True)
        parts = [torch.zeros(0, self._dim)]
        with self._path.open("rb") as file:
            for image, rows in zip(images.tolist(), index.split(counts.tolist()), strict=True):
                start, length = self._places[image]
                file.seek(start)
                where = f"{self._path}: image {image}"
                values = _numbers(f"{where}: features", file.read(length), "<f4")
                if values.size != int(self._ptr[image + 1] - self._ptr[image]) * self._dim:
                    raise ValueError(f"{where}: features: the file has changed")
                part = torch.from_numpy(values.reshape(-1, self._dim))[rows - self._ptr[image]]
                if first_bad_row(part) is not None:
                    raise ValueError(f"{where}: features: NaN or infinity")
                parts.append(part)
        return torch.cat(parts)


def _id(line: bytes) -> str:
    """The first column, as far as it can be read."""
    return line.partition(b"\t")[0].strip().decode("utf-8", "backslashreplace")[:80]


def _columns(where: str, line: bytes) -> dict[str, bytes]:
    values = line.rstrip(b"\r\n").split(b"\t")
    for names in (PLAIN, LABELLED):
        if len(values) == len(names):
            return dict(zip(names, values, strict=True))
    raise ValueError(
        f"{where}: expected {len(PLAIN)} or {len(LABELLED)} columns, got {len(values)}"
    )


def _width(where: str, text: bytes, count: int, dim: int) -> int:
    """Width of the features of ``count`` boxes, which must be ``dim`` unless that is 0."""
    size = len(text) // 4 * 3 - text[-2:].count(b"=")
    dim = dim or size // (4 * max(count, 1))
    if len(text) % 4 or size != 4 * count * dim:
        raise ValueError(
            f"{where}: features: expected {count} rows of {dim} float32, got {size} bytes"
        )
    return dim if count else 0


def _check_float32(where: str, text: bytes) -> None:
    """Raises a ValueError if numbers were written as float16 or float64.

    Read as another type, numbers of similar size become numbers of very different sizes: what was
    an exponent is now a mantissa.
    """
    raw = _numbers(f"{where}: features", text, "u1")
    spread = {kind: _spread(raw, kind) for kind in ("<f4", "<f2", "<f8")}
    kind = min(spread, key=lambda name: spread[name])
    if spread["<f4"] > 2 * spread[kind] + 2:
        name = np.dtype(kind).name
        raise ValueError(f"{where}: features: {name}, but the numbers must be float32")


def _spread(raw: np.ndarray, kind: str) -> float:
    """Standard deviation of the binary logarithm of all numbers but 0."""
    if raw.size % np.dtype(kind).itemsize:
        return math.inf
    values = raw.view(kind).astype(np.float64)
    zero = values == 0
    # Half of the numbers are the zeros that a wider type ends in.
    if zero[::2].all() or not np.isfinite(values).all():
        return math.inf
    return float(np.log2(np.abs(values[~zero])).std())


def _image(
    where: str, row: dict[str, bytes], vocabularies: dict[str, list[str] | None]
) -> ImageRecord:
    prefix = "image" if "image_id" in row else "img"
    width, height, count = (
        _whole(where, row, f) for f in (f"{prefix}_w", f"{prefix}_h", "num_boxes")
    )
    boxes = _numbers(f"{where}: boxes", row["boxes"], "<f4")
    if boxes.size != 4 * count:  # before anything is as large as the file says
        raise ValueError(f"{where}: num_boxes: {count}, but {boxes.size} / 4 boxes")
    labels, attributes, scores = [UNKNOWN] * count, [], {}
    if prefix == "img":
        columns = {}
        for name, vocabulary in vocabularies.items():
            ids = _numbers(f"{where}: {name}", row[name], "<i8").tolist()
            columns[name] = [_label(f"{where}: {name}", i, vocabulary) for i in ids]
        labels, attributes = columns["objects_id"], list(enumerate(columns["attrs_id"]))
        scores = {
            node: _numbers(f"{where}: {name}", row[name], "<f4").tolist()
            for node, name in (("object", "objects_conf"), ("attribute", "attrs_conf"))
        }
    try:
        if len(labels) != count:
            raise ValueError(f"num_boxes: {count}, but {len(labels)} labels")
        return image_record(
            labels,
            boxes.reshape(-1, 4),
            attributes=attributes,
            size=(width, height),
            scores=scores,
            id=_name(row[f"{prefix}_id"]),
        )
    except ValueError as error:  # also UnicodeDecodeError
        raise ValueError(f"{where}: {error}") from error


def _name(text: bytes) -> str:
    name = text.decode("utf-8")
    if not name.strip():
        raise ValueError("image_id: empty")
    return name


def _whole(where: str, row: dict[str, bytes], name: str) -> int:
    if not row[name].strip().isdigit() or len(row[name]) > 18:
        raise ValueError(f"{where}: {name}: expected a whole number, got {row[name][:20]!r}")
    return int(row[name])


def _numbers(where: str, text: bytes, kind: str) -> np.ndarray:
    try:
        return np.frombuffer(bytearray(binascii.a2b_base64(text, strict_mode=True)), dtype=kind)
    except ValueError as error:  # also binascii.Error
        raise ValueError(f"{where}: cut short or not base64 ({error})") from error


def _names(path: Path) -> list[str] | None:
    """Names of labels, the first of several on a line, or None if there is no such file."""
    if not path.exists():
        return None
    return [line.split(",")[0].strip() for line in read_lines(path)]


def _label(where: str, index: int, names: list[str] | None) -> str:
    if names is None:
        return str(index)
    if not 0 <= index < len(names):
        raise ValueError(f"{where}: no label {index} of {len(names)}")
    return names[index]
