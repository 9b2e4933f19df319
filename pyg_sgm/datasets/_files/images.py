"""Files of pixels by their names in a dataset; they are not opened here."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyg_sgm.io import IMAGE_SUFFIXES, image_orientation, open_image


def list_images(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The image files in a folder and the folders below it, by their path within it, sorted.

    What counts is the ending of the name. Hidden files and folders are passed over.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder of images")
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder, images=True)}
    if not found:
        raise ValueError(f"{folder}: there is no image ({', '.join(IMAGE_SUFFIXES)})")
    return dict(sorted(found.items()))


def count_other_files(folder: str | os.PathLike[str]) -> dict[str, int]:
    """How many files of each other ending :func:`list_images` passes over.

    Args:
        folder: The folder.
    """
    endings = Counter(path.suffix.lower() for path in _files(Path(folder), images=False))
    return dict(sorted(endings.items()))


def _files(folder: Path, images: bool) -> Iterator[Path]:
    """The images, or the other files, in a folder and those below it."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES) == images:
                yield Path(place, name)


def find_image(folder: str | os.PathLike[str], names: Sequence[str], where: str) -> Path:
    """The file of an image: the first of the names that the folder has.

    Args:
        folder: Folder of images.
        names: Paths within the folder, from the most exact one on.
        where: File and record that name the image, for messages.

    Raises:
        FileNotFoundError: If the folder is absent.
        ValueError: If it has no such file.
    """
    folder = Path(folder)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder of images")
    raise ValueError(f"{where}: there is no image {folder / names[0]}")


def image_size(path: Path) -> tuple[tuple[int, int], int]:
    """Width and height of the stored pixels, and their EXIF orientation, from the file's header.

    Raises:
        ValueError: Naming the file, if it is no image.
        ImportError: If Pillow is not installed.
    """
    try:
        with open_image(path) as image:
            return image.size, image_orientation(image)
    except (FileNotFoundError, ImportError):
        raise
    except Exception as error:  # Pillow's parsers raise whatever broken bytes lead them to
        raise ValueError(f"{path}: cut short or no image ({error})") from error
