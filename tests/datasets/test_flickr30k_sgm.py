import copy
import gzip
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_sgm.data import validate
from pyg_sgm.datasets import Flickr30kSGM, open_dataset

IMAGES = {
    "1.jpg": {
        "labels": ["man", "dog", "man"],
        "bbox": [[0.0, 10.0, 50.0, 100.0], [20, 0, 200, 80], [0, 0, 10, 10]],
        "rels": [["man:2", "near", "dog:1"], ["man:0", "holding", "dog:1"]],
    },
    "2.jpg": {"labels": [], "bbox": [], "rels": []},
}
CAPTIONS = {
    "11": {"sent": "A man holds a dog.", "rels": [["man", "hold", "dog"], ["dog", "near", "man"]]},
    "12": {"sent": "nothing", "rels": []},
    "21": {"sent": "", "rels": []},
}
MATCHING = {"11": "1.jpg", "12": "1.jpg", "21": "2.jpg"}
IMAGE_FILE = "flickr30k_val_lowered_images_data"
CAPTION_FILE = "flickr30k_val_lowered_caps_data"
MATCHING_FILE = "caption_image_matching_flickr_val"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, IMAGE_FILE, IMAGES)
    write(tmp_path, CAPTION_FILE, CAPTIONS)
    write(tmp_path, MATCHING_FILE, MATCHING)
    return tmp_path


def write(root: Path, stem: str, value: object, suffix: str = ".json.gz") -> Path:
    raw = json.dumps(value).encode()
    path = root / (stem + suffix)
    path.write_bytes(gzip.compress(raw) if suffix.endswith("gz") else raw)
    return path


def test_reads_images_captions_and_matching(root: Path) -> None:
    data = Flickr30kSGM(root, "val")
    assert data.image_ids == ["1.jpg", "2.jpg"]
    assert data.text_ids == ["11", "12", "21"]
    assert data.captions[0] == "A man holds a dog."
    assert data.image_of_text.tolist() == [0, 0, 1]
    vocabularies = data.vocabularies()
    pairs = data.encode(vocabularies)
    image = pairs.images[0]
    assert image["object"].label.tolist() == [2, 1, 2]
    assert torch.allclose(image["object"].box[0], torch.tensor([0, 0.1, 0.25, 1]))
    assert image["object", "subject_of", "relation"].edge_index.tolist() == [[2, 0], [0, 1]]
    assert image["relation", "has_object", "object"].edge_index.tolist() == [[0, 1], [1, 1]]
    text = pairs.texts[0]
    assert text["object"].num_nodes == 2
    assert text["relation", "has_object", "object"].edge_index.tolist() == [[0, 1], [1, 0]]
    for graph in (pairs.images[1], pairs.texts[1], pairs.texts[2]):
        validate(graph, vocabularies)
        assert graph["relation"].num_nodes == 0
    assert pairs.batch().image.num_graphs == 2


