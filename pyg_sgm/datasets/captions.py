"""Captions in a table, and the images that they are of."""

import csv
import io
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from unicodedata import normalize

import torch

from pyg_sgm.data import ImageRecord, Ragged, TextRecord, read_scene_graph, text_record
from pyg_sgm.datasets._files.fields import field, filled
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.io import IMAGE_SUFFIXES, parse_json, read_text, to_path

IMAGE, CAPTION, GRAPH = ("image", "image_id"), "caption", "scene_graph"
_TOKEN = re.compile(r"([^\t]+)#\d+\t(.*)")
_RESULTS = "image_name| comment_number| comment"


@dataclass(frozen=True)
class Caption:
    """A row of a table of captions.

    Args:
        image (str): Name of the image.
        text (TextRecord): The caption, with its graph if the table has graphs.
        where (str): File and line, for messages.
    """

    image: str
    text: TextRecord
    where: str


class _Row(NamedTuple):
    where: str
    image: str
    caption: str
    graph: str = ""


def read_captions(path: str | os.PathLike[str], *, strict: bool = False) -> list[Caption]:
    """Reads a file of captions, unpacked if its name ends in ``.gz``.

    A CSV file names its columns in the first line: ``image`` (or ``image_id``), ``caption``, and
    optionally ``scene_graph`` as `FACTUAL <https://arxiv.org/abs/2305.17497>`_ writes it,
    ``( man , ride , horse ) , ( horse , is , brown )``, empty where a caption has no graph yet;
    others are ignored. A caption with a comma is written in quotation marks. Also read are COCO's
    ``captions_*.json``, Flickr's lines ``1.jpg#0<TAB>caption`` (``Flickr8k.token.txt``,
    ``results_20130124.token``) and Flickr30k's ``results.csv``.

    Texts are named ``IMAGE#0``, ``IMAGE#1`` ... in the order of the file. Empty lines are skipped,
    a line break within a caption becomes a space.

    Args:
        path (str or PathLike): The file.
        strict (bool, optional): Whether a row that cannot be used is an error; else it is left out,
            and one warning lists all of them. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming file, line and field, for a file that is cut short, not UTF-8 or of
            other columns, or without a row that can be used.
    """
    skipped = SkippedRecords(strict)
    captions = caption_rows(path, skipped)
    skipped.report(path, len(captions))
    return captions


def caption_rows(path: str | os.PathLike[str], skipped: SkippedRecords) -> list[Caption]:
    """The same, with the rows that cannot be used in ``skipped``."""
    path = to_path(path)
    text = read_text(path)
    rows = _format(text)(path, text, skipped)
    if not rows and not skipped.records:
        raise ValueError(f"{path}: there is no caption")
    captions: list[Caption] = []
    count: dict[str, int] = {}
    for where, image, caption, graph in rows:
        number = count[image] = count.get(image, -1) + 1
        with skipped.record(f"{image}#{number}"):
            for name, value in (("image", image), (CAPTION, caption)):
                if not value:
                    raise ValueError(f"{where}: {name}: empty")
            try:
                known = read_scene_graph(graph) if graph else {}
                written = re.sub(r"\s*[\r\n]\s*", " ", caption)
                text_of = text_record(written, **known, id=f"{image}#{number}")
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
            captions.append(Caption(image, text_of, where))
    return captions


