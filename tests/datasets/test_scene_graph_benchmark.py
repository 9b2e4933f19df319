import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pyg_sgm.datasets import SceneGraphBenchmark, open_dataset
from pyg_sgm.datasets.scene_graph_benchmark import scaled_size

Image = pytest.importorskip("PIL.Image")

INFO = {
    "idx_to_files": ["/far/away/1.jpg", "C:\\photos\\2.jpg"],
    "ind_to_classes": ["__background__", "man", "horse"],
    "ind_to_predicates": ["__background__", "riding", "on"],
}


def prediction(width: int, height: int) -> dict:
    """Two objects, in the frame that the detector saw, and the second's box again."""
    half = [width / 2, height / 2]
    return {
        "bbox": [[0, 0, *half], [*half, width - 1, height - 1], [*half, width - 1, height - 1]],
        "bbox_labels": [1, 2, 2],
        "bbox_scores": [0.9, 0.8, 0.1],
        "rel_pairs": [[0, 2], [0, 1], [1, 0], [1, 0]],
        "rel_labels": [1, 1, 0, 2],
        "rel_scores": [0.9, 0.7, 0.6, 0.5],
        "rel_all_scores": [[0.1, 0.6, 0.3]] * 4,
    }


PREDICTIONS = {"0": prediction(800, 600), "1": prediction(333, 1000)}


def make(root: Path, predictions: dict = PREDICTIONS, info: dict = INFO) -> Path:
    Image.new("RGB", (500, 375)).save(root / "1.jpg")
    Image.new("RGB", (400, 1200)).save(root / "2.jpg")
    (root / "custom_prediction.json").write_text(json.dumps(predictions))
    (root / "custom_data_info.json").write_text(json.dumps(info))
    return root


def test_boxes_are_scaled_back(tmp_path: Path) -> None:
    data = open_dataset(f"scene-graph-benchmark:{make(tmp_path)},images={tmp_path}", "test")
    assert data.image_ids == ["1.jpg", "2.jpg"]
    for image, size in zip(data.images, [(500, 375), (400, 1200)], strict=True):
        assert image.size == size
        assert image.boxes is not None
        assert image.boxes[0] == pytest.approx([0, 0, 0.5, 0.5], abs=2e-3)
        assert image.boxes[1] == pytest.approx([0.5, 0.5, 1, 1], abs=4e-3)
        assert image.objects == ["man", "horse", "horse"]
        assert image.relations == [(0, "riding", 2), (0, "riding", 1), (1, "on", 0)]
        assert image.scores == {"object": [0.9, 0.8, 0.1], "relation": [0.9, 0.7, 0.5]}
    assert len(data.vocabularies().predicates) == 3


def test_boxes_of_a_photo_that_is_turned(tmp_path: Path) -> None:
    root = make(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored 500 x 375, shown 375 x 500, the upper left corner upper right
    Image.new("RGB", (500, 375)).save(root / "1.jpg", exif=exif)
    image = SceneGraphBenchmark(root, tmp_path).images[0]
    assert image.size == (375, 500)
    assert image.boxes is not None
    assert image.boxes[0] == pytest.approx([0.5, 0, 1, 0.5], abs=2e-3)
    assert image.relations == [(0, "riding", 2), (0, "riding", 1), (1, "on", 0)]


def test_the_best_are_kept(tmp_path: Path) -> None:
    data = SceneGraphBenchmark(make(tmp_path), tmp_path, max_objects=2, max_relations=1)
    assert data.images[0].objects == ["man", "horse"]
    assert data.images[0].relations == [(0, "riding", 1)]


def test_captions(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "c.csv").write_text("image,caption\n2.jpg,A man rides .\n")
    spec = f"scene-graph-benchmark:{tmp_path},images={tmp_path},captions={tmp_path / 'c.csv'}"
    with pytest.warns(UserWarning, match="images without a caption are left out, 1 of 2"):
        data = open_dataset(spec, "test")
    assert data.image_ids == ["2.jpg"]
    assert data.image_of_text.tolist() == [0]


def test_frame() -> None:
    for size in [(500, 375), (375, 500), (640, 480), (1200, 400), (333, 1000), (600, 600)]:
        width, height = scaled_size(size)
        assert max(width, height) <= 1000
        assert min(width, height) == 600 or max(width, height) > 990
        assert np.isclose(width / height, size[0] / size[1], rtol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update({"2": p["0"]}), "2: custom_data_info.json has no such file"),
        (lambda p: p.update({"x": p.pop("1")}), "x: custom_data_info.json has no such file"),
        (lambda p: p.update({"1": 3}), "1: expected an object"),
        (lambda p: p["1"].pop("bbox"), "1: bbox is missing"),
        (lambda p: p["1"]["bbox_labels"].pop(), "1: bbox_labels: 2 for 3 of bbox"),
        (lambda p: p["1"]["bbox_labels"].__setitem__(0, 3), "1: bbox_labels: no label 3 of 3"),
        (lambda p: p["1"]["bbox_scores"].__setitem__(0, "x"), "1: .*"),
        (lambda p: p["1"]["bbox"].__setitem__(0, [0, 0, 2000, 9]), "box 0 is outside the image"),
        (lambda p: p["1"]["bbox"].__setitem__(0, [0, 0, 9]), "1: .*"),
        (lambda p: p["1"]["rel_pairs"].__setitem__(0, [0, 3]), r"1: rel_pairs: \[0, 3\] of 3"),
        (lambda p: p["1"]["rel_pairs"].__setitem__(0, 3), "1: rel_pairs: expected two"),
        (lambda p: p["1"]["rel_scores"].pop(), "1: rel_scores: 3 for 4 of rel_pairs"),
        (lambda p: p["1"]["rel_labels"].__setitem__(0, 9), "1: rel_labels: no label 9 of 3"),
    ],
)
def test_bad_predictions(tmp_path: Path, change: Callable, message: str) -> None:
    predictions = copy.deepcopy(PREDICTIONS)
    change(predictions)
    make(tmp_path, predictions)
    with pytest.raises(ValueError, match=f"custom_prediction.json: .*{message}"):
        SceneGraphBenchmark(tmp_path, tmp_path, strict=True)
    with pytest.warns(UserWarning, match=f"1 record .*custom_prediction.json: .*{message}"):
        data = SceneGraphBenchmark(tmp_path, tmp_path)
    assert set(data.image_ids) <= {"1.jpg", "2.jpg"}
    assert data.image_ids[0] == "1.jpg"
    assert len(data.skipped) == 1