def test_json_without_gzip_and_known_labels(root: Path) -> None:
    os.remove(root / (IMAGE_FILE + ".json.gz"))
    write(root, IMAGE_FILE, IMAGES, ".json")
    write(root, "flickr30k_lowered_img_obj_word2idx", {"man": 0, "zebra": 1})
    write(root, "VG-SGG-dicts-with-attri", {"attribute_to_idx": {"red": 1}}, ".json")
    vocabularies = Flickr30kSGM(root, "val").vocabularies()
    assert vocabularies.objects.words == ("<unk>", "dog", "man", "zebra")
    assert vocabularies.predicates.words == ("<unk>", "holding", "near")
    assert vocabularies.attributes.words == ("<unk>", "red")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (("rels", 0), ["man:99", "near", "dog:1"], r"rels\[0\]: 'man:99' is not there"),
        (("rels", 1), ["man:1", "near", "dog:1"], r"rels\[1\]: 'man:1', but object 1 is a 'dog'"),
        (("rels", 1), ["man:-1", "near", "dog:1"], "'man:-1' is not there"),
        (("rels", 1), ["man", "near", "dog:1"], "'man' is not there"),
        (("rels", 1), ["man:0", "near"], r"rels\[1\]: expected \[subject"),
        (("rels", 1), "man:0", r"rels\[1\]: expected \[subject"),
        (("rels",), None, "rels: expected a list"),
        (("labels",), {"a": 1}, "labels: expected a list"),
        (("labels", 2), 5, "labels: expected a string"),
        (("bbox", 1), [50, 0, 50, 80], "bbox: .*box 1 is empty"),
        (("bbox", 1), [50, 90, 60, 80], "bbox: .*box 1 is empty"),
        (("bbox", 1), [-5, 0, 60, 80], "bbox: .*box 1 is outside"),
        (("bbox", 1), [float("nan"), 0, 60, 80], "bbox: .*NaN"),
        (("bbox", 1), [0, 0, float("inf"), 80], "bbox: .*infinity"),
        (("bbox",), [[0, 0, 1, 1]], "bbox: .*1 boxes for 3 objects"),
        (("bbox", 1), [1, 2], "bbox"),
        (("bbox", 1), "box", "bbox"),
        ((), 3, "1.jpg: expected an object"),
    ],
)
def test_bad_image(root: Path, field: tuple, value: object, message: str) -> None:
    images = copy.deepcopy(IMAGES)
    target: object = images
    keys = ("1.jpg", *field)
    for key in keys[:-1]:
        target = target[key]  # type: ignore[index]
    target[keys[-1]] = value  # type: ignore[index]
    write(root, IMAGE_FILE, images)
    with pytest.raises(ValueError, match=message) as error:
        Flickr30kSGM(root, "val", strict=True)
    assert IMAGE_FILE in str(error.value)
    assert "1.jpg" in str(error.value)
    with pytest.warns(UserWarning, match=rf"1 record .*left out: '1\.jpg'; .*{message}"):
        data = Flickr30kSGM(root, "val")
    assert (data.image_ids, data.text_ids) == (["2.jpg"], ["21"])
    assert [record.id for record in data.skipped] == ["1.jpg"]


def test_box_within_a_pixel_is_clipped(root: Path) -> None:
    images = copy.deepcopy(IMAGES)
    images["1.jpg"]["bbox"][0] = [-0.5, 10, 50, 100]  # type: ignore[index]
    write(root, IMAGE_FILE, images)
    data = Flickr30kSGM(root, "val")
    assert data.images[0].boxes is not None
    assert data.images[0].boxes[0, 0] == 0


@pytest.mark.parametrize(
    ("stem", "change", "message"),
    [
        (CAPTION_FILE, lambda c: c["12"].pop("sent"), "caption 12: sent is missing"),
        (CAPTION_FILE, lambda c: c["12"].update(rels=3), "caption 12: rels: expected a list"),
        (CAPTION_FILE, lambda c: c["12"].update(rels=[["a", "b"]]), r"12: rels\[0\]: expected \["),
        (CAPTION_FILE, lambda c: c["12"].update(rels=[["a", "..", "b"]]), "'12'.*has no word"),
        (MATCHING_FILE, lambda m: m.pop("12"), "caption '12' has no image"),
        (MATCHING_FILE, lambda m: m.update({"12": "9.jpg"}), "caption '12': no image '9.jpg'"),
    ],
)
def test_bad_captions(root: Path, stem: str, change: Callable, message: str) -> None:
    value = copy.deepcopy(CAPTIONS if stem == CAPTION_FILE else MATCHING)
    change(value)
    write(root, stem, value)
    with pytest.raises(ValueError, match=message) as error:
        Flickr30kSGM(root, "val", strict=True)
    assert stem in str(error.value)
    with pytest.warns(UserWarning, match=f"1 record .*left out: '12'; .*{message}"):
        data = Flickr30kSGM(root, "val")
    assert (data.num_images, data.text_ids) == (2, ["11", "21"])


