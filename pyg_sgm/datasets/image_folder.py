"""Anybody's images in a folder, with a table of captions."""

import os

from pyg_sgm.data import image_record
from pyg_sgm.datasets._files.images import list_images, warn_of_other_files
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.captions import captioned


class ImageFolder(SceneGraphDataset):
    """The images of a folder and of the folders below it, without graphs.

    Images are known by their path within the folder, such as ``1.jpg`` or ``holiday/1.jpg``, and
    sorted by it. There are no splits: see
    :meth:`~pyg_sgm.datasets.SceneGraphDataset.split_every`.

    Args:
        folder (str or PathLike): The folder, or its URI, or a list of images, see
            :func:`list_images`.
        captions (str or PathLike, optional): File of captions, see
            :func:`~pyg_sgm.datasets.captions.read_captions`. Images that it does not name are left
            out, with a warning that says how many. (default: :obj:`None`, all images and no texts)
        strict (bool, optional): Whether a caption that cannot be used, or whose image is absent, is
            an error; else it is left out, and one warning lists all of them. (default:
            :obj:`False`)

    Raises:
        FileNotFoundError: If the folder or the file is absent.
        ValueError: If the folder has no image, and naming file and line for captions that cannot
            be read.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        captions: str | os.PathLike[str] | None = None,
        *,
        strict: bool = False,
    ) -> None:
        skipped = SkippedRecords(strict)
        images = [image_record(id=name, file=file) for name, file in list_images(folder).items()]
        warn_of_other_files(folder)
        arguments = captioned(images, captions, skipped, folder=folder)
        skipped.report(captions or folder, len(arguments["images"]))
        super().__init__(**arguments)
