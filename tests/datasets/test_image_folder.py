import warnings
from pathlib import Path
from unicodedata import normalize

import pytest
from PIL import Image

from pyg_sgm.datasets import ImageFolder, count_other_files, open_dataset
from pyg_sgm.datasets.registry import with_full_paths
from pyg_sgm.io import to_path
from tests.helpers.stores import put_files


def make(root: Path) -> Path:
    (root / "photos" / "far").mkdir(parents=True)
    for name in ("b.JPG", "a.png", "far/c.webp", "notes.txt", ".d.jpg"):
        (root / "photos" / name).touch()
    return root / "photos"


def captions(root: Path, *rows: str) -> Path:
    path = root / "captions.csv"
    path.write_text("\n".join(["image,caption", *rows]))
    return path


def test_images_alone(tmp_path: Path) -> None:
    data = open_dataset(f"images:{make(tmp_path)}", "any")
    assert data.image_ids == ["a.png", "b.JPG", "far/c.webp"]
    assert data.images[2].file == tmp_path / "photos" / "far" / "c.webp"
    assert (len(data), data.num_images, data.num_texts) == (3, 3, 0)
    assert data[1] == (data.images[1], [])
    assert [image.id for image, _ in data] == data.image_ids


def test_captions(tmp_path: Path) -> None:
    folder = make(tmp_path)
    path = captions(tmp_path, "far/c.webp,A hill .", "a.png,A dog .", "b.JPG,x", "a.png,Snow .")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = open_dataset(f"images:{folder},captions={path}", "train")
    assert data.image_ids == ["a.png", "b.JPG", "far/c.webp"]
    assert data.text_ids == ["far/c.webp#0", "a.png#0", "b.JPG#0", "a.png#1"]
    assert data.image_of_text.tolist() == [2, 0, 1, 0]


def test_a_graph_that_is_empty_is_not_one_that_is_unknown(tmp_path: Path) -> None:
    folder = make(tmp_path)
    path = tmp_path / "graphs.csv"
    path.write_text("image,caption,scene_graph\na.png,a dog,( dog )\nb.JPG,a cat,\nfar/c.webp,o,()")
    data = ImageFolder(folder, path)
    assert [text.has_graph for text in data.texts] == [True, False, True]
    assert not any(image.has_graph for image in data.images)
    part = data.select_images([2, 0])
    assert [text.has_graph for text in part.texts] == [True, True]


def test_a_name_with_an_accent_is_the_same_in_either_form(tmp_path: Path) -> None:
    composed, apart = (normalize(form, "caf\u00e9.png") for form in ("NFC", "NFD"))
    assert composed != apart
    folder = tmp_path / "photos"
    folder.mkdir()
    for on_disk, in_table in ((apart, composed), (composed, apart)):
        Image.new("RGB", (8, 8)).save(folder / on_disk)
        data = ImageFolder(folder, captions(tmp_path, f"{in_table},A dog ."))
        assert data.image_ids == [on_disk]
        assert data.captions == ["A dog ."]
        (folder / on_disk).unlink()
    for name in (composed, apart):  # two files, where the disk tells them apart
        Image.new("RGB", (8, 8)).save(folder / name)
    if len(list(folder.iterdir())) == 2:
        data = ImageFolder(folder, captions(tmp_path, f"{composed},A .", f"{apart},B ."))
        images = [data.image_ids[i] for i in data.image_of_text.tolist()]
        assert images == [composed, apart]


def test_an_image_without_a_caption_is_left_out_and_reported(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with pytest.warns(UserWarning, match=r"without a caption are left out, 1 of 3.*'b.JPG'"):
        data = ImageFolder(folder, captions(tmp_path, "far/c.webp,A hill .", "a.png,A dog ."))
    assert data.image_ids == ["a.png", "far/c.webp"]
    assert data.image_of_text.tolist() == [1, 0]


def test_bad_input(tmp_path: Path) -> None:
    folder = make(tmp_path)
    message = r"captions.csv: line 3: image: there is no image 'c.webp'"
    path = captions(tmp_path, "a.png,A dog .", "c.webp,A hill .")
    with pytest.raises(ValueError, match=message):
        ImageFolder(folder, path, strict=True)
    with (
        pytest.warns(UserWarning, match=f"left out: 'c.webp#0'; .*{message}"),
        pytest.warns(UserWarning, match="images without a caption are left out, 2 of 3"),
    ):
        assert ImageFolder(folder, path).text_ids == ["a.png#0"]
    with pytest.raises(ValueError, match=r"captions.csv: there is no caption"):
        ImageFolder(folder, captions(tmp_path))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ImageFolder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="there is no image"):
        ImageFolder(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"expected images:FOLDER\[,captions=FILE\]"):
        open_dataset(f"images:{folder},caption=x", "train")


def test_a_list(tmp_path: Path) -> None:
    folder = make(tmp_path)
    table = tmp_path / "some.txt"
    table.write_text(f"photos/far/c.webp\n\nmemory://bucket/d.png\r\n{folder / 'a.png'}\n")
    data = open_dataset(f"images:{table}", "any")
    files = {image.id: str(image.file) for image in data.images}
    assert files == {
        "photos/far/c.webp": str(folder / "far" / "c.webp"),
        "memory://bucket/d.png": "memory://bucket/d.png",
        str(folder / "a.png"): str(folder / "a.png"),
    }
    assert count_other_files(table) == {}
    named = ImageFolder(table, captions(tmp_path, *(f"{id},A dog ." for id in files)))
    assert named.image_ids == data.image_ids
    table.write_text("a.png\nb.png\na.png\n")
    with pytest.raises(ValueError, match=r"some\.txt: line 3: 'a\.png' is listed twice"):
        ImageFolder(table)
    table.write_text("\n")
    with pytest.raises(ValueError, match=r"some\.txt: there is no image"):
        ImageFolder(table)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt: there is no such"):
        ImageFolder(tmp_path / "nowhere.txt")


def test_a_name_that_holds_in_any_folder() -> None:
    spec = "images:s3://bucket/photos,captions=memory://bucket/captions.csv"
    assert with_full_paths(spec) == spec


def test_at_an_address(tmp_path: Path, store: str) -> None:
    put_files(make(tmp_path), f"{store}/photos")
    table = captions(tmp_path, "far/c.webp,A hill .", "a.png,A dog .", "b.JPG,x")
    (to_path(store) / "captions.csv").write_bytes(table.read_bytes())
    data = open_dataset(f"images:{store}/photos,captions={store}/captions.csv", "any")
    assert data.image_ids == ["a.png", "b.JPG", "far/c.webp"]
    assert data.captions == ["A hill .", "A dog .", "x"]
    found = open_dataset(f"captions:{store}/captions.csv,images={store}/photos", "any")
    assert {str(image.file) for image in found.images} == {str(i.file) for i in data.images}
    assert count_other_files(f"{store}/photos") == {".txt": 1}