def captioned(
    images: Sequence[ImageRecord],
    captions: str | os.PathLike[str] | None,
    skipped: SkippedRecords,
    features: Mapping[str, Ragged] | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Arguments of :class:`~pyg_sgm.datasets.SceneGraphDataset` for images with the captions of a
    file.

    Images without a caption are left out, with a warning that says how many.

    Args:
        images (list of ImageRecord): The images, with distinct ids.
        captions (str or PathLike): See :func:`read_captions`; images are named by their ids.
            (:obj:`None`: images alone)
        skipped (SkippedRecords): Takes captions that cannot be used, and those of other images.
        features (dict, optional): Region features of the images. (default: none)
        folder (str or PathLike, optional): Folder of the images, for messages. (default:
            :obj:`None`)

    Raises:
        ValueError: Naming file and line, if there is no caption.
    """
    features = features or {}
    if captions is None:
        return {
            "images": images,
            "texts": [],
            "image_of_text": [],
            "features": features,
            "skipped": skipped.records,
        }
    position = {image.id: i for i, image in enumerate(images)}
    # Names that are written otherwise but look the same, as macOS writes them, are the same.
    same = {normalize("NFC", image.id): image.id for image in images}
    without = {record.id for record in skipped.records}
    rows: list[Caption] = []
    for row in caption_rows(captions, skipped):
        with skipped.record(row.text.id):
            name = row.image if row.image in position else same.get(normalize("NFC", row.image))
            if name is not None:
                rows.append(replace(row, image=name))
            elif row.image not in without:  # else its image has been reported
                raise ValueError(f"{row.where}: image: {_absence(row.image, folder)}")
    kept = sorted({position[row.image] for row in rows})
    if rows and len(kept) < len(images):
        named = {row.image for row in rows}
        first = next(image.id for image in images if image.id not in named)
        warnings.warn(
            f"{captions}: images without a caption are left out, {len(images) - len(kept)} of "
            f"{len(images)}, such as {first!r}",
            stacklevel=3,
        )
    new = {images[i].id: k for k, i in enumerate(kept)}
    index = torch.tensor(kept, dtype=torch.long)
    return {
        "images": [images[i] for i in kept],
        "texts": [row.text for row in rows],
        "image_of_text": [new[row.image] for row in rows],
        "features": {node: part.select(index) for node, part in features.items()},
        "skipped": skipped.records,
    }


def _absence(image: str, folder: str | os.PathLike[str] | None) -> str:
    suffix = PurePath(image).suffix.lower()
    if folder is not None and suffix not in IMAGE_SUFFIXES and (to_path(folder) / image).is_file():
        return f"{image!r} does not end like an image ({', '.join(IMAGE_SUFFIXES)})"
    return f"there is no image {image!r}"


def _format(text: str) -> Callable[[Path, str, SkippedRecords], list[_Row]]:
    """What reads a file that begins with this text."""
    if text.lstrip().startswith(("{", "[")):
        return _coco_rows
    line = text.partition("\n")[0].strip()
    if line.startswith(_RESULTS):
        return _result_rows
    return _token_rows if _TOKEN.match(line) else _csv_rows


def _coco_rows(path: Path, text: str, skipped: SkippedRecords) -> list[_Row]:
    """COCO: images with ``id`` and ``file_name``, annotations with ``image_id`` and ``caption``."""
    content = parse_json(text, f"{path}")
    named: list[tuple[str, int, str]] = []
    for i, entry in enumerate(field(f"{path}", content, "images", list)):
        where = f"{path}: images[{i}]"
        with skipped.record(f"images[{i}]"):
            named.append((where, field(where, entry, "id", int), filled(where, entry, "file_name")))
    images: dict[int, str] = {}
    for where, number, name in named:
        if images.setdefault(number, name) != name:  # of which its captions are is not known
            raise ValueError(f"{where}: id: {number} occurs twice")
    rows = []
    for i, entry in enumerate(field(f"{path}", content, "annotations", list)):
        where = f"{path}: annotations[{i}]"
        with skipped.record(f"annotations[{i}]"):
            image = field(where, entry, "image_id", int)
            if image not in images:
                raise ValueError(f"{where}: image_id: there is no image {image}")
            rows.append(_Row(where, images[image], field(where, entry, CAPTION, str).strip()))
    return rows


def _token_rows(path: Path, text: str, skipped: SkippedRecords) -> list[_Row]:
    """Flickr: ``1000092795.jpg#0<TAB>Two young guys ...``."""
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            with skipped.record(f"line {number}"):
                match = _TOKEN.fullmatch(line.rstrip("\r"))
                if match is None:
                    raise ValueError(
                        f"{path}: line {number}: expected IMAGE#NUMBER, a tab and the caption"
                    )
                rows.append(_Row(f"{path}: line {number}", match[1].strip(), match[2].strip()))
    return rows


def _result_rows(path: Path, text: str, skipped: SkippedRecords) -> list[_Row]:
    """Flickr30k: ``1000092795.jpg| 0| Two young guys ...``."""
    rows = []
    for number, line in enumerate(text.split("\n")[1:], start=2):
        if line.strip():
            with skipped.record(f"line {number}"):
                parts = line.rstrip("\r").split("|", 2)
                if len(parts) < 3:
                    raise ValueError(f"{path}: line {number}: expected three fields set off by |")
                rows.append(_Row(f"{path}: line {number}", parts[0].strip(), parts[2].strip()))
    return rows


def _csv_rows(path: Path, text: str, skipped: SkippedRecords) -> list[_Row]:
    lines = _csv_lines(path, text, skipped)
    header = [name.strip() for name in lines.pop(0)[1]] if lines else []
    image = next((name for name in IMAGE if name in header), None)
    if image is None or CAPTION not in header:
        raise ValueError(f"{path}: line 1: expected the columns image,caption, got {header!r:.200}")
    for name in (image, CAPTION, GRAPH):
        if header.count(name) > 1:
            raise ValueError(f"{path}: line 1: the column {name} occurs twice")
    at, rows = header.index(image), []
    for line, values in lines:
        where = f"{path}: {line}"
        with skipped.record(line):
            if len(values) != len(header):
                raise ValueError(
                    f"{where}: expected {len(header)} fields ({','.join(header)}), got "
                    f"{len(values)}; a caption with a comma is written in quotation marks"
                )
            row = {name: value.strip() for name, value in zip(header, values, strict=True)}
            further = row[CAPTION].split("\n")[1:]
            if "\n" in row[image] or any(_is_row(one, at, row[image]) for one in further):
                raise ValueError(f"{where}: {CAPTION}: a quotation mark is not closed")
            rows.append(_Row(where, row[image], row[CAPTION], row.get(GRAPH, "")))
    return rows


def _csv_lines(path: Path, text: str, skipped: SkippedRecords) -> list[tuple[str, list[str]]]:
    """Where each row begins, and its fields; without the empty ones."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[tuple[str, list[str]]] = []
    fields: list[str] | None = []
    while fields is not None:
        where, problem = f"line {reader.line_num + 1}", ""
        try:
            fields = next(reader, None)
        except csv.Error as error:
            if "unexpected end" in str(error):  # everything from here on is one field
                raise ValueError(f"{path}: {where}: a quotation mark is not closed") from error
            problem = str(error)
        with skipped.record(where):
            if problem:
                raise ValueError(f"{path}: {where}: not CSV ({problem})")
            if fields:
                lines.append((where, fields))
    return lines


def _is_row(line: str, at: int, like: str) -> bool:
    """Whether a line within a caption is the next row, swallowed by an open quotation mark: one
    with the name of an image, or a number if this row's image is one, in the column of images."""
    fields = [part.strip() for part in line.split(",")]
    name = fields[at] if at < len(fields) else ""
    number = name.isdigit() and like.isdigit() and len(fields) > 1
    return name.lower().endswith(IMAGE_SUFFIXES) or number
