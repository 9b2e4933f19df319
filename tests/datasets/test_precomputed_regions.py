import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_sgm.datasets import PrecomputedRegions, convert_joblib, open_dataset
from pyg_sgm.datasets.image_sizes import read_image_sizes

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
    assert (len(data), data.num_texts) == (3, 15)
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
    """What is written into the file afterwards is what a batch has."""
    data = PrecomputedRegions(make(tmp_path), "dev")
    graphs = data.encode(data.vocabularies()).images
    np.load(tmp_path / "dev_ims.npy", mmap_mode="r+")[1] = 7
    assert (graphs[1]["object"].x == 7).all()
    assert np.array_equal(graphs[2]["object"].x, FEATURES[2])


@pytest.mark.parametrize("ids", [None, [f"im{i}.jpg" for i in range(10)]])
def test_one_caption_per_image(tmp_path: Path, ids: list[str] | None) -> None:
    x = np.random.default_rng(1).random((10, 2, 3), np.float32)
    np.save(tmp_path / "train_ims.npy", x)
    (tmp_path / "train_caps.txt").write_text("".join(f"number {i}\n" for i in range(10)))
    if ids is not None:
        (tmp_path / "train_ids.txt").write_text("\n".join(ids))
    data = PrecomputedRegions(tmp_path, "train")
    assert data.num_images == data.num_texts == 10
    assert data.image_of_text.tolist() == list(range(10))
    assert data.image_ids[3] == ("train-000003" if ids is None else "im3.jpg")
    assert np.array_equal(data.encode(data.vocabularies()).images[6]["object"].x, x[6])
    x[5:] = x[5]
    np.save(tmp_path / "train_ims.npy", x)
    with pytest.raises(ValueError, match="5 copies of each image, but rows 0 and 1 differ"):
        PrecomputedRegions(tmp_path, "train")
    np.save(tmp_path / "train_ims.npy", x[:9])
    (tmp_path / "train_caps.txt").write_text("".join(f"number {i}\n" for i in range(9)))
    (tmp_path / "train_ids.txt").unlink(missing_ok=True)
    assert PrecomputedRegions(tmp_path, "train").num_images == 9


def test_other_types_of_floats(tmp_path: Path) -> None:
    for kind in ("<f2", ">f4", "<f8"):
        np.save(make(tmp_path) / "dev_ims.npy", FEATURES.astype(kind))
        data = PrecomputedRegions(tmp_path, "dev")
        x = data.encode(data.vocabularies()).images[1]["object"].x
        assert x.dtype == torch.float32
        assert np.array_equal(x, FEATURES[1].astype(kind).astype(np.float32))


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0c", "\x1d"])
def test_only_line_feeds_end_a_line(tmp_path: Path, separator: str) -> None:
    make(tmp_path, ids=["7", "8", "9"])
    lines = (tmp_path / "dev_caps.txt").read_text().replace("caption 3", f"caption{separator}3")
    (tmp_path / "dev_caps.txt").write_bytes(lines.replace("\n", "\r\n").encode("utf-8-sig"))
    (tmp_path / "dev_ids.txt").write_text("7\n8\n9\n", encoding="utf-8-sig")
    data = PrecomputedRegions(tmp_path, "dev")
    assert data.captions[0] == "A caption 0 ."
    assert data.captions[3] == f"A caption{separator}3 ."
    assert data.image_ids == ["7", "8", "9"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ids.txt", "1\n\n2\n", "row 1: the id of the image is empty"),
        ("ims_bbx.npy", BOXES * [[[1]], [[-1]], [[1]]], "row 1: .*outside"),
        ("ims_bbx.npy", BOXES * [[[1]], [[np.nan]], [[1]]], "row 1: .*NaN"),
        (
            "ims_bbx.npy",
            BOXES[:, :, ::-1] * [[[0]], [[1]], [[0]]] + BOXES * [[[1]], [[0]], [[1]]],
            "row 1: .*empty",
        ),
        ("ims_size.npy", np.array([[100, 200], [0, 200], [100, 200]]), "row 1: .*size: .*positive"),
        ("ims_size.npy", np.array([[100, 200], [100, np.nan], [100, 200]]), "size: .*positive"),
    ],
)
def test_an_image_that_cannot_be_used(
    tmp_path: Path, name: str, content: np.ndarray | str, message: str
) -> None:
    path = make(tmp_path, boxes=True) / f"dev_{name}"
    if isinstance(content, str):
        path.write_text(content)
    else:
        np.save(path, content)
    with pytest.raises(ValueError, match=message):
        PrecomputedRegions(tmp_path, "dev", strict=True)
    with pytest.warns(UserWarning, match=f"1 record .*{message}"):
        data = PrecomputedRegions(tmp_path, "dev")
    assert (data.num_images, data.num_texts) == (2, 10)
    assert data.captions[5] == "A caption 10 ."
    x = data.encode(data.vocabularies()).images[1]["object"].x
    assert np.array_equal(x, FEATURES[2])


