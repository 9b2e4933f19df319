"""Files of pixels by their names in a dataset; at most their headers are read here."""

import mimetypes
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyg_sgm.data import turned_boxes
from pyg_sgm.data.features import is_inside
from pyg_sgm.io import (
    IMAGE_SUFFIXES,
    image_orientation,
    is_there,
    is_uri,
    list_files,
    open_image,
    read_lines,
    stored_size,
    to_path,
)

LIST = ".txt"  # ending of a file that lists images


def list_images(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The image files in a folder and the folders below it, by their path within it, sorted.

    What counts is the ending of the name. Hidden files and folders are passed over.

    Args:
        folder (str or PathLike): The folder, or its URI; or a file ``.txt`` that lists images, a
            path from its own folder or a URI a line, which are known by what it calls them.

    Raises:
        FileNotFoundError: If there is no such folder or list.
        ValueError: If it has no image, or a list names one twice.
    """
    folder = to_path(folder)
    if folder.suffix == LIST and folder.is_file():
        return _listed(folder)
    check_folder(folder)
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder, images=True)}
    if not found:
        raise ValueError(f"{folder}: there is no image ({', '.join(IMAGE_SUFFIXES)})")
    return dict(sorted(found.items()))


def count_other_files(folder: str | os.PathLike[str]) -> dict[str, int]:
    """How many files of each other ending :func:`list_images` passes over.

    Args:
        folder (str or PathLike): The folder.
    """
    folder = to_path(folder)
    others = () if folder.suffix == LIST else _files(folder, images=False)
    return dict(sorted(Counter(path.suffix.lower() for path in others).items()))


def warn_of_other_files(folder: str | os.PathLike[str]) -> None:
    """Warns of files that :func:`list_images` passes over and that may be photos."""
    others = {
        ending: count
        for ending, count in count_other_files(folder).items()
        if not (mimetypes.guess_type(f"a{ending}")[0] or "").startswith(("text/", "application/"))
    }
    if others:
        warnings.warn(
            f"{folder}: {sum(others.values())} files of other endings ({', '.join(others)}) are "
            f"passed over; images are {', '.join(IMAGE_SUFFIXES)}",
            stacklevel=3,
        )


def _listed(file: Path) -> dict[str, Path]:
    """The images that a file lists."""
    found: dict[str, Path] = {}
    for number, line in enumerate(read_lines(file), start=1):
        name = line.strip()
        if name in found:
            raise ValueError(f"{file}: line {number}: {name!r} is listed twice")
        if name:
            found[name] = to_path(name) if is_uri(name) else file.parent / name
    if not found:
        raise ValueError(f"{file}: there is no image")
    return dict(sorted(found.items()))


def _files(folder: Path, images: bool) -> Iterator[Path]:
    """The images, or the other files, in a folder and those below it."""
    if is_uri(folder):
        for name in list_files(folder):
            hidden = any(part.startswith(".") for part in name.split("/"))
            if name and not hidden and name.lower().endswith(IMAGE_SUFFIXES) == images:
                yield folder / name
        return
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES) == images:
                yield Path(place, name)


def check_folder(folder: str | os.PathLike[str] | None) -> None:
    """Raises a FileNotFoundError unless a folder, if one is given, is there."""
    if folder is None:
        return
    path = to_path(folder)
    if not (is_there(path) if is_uri(path) else path.is_dir()):
        raise FileNotFoundError(f"{folder}: there is no such folder of images")


def find_image(folder: str | os.PathLike[str], names: Sequence[str], where: str) -> Path:
    """The file of an image: the first of the names that the folder has.

    Args:
        folder (str or PathLike): Folder of images.
        names (list of str): Paths within the folder, from the most exact one on.
        where (str): File and record that name the image, for messages.

    Raises:
        ValueError: If a name leads out of the folder, or there is no such file.
    """
    for name in names:
        if not is_inside(name):
            raise ValueError(f"{where}: {name!r} leads out of the folder of images")
        path = to_path(folder) / name
        if path.is_file():
            return path
    raise ValueError(f"{where}: there is no image {to_path(folder) / names[0]}")


@dataclass(frozen=True)
class Frame:
    """How the pixels of a file are stored, and how they are shown.

    Args:
        stored (tuple): Width and height in pixels as stored.
        orientation (int): EXIF orientation, 1 to 8.
    """

    stored: tuple[int, int]
    orientation: int

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height of the image as it is shown."""
        width, height = self.stored
        return (height, width) if self.orientation >= 5 else (width, height)

    def turn(
        self, boxes: np.ndarray, size: tuple[float, float]
    ) -> tuple[np.ndarray, tuple[float, float]]:
        """Boxes in pixels of the image as stored, at any scale, and their image as it is shown.

        Args:
            boxes (ndarray): ``[num_boxes, 4]``.
            size (tuple): Width and height of the image that the boxes are measured in.

        Returns:
            Boxes and size to give to :func:`~pyg_sgm.data.image_record`. If the size is that of the
            image as shown, they stay as they are.
        """
        across, upright = size[0] > size[1], self.shown[0] > self.shown[1]
        if self.orientation == 1 or (self.shown != self.stored and across == upright):
            return boxes, size
        turned = turned_boxes(boxes / [*size, *size], self.orientation)
        if self.orientation >= 5:
            size = size[1], size[0]
        return turned * [*size, *size], size


def read_frame(path: Path) -> Frame:
    """Size and orientation of an image, from the header of its file.

    Raises:
        ValueError: Naming the file, if it is no image.
        ImportError: If Pillow is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF and of many pixels
            with open_image(path) as image:
                return Frame(stored_size(image), image_orientation(image))
    except ImportError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever broken bytes lead them to
        raise ValueError(f"{path}: cut short or no image ({error})") from error
