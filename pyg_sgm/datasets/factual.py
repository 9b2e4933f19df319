"""Captions of a file, with the text graphs that people wrote if there are."""

import os
from collections.abc import Sequence
from dataclasses import replace

from pyg_sgm.data import ImageRecord, TextRecord, image_record
from pyg_sgm.datasets._files.images import check_folder, find_image
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.captions import Caption, caption_rows


class CaptionFile(SceneGraphDataset):
    """The captions of a file and the images that it names, such as COCO's ``captions_*.json``.

    There are no splits, each is a file.

    Args:
        path (str or PathLike): The file, see :func:`~pyg_sgm.datasets.captions.read_captions`.
        images (str or PathLike, optional): Folder of the images. (default: :obj:`None`)
        strict (bool, optional): Whether a record that cannot be used is an error; else it is left
            out, and one warning lists all of them. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file or the folder is absent.
        ValueError: See :func:`~pyg_sgm.datasets.captions.read_captions`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        images: str | os.PathLike[str] | None = None,
        strict: bool = False,
    ) -> None:
        check_folder(images)
        skipped = SkippedRecords(strict)
        records: dict[str, ImageRecord] = {}
        rows: list[Caption] = []
        for row in caption_rows(path, skipped):
            with skipped.record(row.text.id):
                if row.image not in records:
                    file = None
                    if images is not None:
                        file = find_image(images, self._files(row.image), row.where)
                    records[row.image] = image_record(id=row.image, file=file)
                rows.append(row)
        skipped.report(path, len(rows))
        position = {name: i for i, name in enumerate(records)}
        super().__init__(
            list(records.values()),
            [self._text(row) for row in rows],
            [position[row.image] for row in rows],
            skipped=skipped.records,
        )

    def _files(self, image: str) -> Sequence[str]:
        """Names that the file of an image may have."""
        return [image]

    def _text(self, row: Caption) -> TextRecord:
        return row.text


class Factual(CaptionFile):
    """Captions and text graphs of `FACTUAL <https://arxiv.org/abs/2305.17497>`_, a CSV file of
    ``image_id``, ``caption`` and ``scene_graph``.

    Images are known by their Visual Genome number and have no graphs; to join the two, open Visual
    Genome with this file as ``captions``. There are no splits, each is a file.

    Args:
        path (str or PathLike): The file, unpacked if its name ends in ``.gz``.
        images (str or PathLike): Folder of the images, ``2325192.jpg`` ... (default: :obj:`None`)
        strict (bool): See :class:`CaptionFile`. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file or the folder is absent.
        ValueError: See :func:`~pyg_sgm.datasets.captions.read_captions`.
    """

    def _files(self, image: str) -> Sequence[str]:
        return [f"{image}.jpg"]

    def _text(self, row: Caption) -> TextRecord:
        # Every caption of this file has its graph, if an empty one.
        return replace(row.text, has_graph=True)
