"""Everything that may stand in a folder of images."""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from pyg_sgm.datasets._files.images import read_frame  # noqa: E402
from pyg_sgm.vision import ImageError, read_image, read_photo, to_photo  # noqa: E402


def picture(height: int = 12, width: int = 20) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 12, y * 20, np.full_like(x, 90)], -1).astype(np.uint8)


def test_png_is_exact_and_jpeg_is_close(tmp_path: Path) -> None:
    pixels = picture()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    assert (read_image(tmp_path / "a.png") == pixels).all()
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - pixels).mean() < 6


def test_alpha_lies_over_white(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[0, 0, 3] = 255
    pixels[0, 1, 3] = 51  # a fifth
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    seen = read_image(tmp_path / "a.png")
    assert seen[0, 0].tolist() == [200, 0, 0]
    assert seen[0, 1].tolist() == [244, 204, 204]
    assert seen[1, 1].tolist() == [255, 255, 255]


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([9, 9, 9, 40, 50, 60])
    image.save(tmp_path / "a.png", transparency=0)
    assert read_image(tmp_path / "a.png").tolist() == [[[255] * 3, [40, 50, 60]]]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_transparent_color_is_white_when_reduced(tmp_path: Path, mode: str) -> None:
    pixels = np.full((40, 40), 120, np.uint8)
    pixels[:, ::2] = 7
    image = Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "a.png", transparency=7 if mode == "L" else (7, 7, 7))
    assert read_image(tmp_path / "a.png")[0, :2, 0].tolist() == [255, 120]
    reduced = read_photo(tmp_path / "a.png", at_most=10).pixels[2:-2, 2:-2].astype(int)
    assert np.abs(reduced - (255 + 120) / 2).max() <= 2


def test_grey_cmyk_and_one_bit(tmp_path: Path) -> None:
    grey = picture()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert (read_image(tmp_path / "grey.png") == grey[..., None]).all()
    Image.fromarray(picture()).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "cmyk.jpg").astype(int) - picture()).mean() < 12
    Image.fromarray(grey > 100).save(tmp_path / "bits.png")
    assert set(read_image(tmp_path / "bits.png").ravel().tolist()) == {0, 255}


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65535, 25700]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 255, 100]


def test_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[1, 2, 3]]]


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    upright = picture()
    # What a camera stores that was held so that EXIF says `orientation`.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    photo = read_photo(tmp_path / "a.png")
    assert (photo.pixels == upright).all()
    assert photo.size == (20, 12)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "I;16", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_tiff_is_turned_as_png_is(tmp_path: Path, mode: str, orientation: int) -> None:
    stored = Image.fromarray(picture()).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        stored = Image.fromarray(np.asarray(stored).astype(np.uint16) * 257)
    stored.save(tmp_path / "a.tif", tiffinfo={0x0112: orientation})
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = stored.convert("RGB") if mode == "CMYK" else stored
    seen.save(tmp_path / "a.png", exif=exif)
    for at_most in (None, 10):
        photo, expected = (
            read_photo(tmp_path / name, at_most=at_most) for name in ("a.tif", "a.png")
        )
        assert photo.size == expected.size
        assert photo.stored_size == expected.stored_size == (20, 12)
        assert photo.pixels.shape == expected.pixels.shape
        # Turned before it is reduced, not after it.
        assert np.abs(photo.pixels.astype(int) - expected.pixels).max() <= (8 if at_most else 0)
    assert read_frame(tmp_path / "a.tif") == read_frame(tmp_path / "a.png")


def test_large_images_are_reduced_on_request(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1500), (200, 100, 50)).save(tmp_path / "a.jpg")
    photo = read_photo(tmp_path / "a.jpg", "name", at_most=600)
    assert photo.pixels.shape == (300, 600, 3)
    assert (photo.size, photo.id) == ((3000, 1500), "name")
    assert np.abs(photo.pixels.astype(int) - [200, 100, 50]).max() <= 3
    assert read_photo(tmp_path / "a.jpg", at_most=4000).pixels.shape == (1500, 3000, 3)


def bomb(side: int = 20_000) -> bytes:
    """A PNG whose header claims much and that holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_are_named(tmp_path: Path) -> None:
    Image.fromarray(picture(100, 100)).save(tmp_path / "whole.jpg")
    Image.fromarray(picture(100, 100)).save(tmp_path / "whole.png")
    files = {
        "cut.jpg": (tmp_path / "whole.jpg").read_bytes()[:700],
        "cut.png": (tmp_path / "whole.png").read_bytes()[:200],
        "text.jpg": b"no image at all",
        "empty.jpg": b"",
        "bomb.png": bomb(),
        "large.png": bomb(10_000),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "absent.jpg")


def test_images_in_memory_are_as_their_files(tmp_path: Path) -> None:
    pixels = picture()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = read_photo(tmp_path / "a.png", "a", at_most=10)
    image = Image.fromarray(pixels)
    for given in (image, pixels):
        photo = to_photo(given, "a", at_most=10)
        assert photo.size == expected.size == (20, 12)
        assert photo.id == "a"
        assert np.array_equal(photo.pixels, expected.pixels)
    assert image.size == (20, 12)  # reducing leaves the caller's image alone
    assert to_photo(pixels[..., 0]).pixels[0, 1].tolist() == [12, 12, 12]
    for wrong in (pixels / 255, pixels[None], np.zeros((0, 4, 3), np.uint8), pixels[..., :2]):
        with pytest.raises(ImageError, match=r"b: expected an array uint8 \[height, width, 3\]"):
            to_photo(wrong, "b")


@pytest.mark.parametrize("name", ["a.avif", "a.jfif", "a.tif", "a.webp", "a.bmp", "a.gif"])
def test_formats(tmp_path: Path, name: str) -> None:
    kind = {"a.jfif": "JPEG"}.get(name)
    Image.new("RGB", (12, 8), (200, 30, 30)).save(tmp_path / name, format=kind)
    assert np.abs(read_image(tmp_path / name).astype(int) - [200, 30, 30]).max() < 12


def test_heic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    wide = Image.new("RGB", (64, 32), (20, 30, 200))
    pillow_heif.from_pillow(wide).save(tmp_path / "a.heic")
    before = dict(Image.OPEN)
    photo = read_photo(tmp_path / "a.heic")
    assert photo.size == (64, 32)
    assert np.abs(photo.pixels.astype(int) - [20, 30, 200]).max() < 12
    assert before == Image.OPEN  # Pillow's own table stays as it is
    (tmp_path / "broken.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 100)
    with pytest.raises(ImageError, match=r"broken.HEIC: cut short or no image"):
        read_photo(tmp_path / "broken.HEIC")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"a.heic: HEIC needs more: pip install pyg_sgm\[heif\]"):
        read_photo(tmp_path / "a.heic")


def test_no_other_decoder_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import EpsImagePlugin

    def start(*arguments: object, **options: object) -> None:
        raise AssertionError("Ghostscript is started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", start)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.eps").read_bytes())
    for name in ("a.jpg", "a.eps"):
        with pytest.raises(ImageError, match=f"{name}: cut short or no image"):
            read_photo(tmp_path / name)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_is_kept(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (12, 8)).save(tmp_path / "a.jpg", exif=exif)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.orientation == orientation
    assert photo.stored_size == (12, 8)
    assert photo.size == ((8, 12) if orientation > 4 else (12, 8))