def test_a_caption_that_cannot_be_used(tmp_path: Path) -> None:
    path = make(tmp_path) / "dev_caps.txt"
    path.write_text(path.read_text().replace("A caption 6 .", " "))
    with pytest.warns(UserWarning, match="left out: 'dev-000001#1'; .*caps.txt: line 7: empty"):
        data = PrecomputedRegions(tmp_path, "dev")
    assert (data.num_images, data.num_texts) == (3, 14)
    with pytest.raises(ValueError, match="line 7: empty"):
        PrecomputedRegions(tmp_path, "dev", strict=True)


def test_an_image_without_captions(tmp_path: Path) -> None:
    np.save(tmp_path / "dev_ims.npy", FEATURES)
    (tmp_path / "dev_caps.txt").write_text("one\n\nthree\n")
    with pytest.warns(UserWarning, match="left out: 'dev-000001#0', 'dev-000001'; .*line 2: empty"):
        data = PrecomputedRegions(tmp_path, "dev")
    assert data.image_ids == ["dev-000000", "dev-000002"]
    assert (data.captions, data.image_of_text.tolist()) == (["one", "three"], [0, 1])
    assert np.array_equal(data.encode(data.vocabularies()).images[1]["object"].x, FEATURES[2])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("caps.txt", "one\ntwo\n", "features of 3 images do not fit 2 captions"),
        ("caps.txt", "c\n" * 20, "features of 3 images do not fit 20 captions"),
        ("ids.txt", "1\n2\n", "2 ids for 3 images"),
        ("ids.txt", "1\n1\n2\n", "twice"),
        ("caps.txt", b"\xff\xfe", "line 1: not UTF-8"),
        ("ims.npy", np.zeros((3, 4)), "expected floats"),
        ("ims.npy", np.zeros((3, 4, 2), int), "expected floats"),
        ("ims.npy", np.array([{}] * 3), "never read"),
        ("ims.npy", pickle.dumps([1]), "never read"),
        ("ims.npy", b"", "cut short"),
        ("ims_bbx.npy", BOXES[:, :3], "expected boxes"),
        ("ims.npy", np.zeros((3, 0, 5)), "expected rows of numbers"),
        ("ims_bbx.npy", BOXES * 5, "no record can be used: .*outside"),
        ("ims_size.npy", SIZES[:2], "2 sizes for 3"),
        ("ims_size.npy", np.array([{"w": 1}] * 3), "ims_size"),
        ("ims_size.npy", np.array([{"image_w": "1", "image_h": 2}] * 3), "expected numbers"),
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


def python2(rows: list[tuple[bytes, bytes]]) -> bytes:
    """An object array of dictionaries as Python 2 pickled it, protocol 2."""

    def text(raw: bytes) -> bytes:
        return b"U" + bytes([len(raw)]) + raw

    items = b"".join(b"}(" + text(b"image_w") + w + text(b"image_h") + h + b"u" for w, h in rows)
    kind = b"cnumpy\ndtype\n" + text(b"O8") + b"K\x00K\x01\x87R(K\x03" + text(b"|")
    kind += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"
    array = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
    array += text(b"b") + b"\x87R(K\x01K" + bytes([len(rows)]) + b"\x85"
    return array + kind + b"\x89](" + items + b"etb."


