"""Region features in the layout of SCAN, with captions."""

import os
from pathlib import Path

import numpy as np
import torch

from pyg_sgm.data import ImageRecord, Ragged, Spans, image_record, open_npy, text_record
from pyg_sgm.data.features import CheckedRows
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.datasets._files.sizes import read_image_sizes
from pyg_sgm.datasets.base import SceneGraphDataset

CAPTIONS = 5  # of every image


class PrecomputedRegions(SceneGraphDataset):
    """Region features in the layout of `SCAN <https://arxiv.org/abs/1803.08024>`_, used by VSRN
    and others too, with five captions an image. There are no labels and no relations.

    Files in the folder, each beginning with ``{split}_``:

    * ``ims.npy``: ``[N, regions, dim]`` float, memory-mapped: only the rows of a batch are read;
    * ``caps.txt``: one caption a line, five consecutive ones an image. ``N`` is the number of
      images, or that of captions; then every image is there five times and the first is taken;
    * ``ids.txt``, optional: one id an image, or a caption (the image's repeated five times; other
      ids are those of the captions);
    * ``ims_bbx.npy`` ``[N, regions, 4]`` in pixels and ``ims_size.npy`` of widths and heights,
      optional, as `GSMN <https://arxiv.org/abs/2004.00277>`_ adds them. Without them the objects
      have no ``box``.

    Objects have the unknown label. Text graphs have words and nothing else.

    Args:
        root: The folder, such as ``f30k_precomp``.
        split: ``"train"``, ``"dev"``, ``"test"`` or ``"testall"``.

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming the file, if it is cut short or pickled, if numbers of images, captions,
            ids and boxes do not fit one another, or a box is empty or outside its image. NaN in
            features is found when they are read.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        root = Path(root)
        captions = _lines(root / f"{split}_caps.txt")
        path = root / f"{split}_ims.npy"
        array = open_npy(path)
        if array.ndim != 3 or array.dtype.kind != "f":
            raise ValueError(f"{path}: expected floats [images, regions, dim]")
        step = _step(path, len(array), len(captions))
        count, (regions, dim) = len(array) // step, array.shape[1:]

        starts = torch.arange(count) * (step * regions)
        rows = CheckedRows(array.reshape(-1, dim), str(path))
        features = Ragged(rows, Spans(starts, torch.full((count,), regions)))

        image_ids, text_ids = _ids(root / f"{split}_ids.txt", split, count, len(captions))
        texts = [text_record(c, id=i) for c, i in zip(captions, text_ids, strict=True)]
        image_of_text = torch.arange(count).repeat_interleave(CAPTIONS)
        images = _images(root, split, image_ids, regions, step)
        super().__init__(images, texts, image_of_text, features={"object": features})


def _step(path: Path, rows: int, captions: int) -> int:
    """How many rows of the array belong to one image: 1 or 5."""
    if captions % CAPTIONS:
        raise ValueError(f"{path}: {captions} captions are not {CAPTIONS} an image")
    if rows == captions:
        return CAPTIONS
    if rows * CAPTIONS == captions:
        return 1
    raise ValueError(f"{path}: features of {rows} images do not fit {captions} captions")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file ({error})") from error


def _ids(path: Path, split: str, images: int, captions: int) -> tuple[list[str], list[str]]:
    """Ids of the images and of the captions."""
    image_ids = [f"{split}-{i:06d}" for i in range(images)]
    lines = [line.strip() for line in _lines(path)] if path.exists() else image_ids
    if len(lines) == images:
        image_ids = lines
    elif len(lines) != captions:
        raise ValueError(f"{path}: {len(lines)} ids for {images} images, {captions} captions")
    elif all(line == lines[i - i % CAPTIONS] for i, line in enumerate(lines)):
        image_ids = lines[::CAPTIONS]
    else:
        return image_ids, lines
    if len(set(image_ids)) < images:
        raise ValueError(f"{path}: an image id occurs twice")
    return image_ids, [f"{name}#{k}" for name in image_ids for k in range(CAPTIONS)]


def _images(root: Path, split: str, ids: list[str], regions: int, step: int) -> list[ImageRecord]:
    labels = [UNKNOWN] * regions
    path = root / f"{split}_ims_bbx.npy"
    if not path.exists():
        return [image_record(labels, id=name) for name in ids]
    boxes = open_npy(path)
    if boxes.shape != (len(ids) * step, regions, 4):
        raise ValueError(
            f"{path}: expected boxes [{len(ids) * step}, {regions}, 4], got {list(boxes.shape)}"
        )
    sizes_path = root / f"{split}_ims_size.npy"
    sizes = read_image_sizes(sizes_path)
    if len(sizes) != len(boxes):
        raise ValueError(f"{sizes_path}: {len(sizes)} sizes for {len(boxes)} images")
    try:
        return [
            image_record(labels, np.asarray(box), size=(size[0], size[1]), id=name)
            for name, box, size in zip(ids, boxes[::step], sizes[::step].tolist(), strict=True)
        ]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
