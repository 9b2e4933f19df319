import base64
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_sgm.datasets import open_dataset

FEATURES = np.random.default_rng(0).standard_normal((3, 2, 5)).astype(np.float32)
BOXES = np.array([[0, 0, 50, 20], [10, 10, 100, 40]], np.float32)


def text(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def plain(number: int) -> list[str]:
    return [str(number), "100", "40", "2", text(BOXES), text(FEATURES[number])]


def labelled(number: int) -> list[str]:
    return [
        *(f"COCO_{number}", "40", "100", text(np.array([1, 0])), text(np.float32([0.5, 0.25]))),
        *(text(np.array([0, 2])), text(np.float32([0.75, 1])), "2", text(BOXES)),
        text(FEATURES[number]),
    ]


def make(root: Path, rows: list[list[str]], end: str = "\n") -> Path:
    path = root / "train.tsv"
    path.write_text("".join("\t".join(row) + end for row in rows), newline="")
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("row", [plain, labelled])
def test_both_layouts(tmp_path: Path, row, end: str) -> None:
    data = open_dataset(f"bottom-up:{make(tmp_path, [row(i) for i in range(3)], end)}", "train")
    assert data.image_ids == [row(i)[0] for i in range(3)]
    for image in data.images:
        assert image.size == (100, 40)
        assert image.boxes is not None
        assert np.allclose(image.boxes, [[0, 0, 0.5, 0.5], [0.1, 0.25, 1, 1]])
    graphs = data.encode(data.vocabularies()).images
    assert np.array_equal(graphs.batch([2, 0])["object"].x, FEATURES[[2, 0]].reshape(4, 5))
    assert np.array_equal(data.features["object"].rows[torch.tensor([3])], FEATURES[1, 1:])


def test_labels(tmp_path: Path) -> None:
    path = make(tmp_path, [labelled(0)])
    image = open_dataset(f"bottom-up:{path}", "train").images[0]
    assert image.objects == ["1", "0"]
    assert image.attributes == [(0, "0"), (1, "2")]
    assert image.scores == {"object": [0.5, 0.25], "attribute": [0.75, 1]}
    (tmp_path / "objects_vocab.txt").write_text("man\nhorse,pony\n")
    (tmp_path / "attributes_vocab.txt").write_text("red\nbig\nold\n")
    image = open_dataset(f"bottom-up:{path}", "train").images[0]
    assert image.objects == ["horse", "man"]
    assert image.attributes == [(0, "red"), (1, "old")]


def test_captions(tmp_path: Path) -> None:
    make(tmp_path, [plain(i) for i in range(3)])
    (tmp_path / "c.csv").write_text("image,caption\n2,A dog .\n1,A cat .\n2,Snow .\n")
    with pytest.warns(UserWarning, match="images without a caption are left out, 1 of 3"):
        data = open_dataset(f"bottom-up:{tmp_path}/train.tsv,captions={tmp_path}/c.csv", "train")
    assert data.image_ids == ["1", "2"]
    assert data.image_of_text.tolist() == [1, 0, 1]
    x = data.encode(data.vocabularies()).batch([0]).image["object"].x
    assert np.array_equal(x, FEATURES[2])


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (1, "wide", "image_w: expected a whole number"),
        (1, "60", "image .1.: box 1 is outside the image"),
        (3, "3", "num_boxes: 3, but"),
        (4, "AAA", "boxes: cut short or not base64"),
        (4, text(BOXES)[:8], "boxes: cut short or not base64"),
        (5, text(FEATURES[0, :1]), "features: expected 2 rows of 5 float32, got 20 bytes"),
        (5, "AAA", "features: expected 2 rows of 5"),
        (5, "A\tB", "expected 6 or 10 columns, got 7"),
    ],
)
def test_bad_rows(tmp_path: Path, column: int, value: str, message: str) -> None:
    bad = plain(1)
    bad[column] = value
    path = make(tmp_path, [plain(0), bad, plain(2)])
    with pytest.raises(ValueError, match=f"train.tsv: line 2: {message}"):
        open_dataset(f"bottom-up:{path}", "train", strict=True)
    with pytest.warns(UserWarning, match=rf"1 record .* left out: '1'; .*line 2: {message}"):
        data = open_dataset(f"bottom-up:{path}", "train")
    assert data.image_ids == ["0", "2"]
    x = data.encode(data.vocabularies()).images[1]["object"].x
    assert np.array_equal(x, FEATURES[2])


def test_an_image_that_occurs_twice(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train.tsv: line 2: image '0' occurs twice"):
        open_dataset(f"bottom-up:{make(tmp_path, [plain(0), plain(0)])}", "train")


@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_numbers_of_another_type(tmp_path: Path, kind: str) -> None:
    # As of a network: none is negative, many are 0.
    x = np.random.default_rng(1).standard_normal((2, 16)).clip(0).astype(np.float32)
    open_dataset(f"bottom-up:{make(tmp_path, [[*plain(0)[:-1], text(x)]])}", "train")
    rows = [[*plain(i)[:-1], text(x.astype(kind))] for i in range(3)]
    with pytest.raises(ValueError, match=f"line 1: features: {kind}, but .* must be float32"):
        open_dataset(f"bottom-up:{make(tmp_path, rows)}", "train")


def test_declared_numbers_take_no_memory(tmp_path: Path) -> None:
    bad = plain(1)
    bad[3] = "900000000"
    tracemalloc.start()
    with pytest.warns(UserWarning, match="num_boxes: 900000000, but 8 / 4 boxes"):
        open_dataset(f"bottom-up:{make(tmp_path, [plain(0), bad])}", "train")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_bad_numbers_are_found_when_they_are_read(tmp_path: Path) -> None:
    for value, message in (
        (text(FEATURES[0] * np.float32("nan")), "NaN or infinity"),
        ("?" * len(text(FEATURES[0])), "not base64"),
    ):
        bad = [*plain(1)[:-1], value]
        if message == "not base64":
            bad[-1] = value[:-2] + plain(1)[-1][-2:]
        data = open_dataset(f"bottom-up:{make(tmp_path, [plain(0), bad])}", "train")
        graphs = data.encode(data.vocabularies()).images
        with pytest.raises(ValueError, match=rf"train.tsv: image 1: features: .*{message}"):
            graphs.batch([1])


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train.tsv: empty"):
        open_dataset(f"bottom-up:{make(tmp_path, [])}", "train")
