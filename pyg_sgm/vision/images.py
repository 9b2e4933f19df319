"""Pixels of files: anything Pillow opens, as plain RGB."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from pyg_sgm.io import image_orientation, is_local, open_image, stored_size, to_path

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 89_478_485  # where Pillow itself begins to warn of decompression bombs
_LARGE = 1 << 24  # pixels above which images are decoded one at a time, whatever the threads
_one_large = threading.Lock()
_SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height


class ImageError(ValueError):
    """A file that is no image, is broken, or is too large to decode; the message names it."""


@dataclass(frozen=True)
class Photo:
    """An image in memory.

    Args:
        pixels (ndarray): uint8 ``[height, width, 3]``, RGB.
        size (tuple): Width and height in pixels of the file as it is shown, which ``pixels`` may be
            a reduction of.
        id (str, optional): Name of the image. (default: :obj:`""`)
        orientation (int, optional): How the stored pixels were turned and mirrored to become these,
            1 to 8 as EXIF numbers it. (default: :obj:`1`, not at all)
    """

    pixels: np.ndarray
    size: tuple[int, int]
    id: str = ""
    orientation: int = 1

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height in pixels as stored, before the file is turned."""
        return self.size[::-1] if self.orientation in _SIDEWAYS else self.size


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Decodes an image to uint8 ``[height, width, 3]``, RGB.

    It is turned as its EXIF orientation says; of an animation it is the first frame; what is
    transparent becomes white; 16-bit values are scaled to 8 bits.

    Args:
        path (str or PathLike): A file of AVIF, BMP, GIF, HEIC (with pillow-heif), JPEG, PNG, TIFF
            or WebP.

    Raises:
        FileNotFoundError: If it is absent.
        ImageError: If it is empty, cut short, no image, or has more than 89 million pixels.
        ImportError: If Pillow is absent.
    """
    return read_photo(path).pixels


def read_photo(path: str | os.PathLike[str], id: str = "", *, at_most: int | None = None) -> Photo:
    """The same as :func:`read_image`, with name and size, and reduced if it is large.

    Args:
        path (str or PathLike): A file of AVIF, BMP, GIF, HEIC (with pillow-heif), JPEG, PNG, TIFF
            or WebP.
        id (str, optional): Name of the image. (default: :obj:`""`)
        at_most (int, optional): Length in pixels that the longer side is reduced to; a JPEG is then
            decoded at less than its full size. (default: :obj:`None`, never reduced)

    Raises:
        FileNotFoundError, ImageError, ImportError: See :func:`read_image`.
    """
    path = to_path(path)
    if is_local(path) and os.path.getsize(path) == 0:
        raise ImageError(f"{path}: empty file")
    with _named_errors(str(path)), open_image(path) as image:
        return _photo(image, str(path), id, at_most)


def to_photo(
    image: "Image.Image | np.ndarray", id: str = "", *, at_most: int | None = None
) -> Photo:
    """The same of an image that is in memory.

    Args:
        image (Image.Image or ndarray): An image of Pillow, or an array uint8 ``[height, width, 3]``
            (RGB) or ``[height, width]`` (gray).
        id (str, optional): Name of the image. (default: :obj:`""`)
        at_most (int, optional): See :func:`read_photo`. (default: :obj:`None`)

    Raises:
        ImageError: If the array is another, or as :func:`read_image`.
        ImportError: If Pillow is absent.

    Example:
        >>> to_photo(np.zeros((3, 4), np.uint8)).pixels.shape
        (3, 4, 3)
    """
    Image = _pillow()
    name = id or "image"
    if isinstance(image, np.ndarray):
        shape = image.shape
        known = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
        if image.dtype != np.uint8 or not known or 0 in shape:
            raise ImageError(
                f"{name}: expected an array uint8 [height, width, 3], "
                f"got {image.dtype} {list(shape)}"
            )
    # Reducing works in place, hence the copy.
    own = Image.fromarray(image) if isinstance(image, np.ndarray) else image.copy()
    with _named_errors(name):
        return _photo(own, name, id, at_most)


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("images need more: pip install pyg_sgm[vision]") from error
    return Image


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Whatever a decoder raises, as an error that names the image."""
    Image = _pillow()
    try:
        yield
    except (FileNotFoundError, ImageError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: more than {MAX_PIXELS} pixels") from error
    except Exception as error:  # Pillow's decoders raise whatever broken bytes lead them to
        raise ImageError(f"{name}: cut short or no image ({error})") from error


def _photo(image: "Image.Image", name: str, id: str, at_most: int | None) -> Photo:
    width, height = stored_size(image)
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name}: {width} x {height} pixels are more than {MAX_PIXELS}")
    with _one_large if width * height > _LARGE else nullcontext():
        orientation = image_orientation(image)
        pixels = _decode(image, at_most)
    size = (height, width) if orientation in _SIDEWAYS else (width, height)
    return Photo(pixels, size, id, orientation)


def _decode(image: "Image.Image", at_most: int | None) -> np.ndarray:
    """RGB pixels, as the image is shown."""
    from PIL import Image, ImageOps

    if image.mode.startswith(("I", "F")):
        image = _eight_bit(image)
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode in ("1", "L", "RGB") and image.has_transparency_data:
        image = image.convert("RGBA")  # before reducing mixes the transparent color with others
    if at_most is not None and max(image.size) > at_most:
        image.thumbnail((at_most, at_most), Image.Resampling.BILINEAR, reducing_gap=2.0)
    # Files without orientation come back as they are.
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        white = Image.new("RGBA", upright.size, (255, 255, 255, 255))
        upright = Image.alpha_composite(white, upright)
    return np.array(upright.convert("RGB"))


def _eight_bit(image: "Image.Image") -> "Image.Image":
    """Gray values of 16 bits, or of float, which Pillow's own conversion would clip at 255."""
    from PIL import Image

    values = np.asarray(image)
    if image.mode.startswith("I") and (image.mode != "I" or values.max(initial=0) > 255):
        # By a table, because whole images of float would take four times the memory.
        values = (np.arange(1 << 16) / 257).round().astype(np.uint8)[values.clip(0, 65535)]
    else:
        values = values.clip(0, 255).round().astype(np.uint8)
    gray = Image.fromarray(values)
    gray.info = image.info  # holds the orientation
    return gray
