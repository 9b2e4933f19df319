"""Captions with the text graphs that people wrote."""

import os
from dataclasses import replace

from pyg_sgm.data import ImageRecord, image_record
from pyg_sgm.datasets._files.images import find_image
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.captions import read_captions


class Factual(SceneGraphDataset):
    """Captions and text graphs of `FACTUAL <https://arxiv.org/abs/2305.17497>`_, a CSV file of
    ``image_id``, ``caption`` and ``scene_graph``. Images are known by their Visual Genome number
    and have no graphs; to join the two, open Visual Genome with this file as ``captions``. There
    are no splits, each is a file.

    Args:
        path: The file, gzipped if its name ends in ``.gz``.
        images: Folder of the images, ``2325192.jpg`` ... (default: :obj:`None`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: See :func:`~pyg_sgm.datasets.captions.read_captions`; or if an image is not
            there.
    """

    def __init__(
        self, path: str | os.PathLike[str], images: str | os.PathLike[str] | None = None
    ) -> None:
        rows = read_captions(path)
        position: dict[str, int] = {}
        records: list[ImageRecord] = []
        for row in rows:
            if row.image not in position:
                position[row.image] = len(records)
                file = (
                    None if images is None else find_image(images, [f"{row.image}.jpg"], row.where)
                )
                records.append(image_record(id=row.image, file=file))
        # Every caption of this file has its graph, if an empty one.
        texts = [replace(row.text, has_graph=True) for row in rows]
        super().__init__(records, texts, [position[row.image] for row in rows])
