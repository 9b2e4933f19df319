"""Flickr8k: photos, a table of captions, and lists of names."""

import os
from collections.abc import Sequence
from pathlib import Path

from pyg_sgm.data import ImageRecord, TextRecord, image_record
from pyg_sgm.datasets._files.images import check_folder, find_image
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.captions import caption_rows
from pyg_sgm.io import read_lines

# Names here, and those of the original release.
PHOTOS = ("images", "Images", "Flicker8k_Dataset")
CAPTIONS = ("captions.csv", "captions.txt", "Flickr8k.token.txt")


class Flickr8k(SceneGraphDataset):
    """Photos and captions in the layout of Flickr8k, without graphs.

    Files in the folder:

    * ``images/`` (or ``Flicker8k_Dataset/``): the photos;
    * ``captions.csv`` (or ``Flickr8k.token.txt``): see
      :func:`~pyg_sgm.datasets.captions.read_captions`;
    * ``train.txt``, ``dev.txt``, ``test.txt`` (or ``Flickr_8k.trainImages.txt`` ...): the photos of
      each split, one name per line.

    Args:
        root (str or PathLike): The folder.
        split (str): Name of one of the lists; ``"val"`` and ``"dev"`` are the same.
        strict (bool, optional): Whether a photo or caption that cannot be used is an error; else it
            is left out, and one warning lists all of them. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file or the folder of photos is absent.
        ValueError: Naming file and line, for captions that cannot be read, a list that names a
            photo twice, or an empty list.
    """

    def __init__(self, root: str | os.PathLike[str], split: str, *, strict: bool = False) -> None:
        root = Path(root)
        path = _list(root, "dev" if split == "val" else split)
        photos = _first(root, PHOTOS)
        check_folder(photos)
        skipped = SkippedRecords(strict)
        texts: dict[str, list[TextRecord]] = {}
        captions = _first(root, CAPTIONS)
        for row in caption_rows(captions, skipped):
            texts.setdefault(row.image, []).append(row.text)
        images: dict[str, ImageRecord] = {}
        for number, line in enumerate(read_lines(path), start=1):
            name, where = line.strip(), f"{path}: line {number}"
            if name in images:
                raise ValueError(f"{where}: {name!r} occurs twice")
            if name:
                with skipped.record(name):
                    file = find_image(photos, [name], where)
                    if name not in texts:
                        raise ValueError(f"{where}: {name!r} has no caption in {captions.name}")
                    images[name] = image_record(id=name, file=file)
        skipped.report(path, len(images))
        super().__init__(
            list(images.values()),
            [text for name in images for text in texts[name]],
            [i for i, name in enumerate(images) for _ in texts[name]],
            skipped=skipped.records,
        )


def _list(root: Path, split: str) -> Path:
    path = _first(root, (f"{split}.txt", f"Flickr_8k.{split}Images.txt"))
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in root.glob("*.txt"))) or "none"
        raise FileNotFoundError(f"{path}: there is no such split; lists in the folder: {known}")
    return path


def _first(root: Path, names: Sequence[str]) -> Path:
    """The first of the names that the folder has, else the first."""
    return next((root / name for name in names if (root / name).exists()), root / names[0])