def test_bad_files(tmp_path: Path) -> None:
    make(tmp_path, info={**INFO, "ind_to_classes": [1]})
    with pytest.raises(ValueError, match=r"custom_data_info.json: ind_to_classes: expected a str"):
        SceneGraphBenchmark(tmp_path, tmp_path)
    make(tmp_path)
    (tmp_path / "2.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"2.jpg: cut short or no image"):
        SceneGraphBenchmark(tmp_path, tmp_path, strict=True)
    (tmp_path / "2.jpg").unlink()
    with pytest.raises(ValueError, match=r"custom_prediction.json: 1: there is no image .*2.jpg"):
        SceneGraphBenchmark(tmp_path, tmp_path, strict=True)
    with pytest.warns(UserWarning, match=r"left out: '2.jpg'"):
        assert SceneGraphBenchmark(tmp_path, tmp_path).image_ids == ["1.jpg"]
    with pytest.raises(ValueError, match="expected scene-graph-benchmark:ROOT,images=FOLDER"):
        open_dataset(f"scene-graph-benchmark:{tmp_path}", "test")


def test_equal_names_in_two_folders(tmp_path: Path) -> None:
    for folder, size in (("x", (500, 375)), ("y", (375, 500))):
        (tmp_path / folder).mkdir()
        Image.new("RGB", size).save(tmp_path / folder / "7.jpg")
    files = ["/elsewhere/x/7.jpg", "/elsewhere/y/7.jpg"]
    predictions = {"0": prediction(800, 600), "1": prediction(600, 800)}
    make(tmp_path, predictions, {**INFO, "idx_to_files": files})
    data = SceneGraphBenchmark(tmp_path, tmp_path)
    assert data.image_ids == ["x/7.jpg", "y/7.jpg"]
    assert [image.size for image in data.images] == [(500, 375), (375, 500)]
    (tmp_path / "x" / "7.jpg").rename(tmp_path / "7.jpg")
    (tmp_path / "y" / "7.jpg").unlink()
    make(tmp_path, {key: prediction(800, 600) for key in "01"}, {**INFO, "idx_to_files": files})
    with pytest.raises(ValueError, match=r"custom_prediction.json: 1: 7.jpg occurs twice"):
        SceneGraphBenchmark(tmp_path, tmp_path)


def test_paths_stay_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    make(tmp_path, info={**INFO, "idx_to_files": ["photos/../1.jpg", "../2.jpg"]})
    with pytest.raises(ValueError, match="there is no image"):
        SceneGraphBenchmark(tmp_path, tmp_path / "photos")


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [0, 0, 0.2, 0.1]),
        (2, [0.8, 0, 1, 0.1]),
        (3, [0.8, 0.9, 1, 1]),
        (4, [0, 0.9, 0.2, 1]),
        (5, [0, 0, 0.1, 0.2]),
        (6, [0.9, 0, 1, 0.2]),
        (7, [0.9, 0.8, 1, 1]),
        (8, [0, 0.8, 0.1, 1]),
    ],
)
def test_boxes_are_turned_as_the_photo_is(
    tmp_path: Path, orientation: int, expected: list[float]
) -> None:
    """Where Pillow shows the box's pixels there is the box."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = Image.new("RGB", (500, 375))
    photo.paste((255, 0, 0), (0, 0, 100, 38))
    (tmp_path / "p").mkdir()
    photo.save(tmp_path / "p" / "1.jpg", exif=exif, quality=95)
    one = prediction(800, 600) | {"bbox": [[0, 0, 160, 60]] * 3}
    make(tmp_path, {"0": one})
    (image,) = SceneGraphBenchmark(tmp_path, tmp_path / "p").images
    assert image.boxes is not None
    assert image.boxes[0] == pytest.approx(expected)
    shown = pytest.importorskip("PIL.ImageOps").exif_transpose(Image.open(tmp_path / "p" / "1.jpg"))
    assert image.size == shown.size
    box = (image.boxes[0] * [*shown.size, *shown.size]).round().astype(int)
    red = np.asarray(shown)[box[1] : box[3], box[0] : box[2]]
    assert red.reshape(-1, 3).mean(axis=0) == pytest.approx([254, 0, 0], abs=6)