def python2_number(value: int, order: bytes) -> bytes:
    raw = struct.pack(f"{order.decode()}q", value)
    kind = b"cnumpy\ndtype\nU\x02i8K\x00K\x01\x87R(K\x03U\x01" + order
    kind += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return b"cnumpy.core.multiarray\nscalar\n" + kind + b"U\x08" + raw + b"\x86R"


@pytest.mark.parametrize("order", [b"<", b">"])
def test_sizes_of_python_2(tmp_path: Path, order: bytes) -> None:
    sizes = [(640, 427), (244, 500)]  # bytes beyond ASCII: 640 is 0x280, 244 is 0xf4
    path = tmp_path / "s.npy"
    for write in (lambda n: b"M" + struct.pack("<H", n), lambda n: python2_number(n, order)):
        with path.open("wb") as file:
            header = {"descr": "|O", "fortran_order": False, "shape": (2,)}
            np.lib.format.write_array_header_1_0(file, header)
            file.write(python2([(write(w), write(h)) for w, h in sizes]))
        assert read_image_sizes(path).tolist() == [[640, 427], [244, 500]]
        if order == b"<":  # what NumPy itself reads
            items = np.load(path, allow_pickle=True, encoding="latin1")
            assert [(int(i["image_w"]), int(i["image_h"])) for i in items] == sizes


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("number", [int, float, np.int64, np.int32, np.float32])
def test_sizes_of_any_protocol(tmp_path: Path, protocol: int, number: type) -> None:
    # Older versions of NumPy wrote protocol 2, in which Python 3 has its own form for bytes.
    path = tmp_path / "s.npy"
    items = np.empty(2, dtype=object)
    items[:] = [
        {"image_w": number(640), "image_h": number(427)},
        {"image_w": number(244), "image_h": number(500)},
    ]
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": (2,)}
        np.lib.format.write_array_header_1_0(file, header)
        pickle.dump(items, file, protocol)
    assert read_image_sizes(path).tolist() == [[640, 427], [244, 500]]


def test_joblib_files_become_json(tmp_path: Path) -> None:
    path, out = tmp_path / "a.joblib", tmp_path / "a.json"
    value = {
        "1.jpg": {"labels": ["man"], "bbox": [[0.5, np.float64(1), 2, np.float32(3)]], "rels": []},
        7: [("a", None), True],
    }
    path.write_bytes(pickle.dumps(value))
    convert_joblib(path, out)
    assert json.loads(out.read_text()) == {
        "1.jpg": {"labels": ["man"], "bbox": [[0.5, 1, 2, 3]], "rels": []},
        "7": [["a", None], True],
    }


def test_pickles_that_are_no_plain_data(tmp_path: Path) -> None:
    path, out = tmp_path / "a.joblib", tmp_path / "a.json"
    nested: list = []
    nested.append(nested)
    laughs: list = ["ha"]
    for _ in range(40):
        laughs = [laughs] * 10
    whole = pickle.dumps({"a": [1] * 50})
    # A place in the table of known values far beyond them, of which C would make room for all.
    far = b"\x80\x02]r\xff\xff\xff\x7f."
    for content in (
        pickle.dumps({"a": Path("b")}),
        pickle.dumps({"a": {1, 2}}),
        pickle.dumps({(1, 2): 3}),
        pickle.dumps(nested),
        pickle.dumps(laughs),
        pickle.dumps(os.system),
        whole[:-5],
        b"",
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a.joblib: cut short or not plain data"):
            convert_joblib(path, out)
        assert not out.exists()
    path.write_bytes(far)
    convert_joblib(path, out)
    assert out.read_text() == "[]"
