import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_sgm.datasets import PrecomputedRegions, open_dataset
from pyg_sgm.datasets._files.sizes import read_image_sizes

FEATURES = np.random.default_rng(0).standard_normal((3, 4, 6)).astype(np.float32)
BOXES = np.tile(np.array([10, 20, 50, 60.5], np.float32), (3, 4, 1))
SIZES = np.array([{"image_w": 100, "image_h": 200}] * 3, dtype=object)


def make(root: Path, repeat: int = 1, boxes: bool = False, ids: list[str] | None = None) -> Path:
    np.save(root / "dev_ims.npy", FEATURES.repeat(repeat, axis=0))
    (root / "dev_caps.txt").write_text("".join(f"A caption {i} .\n" for i in range(15)))
    if ids is not None:
        (root / "dev_ids.txt").write_text("\n".join(ids) + "\n")
    if boxes:
        np.save(root / "dev_ims_bbx.npy", BOXES.repeat(repeat, axis=0))
        np.save(root / "dev_ims_size.npy", SIZES.repeat(repeat), allow_pickle=True)
    return root


@pytest.mark.parametrize("repeat", [1, 5])
@pytest.mark.parametrize("boxes", [False, True])
def test_both_layouts(tmp_path: Path, repeat: int, boxes: bool) -> None:
    data = open_dataset(f"precomputed-regions:{make(tmp_path, repeat, boxes)}", "dev")
    assert (len(data.images), len(data)) == (3, 15)
    assert data.image_of_text.tolist() == [i // 5 for i in range(15)]
    assert data.captions[7] == "A caption 7 ."
    pairs = data.encode(data.vocabularies())
    batch = pairs.batch([11, 2])
    assert np.array_equal(batch.image["object"].x, FEATURES[[0, 2]].reshape(8, 6))
    assert batch.image["object"].label.eq(0).all()
    assert batch.text["word"].ptr.tolist() == [0, 3, 6]
    assert ("box" in batch.image["object"]) == boxes
    if boxes:
        expected = torch.tensor([0.1, 0.1, 0.5, 0.3025])
        assert torch.allclose(batch.image["object"].box, expected.expand(8, 4))
    x = data.select_images([2]).encode(data.vocabularies()).images[0]["object"].x
    assert np.array_equal(x, FEATURES[2])


@pytest.mark.parametrize(
    ("ids", "images", "first_texts"),
    [
        (None, ["dev-000000", "dev-000001", "dev-000002"], ["dev-000000#0", "dev-000000#1"]),
        (["7", "8", "9"], ["7", "8", "9"], ["7#0", "7#1"]),
        ([str(7 + i // 5) for i in range(15)], ["7", "8", "9"], ["7#0", "7#1"]),
        ([str(i) for i in range(15)], ["dev-000000", "dev-000001", "dev-000002"], ["0", "1"]),
    ],
)
def test_ids(
    tmp_path: Path, ids: list[str] | None, images: list[str], first_texts: list[str]
) -> None:
    data = PrecomputedRegions(make(tmp_path, ids=ids), "dev")
    assert data.image_ids == images
    assert data.text_ids[:2] == first_texts


def test_opening_reads_no_features(tmp_path: Path) -> None:
    """A sparse file larger than memory is opened, and one image of it read."""
    make(tmp_path)
    count, regions, dim = 50_000, 36, 8_192
    path = tmp_path / "dev_ims.npy"
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, regions, dim)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * regions * dim * 4)
    (tmp_path / "dev_caps.txt").write_text("a dog\n" * count)  # the layout of repeated images
    data = PrecomputedRegions(tmp_path, "dev")
    assert len(data.images) == count // 5
    graph = data.select_images([9_999]).encode(data.vocabularies()).images[0]
    assert graph["object"].x.shape == (regions, dim)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("caps.txt", "one\ntwo\n", "2 captions are not 5 an image"),
        ("caps.txt", "c\n" * 20, "features of 3 images do not fit 20 captions"),
        ("ids.txt", "1\n2\n", "2 ids for 3 images"),
        ("ids.txt", "1\n1\n2\n", "twice"),
        ("caps.txt", b"\xff\xfe", "not a text file"),
        ("ims.npy", np.zeros((3, 4)), "expected floats"),
        ("ims.npy", np.zeros((3, 4, 2), int), "expected floats"),
        ("ims.npy", np.array([{}] * 3), "never read"),
        ("ims.npy", pickle.dumps([1]), "never read"),
        ("ims.npy", b"", "cut short"),
        ("ims_bbx.npy", BOXES[:, :3], "expected boxes"),
        ("ims_bbx.npy", BOXES[:, :, ::-1].copy(), "empty"),
        ("ims_bbx.npy", BOXES * 5, "outside"),
        ("ims_size.npy", SIZES[:2], "2 sizes for 3"),
        ("ims_size.npy", np.array([{"w": 1}] * 3), "ims_size"),
        ("ims_size.npy", np.zeros((3, 2)), "not positive"),
        ("ims_size.npy", np.array([Path("a")] * 3), "refused"),
        ("ims_size.npy", b"\x93NUMPY\x01", "cut short"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: object, message: str) -> None:
    make(tmp_path, boxes=True)
    path = tmp_path / f"dev_{name}"
    if isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(str(content))
    with pytest.raises(ValueError, match=message) as error:
        PrecomputedRegions(tmp_path, "dev")
    assert str(tmp_path) in str(error.value)


def test_features_cut_short_or_not_finite(tmp_path: Path) -> None:
    path = make(tmp_path) / "dev_ims.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="cut short"):
        PrecomputedRegions(tmp_path, "dev")
    bad = FEATURES.copy()
    bad[1, 2, 0] = np.inf
    np.save(path, bad)
    data = PrecomputedRegions(tmp_path, "dev")
    pairs = data.encode(data.vocabularies())
    assert pairs.batch([0, 14]).image.num_graphs == 2
    with pytest.raises(ValueError, match=r"dev_ims\.npy: NaN or infinity in row 6"):
        pairs.batch([5])
    os.remove(path)
    with pytest.raises(FileNotFoundError):
        PrecomputedRegions(tmp_path, "dev")


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_sizes_of_numbers_and_of_numpy_scalars(tmp_path: Path, version: tuple[int, int]) -> None:
    path = tmp_path / "s.npy"
    np.save(path, np.array([[640, 480], [30, 20]]))
    assert read_image_sizes(path).tolist() == [[640, 480], [30, 20]]
    items = [{"image_w": np.int64(640), "image_h": np.float32(480)}]
    with open(path, "wb") as file:
        np.lib.format.write_array(file, np.array(items), version)
    assert read_image_sizes(path).tolist() == [[640, 480]]


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "s.npy"
    np.save(path, np.array([Attack()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="refused"):
        read_image_sizes(path)
    assert not (tmp_path / "owned").exists()
