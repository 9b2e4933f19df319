"""Region features in the layout of SCAN, with captions."""

import os
from pathlib import Path

import numpy as np
import torch

from pyg_sgm.data import (
    ImageRecord,
    Ragged,
    Spans,
    TextRecord,
    image_record,
    open_npy,
    text_record,
)
from pyg_sgm.data.features import CheckedRows
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.image_sizes import read_image_sizes
from pyg_sgm.io import read_lines

CAPTIONS = 5  # of every image


class PrecomputedRegions(SceneGraphDataset):
    """Region features in the layout of `SCAN <https://arxiv.org/abs/1803.08024>`_, used by VSRN
    and others too, with five captions per image, or one. There are no labels and no relations.

    Files in the folder, each beginning with ``{split}_``:

    * ``ims.npy``: ``[N, regions, dim]`` float, memory-mapped: only the rows of a batch are read;
    * ``caps.txt``: one caption per line, five consecutive ones per image. ``N`` is the number of
      images, or that of captions: then every image is there five times and the first is taken, or
      all are different and have one caption each;
    * ``ids.txt``, optional: one id per image, or per caption (the image's repeated five times;
      other ids are those of the captions);
    * ``ims_bbx.npy`` ``[N, regions, 4]`` in pixels and ``ims_size.npy`` of widths and heights,
      optional, as `GSMN <https://arxiv.org/abs/2004.00277>`_ adds them. Without them the objects
      have no ``box``.

    Objects have the unknown label. Text graphs have words and nothing else.

    Args:
        root (str or PathLike): The folder, such as ``f30k_precomp``.
        split (str): ``"train"``, ``"dev"`` (or ``"val"``), ``"test"`` or ``"testall"``.
        strict (bool, optional): Whether an image or caption that cannot be used, or an image
            without captions, is an error; else it is left out, and one warning lists all of them.
            (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming the file, if it is cut short or pickled, if numbers of images, captions,
            ids and boxes do not fit one another, an id occurs twice, or nothing can be used. NaN in
            features is found when they are read.
    """

    def __init__(self, root: str | os.PathLike[str], split: str, *, strict: bool = False) -> None:
        root = Path(root)
        split = "dev" if split == "val" else split
        skipped = SkippedRecords(strict)
        caption_file = root / f"{split}_caps.txt"
        captions = read_lines(caption_file)
        path = root / f"{split}_ims.npy"
        array = open_npy(path)
        if array.ndim != 3 or array.dtype.kind != "f":
            raise ValueError(f"{path}: expected floats [images, regions, dim]")
        step, per_image = _layout(path, array, len(captions))
        count, (regions, dim) = len(array) // step, array.shape[1:]
        image_ids, text_ids = _ids(
            root / f"{split}_ids.txt", split, (count, len(captions)), per_image
        )
        boxes, sizes = _boxes(root, split, (len(array), regions))
        images: list[ImageRecord] = []
        texts: list[TextRecord] = []
        image_of_text, kept = [], []
        for i, name in enumerate(image_ids):
            with skipped.record(name or f"image {i}"):
                image = _image(path, name, regions, boxes, sizes, i * step)
                own: list[TextRecord] = []
                for k in range(i * per_image, (i + 1) * per_image):
                    with skipped.record(text_ids[k]):
                        own.append(_text(f"{caption_file}: line {k + 1}", captions[k], text_ids[k]))
                if not own:
                    raise ValueError(f"{path}: row {i * step}: {name!r} has no caption")
                texts += own
                image_of_text += [len(images)] * len(own)
                images.append(image)
                kept.append(i)
        skipped.report(path, len(images))
        starts = torch.tensor(kept) * (step * regions)
        rows = CheckedRows(array.reshape(-1, dim), str(path))
        features = Ragged(rows, Spans(starts, torch.full((len(kept),), regions)))
        super().__init__(
            images, texts, image_of_text, features={"object": features}, skipped=skipped.records
        )


def _layout(path: Path, array: np.ndarray, captions: int) -> tuple[int, int]:
    """How many rows of the array belong to one image, and how many captions."""
    rows = len(array)
    if rows * CAPTIONS == captions:
        return 1, CAPTIONS
    if rows != captions:
        raise ValueError(
            f"{path}: features of {rows} images do not fit {captions} captions, neither one nor "
            f"{CAPTIONS} each"
        )
    if rows % CAPTIONS:
        return 1, 1
    same = _equals_next(array)
    within = np.arange(1, rows) % CAPTIONS != 0
    if same[within].all():
        return CAPTIONS, CAPTIONS
    if same[within].any():
        first = int(np.flatnonzero(within & ~same)[0])
        raise ValueError(
            f"{path}: {rows} rows and captions would be {CAPTIONS} copies of each image, but rows "
            f"{first} and {first + 1} differ, while others do not"
        )
    return 1, 1


def _equals_next(array: np.ndarray) -> np.ndarray:
    """Whether each row but the last has the features of the next one, ``[rows - 1]``.

    The first and last region are enough to tell images apart; to read all would take minutes.
    """
    same = []
    for start in range(0, len(array) - 1, 1000):
        ends = array[start : start + 1001][:, [0, -1]]
        same.append((ends[1:] == ends[:-1]).all(axis=(1, 2)))
    return np.concatenate(same)


def _ids(
    path: Path, split: str, counts: tuple[int, int], per_image: int
) -> tuple[list[str], list[str]]:
    """Ids of the images and of the captions."""
    images, captions = counts
    image_ids = [f"{split}-{i:06d}" for i in range(images)]
    lines = [line.strip() for line in read_lines(path)] if path.exists() else image_ids
    if len(lines) == images:
        image_ids = lines
    elif len(lines) != captions:
        raise ValueError(f"{path}: {len(lines)} ids for {images} images, {captions} captions")
    elif all(line == lines[i - i % per_image] for i, line in enumerate(lines)):
        image_ids = lines[::per_image]
    else:
        return image_ids, lines
    known: dict[str, int] = {}
    for number, name in enumerate(image_ids, start=1):
        if name and name in known:
            raise ValueError(f"{path}: line {number}: image id {name!r} occurs twice")
        known[name] = number
    return image_ids, [f"{name}#{k}" for name in image_ids for k in range(per_image)]


def _boxes(
    root: Path, split: str, shape: tuple[int, int]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Boxes and sizes of all rows, if there are."""
    path = root / f"{split}_ims_bbx.npy"
    if not path.exists():
        return None, None
    boxes = open_npy(path)
    if boxes.shape != (*shape, 4):
        raise ValueError(f"{path}: expected boxes {[*shape, 4]}, got {list(boxes.shape)}")
    sizes_path = root / f"{split}_ims_size.npy"
    sizes = read_image_sizes(sizes_path)
    if len(sizes) != len(boxes):
        raise ValueError(f"{sizes_path}: {len(sizes)} sizes for {len(boxes)} images")
    return boxes, sizes


def _image(
    path: Path,
    name: str,
    regions: int,
    boxes: np.ndarray | None,
    sizes: np.ndarray | None,
    row: int,
) -> ImageRecord:
    if not name:
        raise ValueError(f"{path}: row {row}: the id of the image is empty")
    labels = [UNKNOWN] * regions
    if boxes is None or sizes is None:
        return image_record(labels, id=name)
    try:
        return image_record(labels, boxes[row], size=sizes[row].tolist(), id=name)
    except ValueError as error:
        raise ValueError(f"{path}: row {row}: {error}") from error


def _text(where: str, caption: str, id: str) -> TextRecord:
    if not caption.strip():
        raise ValueError(f"{where}: empty")
    try:
        return text_record(caption, id=id)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
