"""ONNX detectors of all layouts, on small networks written here."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pyg_sgm.vision import COCO_LABELS, OnnxDetector, Photo

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("PIL")

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
LABELS = ("dog", "cat")
PLACES = 8 * 8 + 4 * 4 + 2 * 2  # of 64 pixels at strides 8, 16, 32


def write(
    path: Path,
    *outputs: np.ndarray,
    size: tuple[int | str, ...] = (1, 3, 64, 64),
    names: str | None = None,
    told: bool = False,
) -> Path:
    """A network that gives the same outputs whatever it sees and, perhaps, is told of its size."""
    out = [f"output{i}" for i in range(len(outputs))]
    kinds = [INT64 if value.dtype == np.int64 else FLOAT for value in outputs]
    sizes = [onnx.helper.make_tensor_value_info("orig_target_sizes", INT64, ("N", 2))]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", [f"{name}.all"], [name]) for name in out],
        "constant",
        [onnx.helper.make_tensor_value_info("images", FLOAT, size), *(sizes if told else [])],
        [
            onnx.helper.make_tensor_value_info(name, kind, value.shape)
            for name, kind, value in zip(out, kinds, outputs, strict=True)
        ],
        [
            onnx.numpy_helper.from_array(
                value if kind == INT64 else value.astype(np.float32), f"{name}.all"
            )
            for name, kind, value in zip(out, kinds, outputs, strict=True)
        ],
    )
    opset = [onnx.helper.make_opsetid("", 13)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    if names is not None:
        onnx.helper.set_model_props(model, {"names": names})
    path.write_bytes(model.SerializeToString())
    return path


def test_places_are_decoded(tmp_path: Path) -> None:
    out = np.zeros((1, PLACES, 7))
    # Stride 8, row 2, column 3; stride 16, row 1, column 0; a weak one; the first again, weaker.
    out[0, 2 * 8 + 3] = [0.5, 0.25, np.log(2), np.log(1), 0.9, 0.1, 0.8]
    out[0, 64 + 1 * 4 + 0] = [1, 0, np.log(1), np.log(0.5), 0.5, 1, 0]
    out[0, 5] = [0, 0, 0, 0, 0.9, 0.1, 0.1]
    out[0, 2 * 8 + 4] = [-0.5, 0.25, np.log(2), np.log(1), 0.8, 0.1, 0.8]
    detector = OnnxDetector(write(tmp_path / "a.onnx", out), LABELS)
    # 64 x 32 pixels of the input hold the image, so a pixel of the input is two of the image.
    (found,) = detector([Photo(np.zeros((64, 128, 3), np.uint8), (128, 64))])
    assert found.labels == ("cat", "dog")
    assert found.scores == pytest.approx([0.72, 0.5])
    first = np.array([28 - 8, 18 - 4, 28 + 8, 18 + 4]) / [64, 32, 64, 32]
    second = np.array([16 - 8, 16 - 4, 16 + 8, 16 + 4]) / [64, 32, 64, 32]
    assert np.allclose(found.boxes, [first, second])


def test_nothing_found_and_boxes_beyond_the_image(tmp_path: Path) -> None:
    out = np.zeros((1, PLACES, 7))
    photo = Photo(np.zeros((64, 32, 3), np.uint8), (32, 64))
    (found,) = OnnxDetector(write(tmp_path / "none.onnx", out), LABELS)([photo])
    assert (found.boxes.shape, found.labels, found.scores.shape) == ((0, 4), (), (0,))
    out[0, 7] = [0, 0, 0, 0, 1, 1, 0]  # the upper right, where this image has no pixels
    out[0, 0] = [0, 0, np.log(4), np.log(4), 1, 1, 0]
    (found,) = OnnxDetector(write(tmp_path / "some.onnx", out), LABELS)([photo])
    assert found.boxes.tolist() == [[0, 0, 0.5, 0.25]]


WIDE = Photo(np.full((32, 64, 3), (10, 20, 30), np.uint8), (64, 32))  # 64 x 32 of the input


def test_yolov8(tmp_path: Path) -> None:
    out = np.zeros((1, 6, 50))
    out[0, :, 3] = [32, 16, 16, 8, 0.2, 0.7]
    out[0, :, 7] = [33, 16, 16, 8, 0.1, 0.6]  # the same again
    out[0, :, 9] = [8, 60, 16, 8, 0.9, 0.0]  # below the image
    out[0, :, 20] = [4, 4, 16, 8, 0.5, 0.0]  # partly beyond it
    out[0, :, 30] = [4, 20, 4, 4, 0.1, 0.1]  # too weak
    path = write(tmp_path / "a.onnx", out, names="{0: 'dog', 1: 'cat'}")
    detector = OnnxDetector(path)
    assert detector.labels == LABELS
    (found,) = detector([WIDE])
    assert found.labels == ("cat", "dog")
    assert found.scores == pytest.approx([0.7, 0.5])
    expected = np.array([[24, 12, 40, 20], [0, 0, 12, 8]]) / [64, 32, 64, 32]
    assert np.allclose(found.boxes, expected)
    values, _ = detector._prepared(WIDE.pixels)
    assert np.allclose(values[0, :, :32], np.array([10, 20, 30])[:, None, None] / 255)  # RGB
    assert np.allclose(values[0, :, 32:], 114 / 255)


@pytest.mark.parametrize("shape", [(1, 5, 6), (5, 6)])
def test_end_to_end(tmp_path: Path, shape: tuple[int, ...]) -> None:
    out = np.zeros((5, 6))
    out[1] = [16, 8, 48, 24, 0.4, 1]
    out[3] = [0, 0, 32, 16, 0.8, 0]
    out[4] = [0, 0, 32, 16, 0.9, 2]  # of a label that it does not have
    path = write(tmp_path / "a.onnx", out.reshape(shape), names='["dog", "cat"]')
    (found,) = OnnxDetector(path)([WIDE])
    assert found.labels == ("dog", "cat")
    assert np.allclose(found.boxes, [[0, 0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.75]])
    assert found.scores == pytest.approx([0.8, 0.4])


@pytest.mark.parametrize("first", ["boxes", "logits"])
def test_boxes_and_logits(tmp_path: Path, first: str) -> None:
    boxes, logits = np.zeros((1, 10, 4)), np.full((1, 10, 2), -9.0)
    boxes[0, 2], logits[0, 2] = [0.5, 0.5, 0.5, 1], [0, np.log(3)]  # probability .75
    boxes[0, 6], logits[0, 6] = [0.25, 0.25, 0.1, 0.2], [np.log(1.5), -1]  # .6
    boxes[0, 7], logits[0, 7] = [0.5, 0.5, 0.5, 1], [-800, -800]
    outputs = (boxes, logits) if first == "boxes" else (logits, boxes)
    path = write(tmp_path / "a.onnx", *outputs, names='{"0": "dog", "1": "cat"}')
    detector = OnnxDetector(path)
    (found,) = detector([WIDE])  # the image is stretched, so boxes are of its own size
    assert found.labels == ("cat", "dog")
    assert found.scores == pytest.approx([0.75, 0.6])
    assert np.allclose(found.boxes, [[0.25, 0, 0.75, 1], [0.2, 0.15, 0.3, 0.35]])
    values, _ = detector._prepared(WIDE.pixels)
    assert np.allclose(values[0], np.array([10, 20, 30])[:, None, None] / 255)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_labels_boxes_and_scores(tmp_path: Path, order: tuple[int, ...]) -> None:
    labels, scores = np.array([[1, 0, 7, 0]]), np.array([[0.75, 0.6, 0.9, 0.01]])
    boxes = np.array([[[16, 0, 48, 64], [12.8, 9.6, 19.2, 22.4], [0, 0, 9, 9], [0, 0, 9, 9]]])
    outputs = [(labels, boxes, scores)[i] for i in order]
    path = write(tmp_path / "a.onnx", *outputs, names='["dog", "cat"]', told=True)
    detector = OnnxDetector(path)
    assert detector._told["orig_target_sizes"].tolist() == [[64, 64]]
    (found,) = detector([WIDE])  # the image is stretched to the size that the network is told
    assert found.labels == ("cat", "dog")
    assert found.scores == pytest.approx([0.75, 0.6])
    assert np.allclose(found.boxes, [[0.25, 0, 0.75, 1], [0.2, 0.15, 0.3, 0.35]])


def test_boxes_with_probabilities(tmp_path: Path) -> None:
    out = np.zeros((1, 10, 7))
    out[0, 2] = [0.5, 0.5, 0.5, 1, 0, 0.75, 0]
    out[0, 6] = [0.25, 0.25, 0.1, 0.2, 0.6, 0.2, 0]
    path = write(tmp_path / "a.onnx", out, names='["dog", "cat", "cow"]')
    (found,) = OnnxDetector(path)([WIDE])
    assert found.labels == ("cat", "dog")
    assert found.scores == pytest.approx([0.75, 0.6])
    assert np.allclose(found.boxes, [[0.25, 0, 0.75, 1], [0.2, 0.15, 0.3, 0.35]])


def test_labels_of_the_file(tmp_path: Path) -> None:
    out = np.zeros((1, 84, 189))
    assert OnnxDetector(write(tmp_path / "a.onnx", out, size=(1, 3, 96, 96))).labels == COCO_LABELS
    odd = write(tmp_path / "b.onnx", out, size=(1, 3, 96, 96), names="__import__('os').getcwd()")
    assert OnnxDetector(odd).labels == COCO_LABELS
    path = write(tmp_path / "c.onnx", np.zeros((1, 6, 100)), names="{0: 'dog', 1: 'cat'}")
    assert OnnxDetector(path, ("cow", "cat")).labels == ("cow", "cat")  # what is given wins
    path = write(tmp_path / "d.onnx", np.zeros((1, 6, 100)))
    with pytest.raises(ValueError, match=r"d.onnx: no detector of 80 labels: its outputs have 2"):
        OnnxDetector(path)


def test_sizes_are_bounded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", np.zeros((1, 6, 100)), size=(1, 3, 20_000, 20_000))
    with pytest.raises(ValueError, match=r"a.onnx: .*at most 2048 pixels, got 20000 x 20000"):
        OnnxDetector(path, LABELS)
    path = write(tmp_path / "b.onnx", np.zeros((1, 6, 100)), size=(1, 3, "height", "width"))
    assert OnnxDetector(path, LABELS)([WIDE])[0].labels == ()
    with pytest.raises(ValueError, match="/dev/zero: not a regular file"):
        OnnxDetector("/dev/zero")


def test_input_is_a_letterbox_in_bgr(tmp_path: Path) -> None:
    out = np.zeros((1, PLACES, 7))
    detector = OnnxDetector(write(tmp_path / "a.onnx", out), LABELS)
    values, scale = detector._prepared(np.full((32, 16, 3), (10, 20, 30), np.uint8))
    assert scale.tolist() == [2, 2]
    assert (values[0, :, :64, :32] == np.array([30, 20, 10])[:, None, None]).all()
    assert (values[0, :, :, 32:] == 114).all()


def test_labels_from_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", np.zeros((1, PLACES, 7)))
    (tmp_path / "names.txt").write_text("dog\ncat\n\n")
    assert OnnxDetector(path, tmp_path / "names.txt").labels == LABELS
    assert OnnxDetector(path, LABELS).fingerprint != OnnxDetector(path, ("cow", "cat")).fingerprint
    assert (
        OnnxDetector(path, LABELS).fingerprint
        != OnnxDetector(path, LABELS, min_score=0.5).fingerprint
    )


@pytest.mark.filterwarnings("error")
def test_files_that_are_no_detector(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no network at all")
    write(tmp_path / "labels.onnx", np.zeros((1, PLACES, 85)))
    write(tmp_path / "classifier.onnx", np.zeros((1, 1000)))
    write(tmp_path / "vector.onnx", np.zeros((1, PLACES, 7)), size=(1, 3))
    write(tmp_path / "grey.onnx", np.zeros((1, PLACES, 7)), size=(1, 1, 64, 64))
    for name in ("text", "labels", "classifier", "vector", "grey"):
        with pytest.raises(ValueError, match=rf"{name}.onnx: no (detector|ONNX)"):
            OnnxDetector(tmp_path / f"{name}.onnx", LABELS)
    with pytest.raises(FileNotFoundError):
        OnnxDetector(tmp_path / "absent.onnx")


def test_without_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.onnx", np.zeros((1, PLACES, 7)))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pyg_sgm\[vision\]"):
        OnnxDetector(path, LABELS)