@pytest.mark.parametrize("stem", [IMAGE_FILE, CAPTION_FILE, MATCHING_FILE])
def test_bad_files(root: Path, stem: str) -> None:
    path = root / (stem + ".json.gz")
    whole = path.read_bytes()
    bad = [
        whole[:-9],
        whole[:20],
        b"",
        pickle.dumps({}),
        gzip.compress(b'{"a": '),
        gzip.compress(b"[]"),
        gzip.compress(pickle.dumps({"a": 1})),
    ]
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=stem):
            Flickr30kSGM(root, "val")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=stem):
        Flickr30kSGM(root, "val")
    (root / (stem + ".joblib")).write_bytes(pickle.dumps({}))
    with pytest.raises(ValueError, match="pickles are never opened"):
        Flickr30kSGM(root, "val")


def test_region_features(root: Path) -> None:
    folder = root / "features"
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    for name, rows in (("objects", x), ("predicates", x[:2])):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "1.npy", rows)
        np.save(folder / name / "2.jpg.npy", x[:0])
    data = open_dataset(f"flickr30k-sgm:{root},features={folder}", "val")
    vocabularies = data.vocabularies()
    image = data.encode(vocabularies).images[0]
    assert np.array_equal(image["object"].x, x)
    assert np.array_equal(image["relation"].x, x[:2])
    part = data.select_images([1, 0]).encode(vocabularies)
    assert part.images.batch([1, 0, 1])["object"].x.shape == (6, 4)

    np.save(folder / "objects" / "1.npy", x[:2])
    with pytest.raises(ValueError, match=r"1\.jpg: 2 rows of features for 3 objects"):
        Flickr30kSGM(root, "val", features=folder, strict=True)
    with pytest.warns(UserWarning, match=r"left out: '1\.jpg'"):
        data = Flickr30kSGM(root, "dev", features=folder)
    assert data.image_ids == ["2.jpg"]
    assert data.encode(vocabularies).images[0]["object"].x.shape == (0, 4)
    np.save(folder / "objects" / "1.npy", np.array([[np.nan] * 4] * 3))
    with pytest.raises(ValueError, match=r"1\.npy: NaN or infinity in row 0"):
        Flickr30kSGM(root, "val", features=folder, strict=True).encode(vocabularies).images[0]
    np.save(folder / "objects" / "2.jpg.npy", x[:0, :3])
    with pytest.raises(ValueError, match=r"2\.jpg\.npy: expected \[rows, 4\]"):
        Flickr30kSGM(root, "val", features=folder, strict=True)
    np.save(folder / "objects" / "1.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"1\.npy.*never read"):
        Flickr30kSGM(root, "val", features=folder, strict=True)
    (folder / "objects" / "1.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match=r"1\.npy.*cut short"):
        Flickr30kSGM(root, "val", features=folder, strict=True)
    os.remove(folder / "objects" / "1.npy")
    with pytest.raises(FileNotFoundError, match=r"1\.jpg"):
        Flickr30kSGM(root, "val", features=folder, strict=True)


def test_select_and_split(root: Path) -> None:
    data = Flickr30kSGM(root, "val")
    part = data.select_images([1])
    assert part.text_ids == ["21"]
    assert part.image_of_text.tolist() == [0]
    train, dev = data.split_every(2)
    assert (train.image_ids, dev.image_ids) == (["2.jpg"], ["1.jpg"])
    for index in ([2], [-1], [0, 0]):
        with pytest.raises(ValueError, match="select_images"):
            data.select_images(index)
    with pytest.raises(ValueError, match="split_every"):
        data.split_every(1)


REAL = os.environ.get("FLICKR30K_SGM", "")


@pytest.mark.skipif(not REAL, reason="set FLICKR30K_SGM to the folder of the real graphs")
def test_real_graphs() -> None:
    start = time.perf_counter()
    data = Flickr30kSGM(REAL, "val")
    assert time.perf_counter() - start < 5
    assert (data.num_images, data.num_texts) == (1014, 5070)
    vocabularies = data.vocabularies()
    pairs = data.encode(vocabularies)
    assert (pairs.texts.num_nodes["relation"] == 0).sum() == 292
    assert (pairs.images.num_nodes["object"] == 36).all()
    for i in range(0, 1014, 50):
        validate(pairs.images[i], vocabularies)
        validate(pairs.texts[5 * i], vocabularies)
    train, dev = data.split_every(5)
    assert (len(train.images), len(dev.images)) == (811, 203)
    assert dev.image_ids[0] == min(data.image_ids)
