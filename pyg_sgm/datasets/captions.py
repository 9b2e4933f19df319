"""Captions in a table, and the images that they are of."""

import csv
import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pyg_sgm.data import ImageRecord, Ragged, TextRecord, read_scene_graph, text_record
from pyg_sgm.io import read_text

IMAGE, CAPTION, GRAPH = ("image", "image_id"), "caption", "scene_graph"


@dataclass(frozen=True)
class Caption:
    """A row of a table of captions.

    Args:
        image: Name of the image.
        text: The caption, with its graph if the table has graphs.
        where: File and line, for messages.
    """

    image: str
    text: TextRecord
    where: str


def read_captions(path: str | os.PathLike[str]) -> list[Caption]:
    """Reads a CSV file of captions, gzipped if its name ends in ``.gz``.

    Its first line names the columns: ``image`` (or ``image_id``), ``caption``, and optionally
    ``scene_graph`` as `FACTUAL <https://arxiv.org/abs/2305.17497>`_ writes it,
    ``( man , ride , horse ) , ( horse , is , brown )``, empty where a caption has no graph yet;
    others are ignored. A caption with a comma is written in quotation marks. Texts are named
    ``IMAGE#0``, ``IMAGE#1`` ... in the order of the file. Empty lines are skipped.

    Raises:
        FileNotFoundError: If the file is absent.
        ValueError: Naming file, line and field, for a file that is cut short, not UTF-8 or of
            other columns, and for a row of another length, with a quotation mark that is not
            closed, without an image or without a caption.
    """
    path = Path(path)
    rows = _rows(path)
    _, header = next(rows, ("", []))
    image = next((name for name in IMAGE if name in header), None)
    if image is None or CAPTION not in header:
        raise ValueError(f"{path}: line 1: expected the columns image,caption, got {header}")
    captions: list[Caption] = []
    count: dict[str, int] = {}
    for where, values in rows:
        if len(values) != len(header):
            raise ValueError(
                f"{where}: expected {len(header)} fields ({','.join(header)}), got {len(values)}; "
                "a caption with a comma stands in quotation marks"
            )
        row = {name: value.strip() for name, value in zip(header, values, strict=True)}
        for name in (image, CAPTION):
            if not row[name]:
                raise ValueError(f"{where}: {name}: empty")
            if "\n" in row[name] or "\r" in row[name]:
                raise ValueError(f"{where}: {name}: a quotation mark is not closed")
        name = row[image]
        number = count[name] = count.get(name, -1) + 1
        graph = read_scene_graph(row[GRAPH]) if row.get(GRAPH) else {}
        try:
            text = text_record(row[CAPTION], **graph, id=f"{name}#{number}")
        except ValueError as error:
            raise ValueError(f"{where}: {GRAPH}: {error}") from error
        captions.append(Caption(name, text, where))
    return captions


def captioned(
    images: Sequence[ImageRecord],
    captions: str | os.PathLike[str] | None,
    features: Mapping[str, Ragged] | None = None,
) -> dict[str, Any]:
    """Arguments of :class:`~pyg_sgm.datasets.SceneGraphDataset` for images with the captions of a
    file.

    Images without a caption are left out, with a warning that says how many.

    Args:
        images: The images, with distinct ids.
        captions: See :func:`read_captions`; images are named by their ids. (:obj:`None`: images
            alone)
        features: Region features of the images. (default: none)

    Raises:
        ValueError: Naming file and line, for a caption of an image that is not there, or if there
            is no caption.
    """
    features = features or {}
    if captions is None:
        return {"images": images, "texts": [], "image_of_text": [], "features": features}
    rows = read_captions(captions)
    if not rows:
        raise ValueError(f"{captions}: there is no caption")
    position = {image.id: i for i, image in enumerate(images)}
    for row in rows:
        if row.image not in position:
            raise ValueError(f"{row.where}: image: there is no image {row.image!r}")
    kept = sorted({position[row.image] for row in rows})
    if len(kept) < len(images):
        named = {row.image for row in rows}
        first = next(image.id for image in images if image.id not in named)
        warnings.warn(
            f"{captions}: {len(images) - len(kept)} of {len(images)} images have no caption and "
            f"are left out, such as {first!r}",
            stacklevel=2,
        )
    new = {images[i].id: k for k, i in enumerate(kept)}
    return {
        "images": [images[i] for i in kept],
        "texts": [row.text for row in rows],
        "image_of_text": [new[row.image] for row in rows],
        "features": {node: part.select(torch.tensor(kept)) for node, part in features.items()},
    }


def _rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """File and line, and the fields, of every row that is not empty."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    while True:
        where = f"{path}: line {reader.line_num + 1}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{where}: not CSV ({error})") from error
        if row is None:
            return
        if row:
            yield where, row
