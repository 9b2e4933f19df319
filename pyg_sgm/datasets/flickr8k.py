"""Flickr8k: photos, a table of captions, and lists of names."""

import os
from pathlib import Path

from pyg_sgm.data import TextRecord, image_record
from pyg_sgm.datasets._files.images import find_image
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.captions import read_captions
from pyg_sgm.io import read_text


class Flickr8k(SceneGraphDataset):
    """Photos and captions in the layout of Flickr8k, without graphs.

    Files in the folder:

    * ``images/``: the photos;
    * ``captions.csv``: see :func:`~pyg_sgm.datasets.captions.read_captions`;
    * ``train.txt``, ``dev.txt``, ``test.txt``: the photos of each split, one name a line.

    Args:
        root: The folder.
        split: Name of one of the lists; ``"val"`` is ``"dev"``.

    Raises:
        FileNotFoundError: If a file or the folder of photos is absent.
        ValueError: Naming file and line, for captions that cannot be read, a list that names a
            photo twice, a photo that has no file or no caption, or an empty list.
    """

    def __init__(self, root: str | os.PathLike[str], split: str) -> None:
        root = Path(root)
        path = root / ("dev.txt" if split == "val" else f"{split}.txt")
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in root.glob("*.txt"))) or "none"
            raise FileNotFoundError(f"{path}: there is no such split; lists in the folder: {known}")
        texts: dict[str, list[TextRecord]] = {}
        for row in read_captions(root / "captions.csv"):
            texts.setdefault(row.image, []).append(row.text)
        images = {}
        for number, line in enumerate(read_text(path).split("\n"), start=1):
            name, where = line.strip(), f"{path}: line {number}"
            if not name:
                continue
            if name in images:
                raise ValueError(f"{where}: {name!r} stands there twice")
            file = find_image(root / "images", [name], where)
            if name not in texts:
                raise ValueError(f"{where}: {name!r} has no caption in captions.csv")
            images[name] = image_record(id=name, file=file)
        if not images:
            raise ValueError(f"{path}: there is no image")
        super().__init__(
            list(images.values()),
            [text for name in images for text in texts[name]],
            [i for i, name in enumerate(images) for _ in texts[name]],
        )
