"""Boxes of photos that EXIF turns, against Pillow."""

import numpy as np
import pytest

from pyg_sgm.data import turned_boxes

Image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_the_pixels_do(orientation: int) -> None:
    from PIL import ImageOps

    pixels = np.zeros((30, 40), np.uint8)
    pixels[3:12, 4:24] = 255
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    shown = np.asarray(ImageOps.exif_transpose(image))
    rows, columns = np.nonzero(shown)
    height, width = shown.shape
    expected = [columns.min() / width, rows.min() / height]
    expected += [(columns.max() + 1) / width, (rows.max() + 1) / height]
    box = np.array([[4 / 40, 3 / 30, 24 / 40, 12 / 30]])
    assert turned_boxes(box, orientation)[0] == pytest.approx(expected)
