"""YOLOX through onnxruntime, on small networks written here."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pyg_sgm.vision import OnnxDetector, Photo

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("PIL")

FLOAT = onnx.TensorProto.FLOAT
LABELS = ("dog", "cat")
PLACES = 8 * 8 + 4 * 4 + 2 * 2  # of 64 pixels at strides 8, 16, 32


def write(path: Path, output: np.ndarray, size: tuple[int, ...] = (1, 3, 64, 64)) -> Path:
    """A network that gives the same output whatever it sees."""
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["all"], ["output"])],
        "constant",
        [onnx.helper.make_tensor_value_info("images", FLOAT, size)],
        [onnx.helper.make_tensor_value_info("output", FLOAT, output.shape)],
        [onnx.numpy_helper.from_array(output.astype(np.float32), "all")],
    )
    opset = [onnx.helper.make_opsetid("", 13)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
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


def test_input_is_a_letterbox_in_bgr(tmp_path: Path) -> None:
    out = np.zeros((1, PLACES, 7))
    detector = OnnxDetector(write(tmp_path / "a.onnx", out), LABELS)
    values, scale = detector._letterbox(np.full((32, 16, 3), (10, 20, 30), np.uint8))
    assert scale == 2
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
        with pytest.raises(ValueError, match=rf"{name}.onnx: no (YOLOX|ONNX)"):
            OnnxDetector(tmp_path / f"{name}.onnx", LABELS)
    with pytest.raises(FileNotFoundError):
        OnnxDetector(tmp_path / "absent.onnx")


def test_without_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.onnx", np.zeros((1, PLACES, 7)))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pyg_sgm\[vision\]"):
        OnnxDetector(path, LABELS)
