"""Files of pixels: which ones are images, opened and not yet decoded."""

import os
from io import BytesIO
from typing import TYPE_CHECKING

from pyg_sgm.io._places import is_local, naming, to_path

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png"),
    *(".tif", ".tiff", ".webp"),
)
# No other decoder is tried, such as that of EPS, which starts a program.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
_ORIENTATION = 0x0112  # of EXIF


def open_image(path: str | os.PathLike[str]) -> "Image.Image":
    """An image file as Pillow opens it, not yet decoded: AVIF, BMP, GIF, HEIC, JPEG, PNG, TIFF or
    WebP.

    Args:
        path (str or PathLike): The file.

    Raises:
        FileNotFoundError: If it is absent.
        ValueError: If it is no such image, or HEIC without pillow-heif.
        ImportError: If Pillow is absent.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError("images need more: pip install pyg_sgm[vision]") from error
    path = to_path(path)
    with naming(path):
        content = path if is_local(path) else BytesIO(path.read_bytes())
    if _is_heif(content):
        return _open_heif(content, path)
    try:
        image = Image.open(content, formats=_FORMATS)
    except UnidentifiedImageError:
        if isinstance(content, BytesIO):  # which has no name
            what = "cannot identify image file" if content.getvalue() else "empty file"
            raise ValueError(f"{what} {str(path)!r}") from None
        raise
    if image.format == "TIFF":
        image.filename = ""  # by which Pillow would map it, wrongly if it turns it
    return image


def stored_size(image: "Image.Image") -> tuple[int, int]:
    """Width and height in pixels of an image as it is stored, before it is turned.

    Args:
        image (Image.Image): What :func:`open_image` gives, not yet decoded.
    """
    from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

    if isinstance(image, TiffImageFile):  # whose size is that of the image as it is shown
        return image.tag_v2[IMAGEWIDTH], image.tag_v2[IMAGELENGTH]
    return image.size


def image_orientation(image: "Image.Image") -> int:
    """How an image is to be turned or mirrored before it is shown, 1 to 8 as EXIF numbers it.

    Args:
        image (Image.Image): What :func:`open_image` gives.
    """
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _is_heif(content: os.PathLike[str] | BytesIO) -> bool:
    if isinstance(content, BytesIO):
        head = content.getvalue()[:64]
    else:
        with open(content, "rb") as file:
            head = file.read(64)
    return head[4:8] == b"ftyp" and b"avif" not in head and b"avis" not in head


def _open_heif(content: os.PathLike[str] | BytesIO, path: os.PathLike[str]) -> "Image.Image":
    try:
        import pillow_heif
    except ImportError as error:
        raise ValueError(f"{path}: HEIC needs more: pip install pyg_sgm[heif]") from error
    # Opened by name, so that Pillow's own table of formats stays as it is.
    image: Image.Image = pillow_heif.open_heif(content, convert_hdr_to_8bit=True).to_pillow()
    return image
