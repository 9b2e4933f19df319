"""Anybody's images in a folder, with a table of captions."""

import os

from pyg_sgm.data import image_record
from pyg_sgm.datasets._files.images import list_images
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.captions import captioned


class ImageFolder(SceneGraphDataset):
    """The images of a folder and of the folders below it, without graphs.

    Images are known by their path within the folder, such as ``1.jpg`` or ``holiday/1.jpg``, and
    sorted by it. There are no splits: see
    :meth:`~pyg_sgm.datasets.SceneGraphDataset.split_every`.

    Args:
        folder: The folder.
        captions: CSV file of captions, see :func:`~pyg_sgm.datasets.captions.read_captions`.
            Images that it does not name are left out, with a warning that says how many.
            (default: :obj:`None`, all images and no texts)

    Raises:
        FileNotFoundError: If the folder or the file is absent.
        ValueError: If the folder has no image, and naming file and line for captions that cannot
            be read or name an image that is not there.
    """

    def __init__(
        self, folder: str | os.PathLike[str], captions: str | os.PathLike[str] | None = None
    ) -> None:
        images = [image_record(id=name, file=file) for name, file in list_images(folder).items()]
        super().__init__(**captioned(images, captions))
