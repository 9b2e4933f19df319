"""YOLOX through onnxruntime."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyg_sgm.vision.detectors.base import Detections, nms
from pyg_sgm.vision.detectors.coco import COCO_LABELS
from pyg_sgm.vision.images import Photo

_STRIDES = (8, 16, 32)
_GREY = 114  # what YOLOX was trained to see beside an image
_ANY_SIZE = 640  # of the input, where the file leaves it open


class OnnxDetector:
    """A YOLOX detector in an ONNX file, after `"YOLOX: Exceeding YOLO Series in 2021"
    <https://arxiv.org/abs/2107.08430>`_.

    The file has one input ``[1, 3, height, width]`` (pixels 0 ... 255, BGR, the image in the upper
    left corner and grey beside it) and one output ``[1, num_places, 5 + num_labels]``: centre and
    logarithm of the size on the grids of strides 8, 16 and 32, objectness, label probabilities.

    Args:
        path: The file.
        labels: The labels in order, or a file with one label a line. (default: the 80 of COCO)
        min_score: Least objectness times label probability. (default: ``0.15``)
        iou_threshold: See :func:`nms`. (default: ``0.45``)
        limit: At most so many objects an image. (default: ``26``)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming the file, if it is not ONNX or no such detector, or the number of labels
            is another.
        ImportError: If onnxruntime is absent.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        labels: Sequence[str] | Path = COCO_LABELS,
        *,
        min_score: float = 0.15,
        iou_threshold: float = 0.45,
        limit: int = 26,
    ) -> None:
        if isinstance(labels, Path):
            lines = labels.read_text(encoding="utf-8").splitlines()
            labels = [line.strip() for line in lines if line.strip()]
        self.labels = tuple(labels)
        content = Path(path).read_bytes()
        self._session = _open(content, path)
        self._input, self._height, self._width = self._check_input(path)
        self._cell, self._stride = _places(self._height, self._width)
        self._check_output(path)
        self._min_score = min_score
        self._iou_threshold = iou_threshold
        self._limit = limit
        names = hashlib.sha256("\n".join(self.labels).encode()).hexdigest()
        self.fingerprint = (
            f"yolox {hashlib.sha256(content).hexdigest()[:16]} labels {names[:8]} "
            f"score {min_score} overlap {iou_threshold} limit {limit}"
        )

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [self._detect(photo.pixels) for photo in photos]

    def _check_input(self, path: str | os.PathLike[str]) -> tuple[str, int, int]:
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or inputs[0].type != "tensor(float)":
            found = [(x.name, x.shape, x.type) for x in inputs]
            raise ValueError(
                f"{path}: no YOLOX detector: expected one input of images, got {found}"
            )
        height, width = (x if isinstance(x, int) else _ANY_SIZE for x in shape[2:])
        return inputs[0].name, height, width

    def _check_output(self, path: str | os.PathLike[str]) -> None:
        """Looks at one empty image, because the file need not tell the shape of its output."""
        grey = np.full((1, 3, self._height, self._width), _GREY, dtype=np.float32)
        try:
            outputs = self._session.run(None, {self._input: grey})
        except Exception as error:  # see `_open`
            raise ValueError(f"{path}: no YOLOX detector: {error}") from error
        expected = (1, len(self._cell), 5 + len(self.labels))
        shapes = [np.shape(out) for out in outputs]
        if shapes != [expected]:
            raise ValueError(
                f"{path}: no YOLOX detector of {len(self.labels)} labels: expected one output "
                f"{expected}, got {shapes}"
            )

    def _detect(self, pixels: np.ndarray) -> Detections:
        values, scale = self._letterbox(pixels)
        (out,) = self._session.run(None, {self._input: values})
        # Label probabilities only lower the score, so few rows are left to look at.
        rows = np.flatnonzero(out[0, :, 4] >= self._min_score)
        found = out[0, rows]
        score = found[:, 4:5] * found[:, 5:]
        kind = score.argmax(1) if len(score) else np.zeros(0, np.int64)
        best = score.max(1, initial=0)
        centre = (found[:, :2] + self._cell[rows]) * self._stride[rows]
        half = np.exp(found[:, 2:4]) * self._stride[rows] / 2
        height, width = pixels.shape[:2]
        box = np.concatenate([centre - half, centre + half], 1) / scale / ([width, height] * 2)
        box = box.clip(0, 1).astype(np.float32)
        sound = (best >= self._min_score) & (box[:, 2:] > box[:, :2]).all(1)
        box, best, kind = box[sound], best[sound], kind[sound]
        keep = nms(box, best, kind, iou_threshold=self._iou_threshold, limit=self._limit)
        labels = tuple(self.labels[i] for i in kind[keep])
        return Detections(box[keep], labels, best[keep].clip(0, 1).astype(np.float32))

    def _letterbox(self, pixels: np.ndarray) -> tuple[np.ndarray, float]:
        """The input, and how much the image was enlarged."""
        from PIL import Image

        height, width = pixels.shape[:2]
        scale = min(self._height / height, self._width / width)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        resized = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
        values = np.full((1, 3, self._height, self._width), _GREY, dtype=np.float32)
        values[0, :, : size[1], : size[0]] = np.asarray(resized)[:, :, ::-1].transpose(2, 0, 1)
        return values, scale


def _open(content: bytes, path: str | os.PathLike[str]) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("ONNX detectors need more: pip install pyg_sgm[vision]") from error
    onnxruntime.set_default_logger_severity(3)  # its warnings are of no use to who runs a model
    try:
        return onnxruntime.InferenceSession(
            content, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime has a class of errors for each of its states
        raise ValueError(f"{path}: no ONNX model ({error})") from error


def _places(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Cell of each place of the output, ``[num_places, 2]`` x, y, and its stride in pixels."""
    cells, strides = [], []
    for stride in _STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
