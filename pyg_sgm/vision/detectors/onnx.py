"""Detectors in ONNX files, through onnxruntime."""

import ast
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.io import read_lines
from pyg_sgm.vision.detectors.base import Detections, nms
from pyg_sgm.vision.detectors.coco import COCO_LABELS
from pyg_sgm.vision.detectors.layouts import recognize
from pyg_sgm.vision.images import Photo

_GRAY = 114  # what these networks were trained to see beside an image
_ANY_SIZE = 640  # of the input, where the file leaves it open
_LARGEST_SIZE = 2048
_LABELS_IN = ("names", "id2label", "labels", "classes")  # keys of the file's metadata


class OnnxDetector:
    """A detector in an ONNX file: YOLOX, YOLOv8 and YOLO11, an end-to-end YOLO, RT-DETR or D-FINE.

    The file has one input of images ``[1, 3, height, width]``, and perhaps one of their size
    ``[1, 2]``. Its outputs tell the layout, see :mod:`pyg_sgm.vision.detectors.layouts`:
    ``[1, num_places, 5 + num_labels]`` is YOLOX, ``[1, 4 + num_labels, num_places]`` YOLOv8 or
    YOLO11, ``[1, num_boxes, 6]`` end-to-end. RT-DETR and D-FINE are boxes
    ``[1, num_queries, 4]`` and logits ``[1, num_queries, num_labels]``, or labels, boxes and
    scores as their authors export them, or ``[1, num_queries, 4 + num_labels]`` of Ultralytics. It
    runs on one thread; :func:`~pyg_sgm.vision.extract` takes several images at once.

    Args:
        path (str or PathLike): The file.
        labels (list of str or Path, optional): The labels in order, or a file with one label per
            line. (default: those in the file's metadata, as Ultralytics writes them; without, the
            80 of COCO)
        min_score (float, optional): Least score. (default: :obj:`0.15`)
        iou_threshold (float, optional): See :func:`nms`. (default: :obj:`0.45`)
        max_objects (int, optional): Most objects per image. (default: :obj:`26`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming the file, if it is not ONNX or no such detector, its images are larger
            than 2048 pixels, or the number of labels is another.
        ImportError: If onnxruntime is absent.
    """

    @renamed_arguments(max_overlap="iou_threshold", limit="max_objects")
    def __init__(
        self,
        path: str | os.PathLike[str],
        labels: Sequence[str] | Path | None = None,
        *,
        min_score: float = 0.15,
        iou_threshold: float = 0.45,
        max_objects: int = 26,
    ) -> None:
        if Path(path).exists() and not Path(path).is_file():
            raise ValueError(f"{path}: not a regular file")
        content = Path(path).read_bytes()
        self._session = _open(content, path)
        self._input, self._height, self._width, self._told = self._check_input(path)
        if isinstance(labels, Path):
            labels = [line.strip() for line in read_lines(labels) if line.strip()]
        known = labels or self._labels_of_file() or COCO_LABELS
        self._layout, self.labels = self._check_outputs(path, known)
        self._min_score = min_score
        self._iou_threshold = iou_threshold
        self._max_objects = max_objects
        names = hashlib.sha256("\n".join(self.labels).encode()).hexdigest()
        self.fingerprint = (
            f"{self._layout.name} {hashlib.sha256(content).hexdigest()[:16]} labels {names[:8]} "
            f"score {min_score} overlap {iou_threshold} limit {max_objects}"
        )

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [self._detect(photo.pixels) for photo in photos]

    def _check_input(
        self, path: str | os.PathLike[str]
    ) -> tuple[str, int, int, dict[str, np.ndarray]]:
        """Name and size of the input of images, and what else the network is told."""
        inputs = self._session.get_inputs()
        images = [x for x in inputs if x.type == "tensor(float)" and len(x.shape) == 4]
        sizes = [x for x in inputs if x.type == "tensor(int64)" and x.shape[1:] == [2]]
        if len(images) != 1 or len(sizes) > 1 or len(inputs) != len(images) + len(sizes):
            found = [(x.name, x.shape, x.type) for x in inputs]
            raise ValueError(f"{path}: no detector: expected one input of images, got {found}")
        shape = images[0].shape
        height, width = (x if isinstance(x, int) else _ANY_SIZE for x in shape[2:])
        if not (0 < height <= _LARGEST_SIZE and 0 < width <= _LARGEST_SIZE):
            raise ValueError(
                f"{path}: no detector: expected images of at most {_LARGEST_SIZE} pixels, "
                f"got {height} x {width}"
            )
        told = {x.name: np.array([[width, height]], np.int64) for x in sizes}
        return images[0].name, height, width, told

    def _run(self, values: np.ndarray) -> list[np.ndarray]:
        outputs: list[np.ndarray] = self._session.run(None, {self._input: values, **self._told})
        return outputs

    def _labels_of_file(self) -> list[str] | None:
        metadata = self._session.get_modelmeta().custom_metadata_map
        found = (_parsed_labels(metadata[key]) for key in _LABELS_IN if key in metadata)
        return next((labels for labels in found if labels), None)

    def _check_outputs(
        self, path: str | os.PathLike[str], labels: Sequence[str]
    ) -> tuple[Any, tuple[str, ...]]:
        """Looks at one empty image, because the file need not tell the shape of its outputs."""
        gray = np.full((1, 3, self._height, self._width), _GRAY, dtype=np.float32)
        try:
            outputs = self._run(gray)
        except Exception as error:  # see `_open`
            raise ValueError(f"{path}: no detector: {error}") from error
        names = [output.name for output in self._session.get_outputs()]
        known = recognize(outputs, names, self._height, self._width)
        if known is None:
            shapes = [np.shape(out) for out in outputs]
            raise ValueError(
                f"{path}: no detector of a known layout (YOLOX, YOLOv8, end-to-end, RT-DETR): "
                f"its outputs are {shapes}"
            )
        layout, count = known
        if count is not None and count != len(labels):
            raise ValueError(
                f"{path}: no detector of {len(labels)} labels: its outputs have {count}; "
                f"give a file with {count} labels, one per line"
            )
        return layout, tuple(labels)

    def _detect(self, pixels: np.ndarray) -> Detections:
        values, scale = self._prepared(pixels)
        found = self._layout.read(self._run(values), self._min_score)
        height, width = pixels.shape[:2]
        box = found.boxes / np.tile(scale, 2).astype(np.float32) / ([width, height] * 2)
        box = box.clip(0, 1).astype(np.float32)
        known = (found.classes >= 0) & (found.classes < len(self.labels))
        sound = known & (box[:, 2:] > box[:, :2]).all(1)
        box, score, kind = box[sound], found.scores[sound], found.classes[sound]
        threshold = self._iou_threshold if self._layout.suppress else 1.0
        keep = nms(box, score, kind, iou_threshold=threshold, max_boxes=self._max_objects)
        labels = tuple(self.labels[i] for i in kind[keep])
        return Detections(box[keep], labels, score[keep].clip(0, 1).astype(np.float32))

    def _prepared(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The input, and how much the image was enlarged in x and y."""
        from PIL import Image

        height, width = pixels.shape[:2]
        scale = np.array([self._width / width, self._height / height])
        if self._layout.letterbox:
            scale[:] = scale.min()
        size = [max(round(side * s), 1) for side, s in zip((width, height), scale, strict=True)]
        resized = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        if self._layout.bgr:
            resized = resized[:, :, ::-1]
        values = np.full((1, 3, self._height, self._width), _GRAY, dtype=np.float32)
        values[0, :, : size[1], : size[0]] = resized.transpose(2, 0, 1)
        return values * np.float32(self._layout.scale), scale


def _open(content: bytes, path: str | os.PathLike[str]) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("ONNX detectors need more: pip install pyg_sgm[vision]") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings are of no use to who runs a model
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            content, options, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime has a class of errors for each of its states
        raise ValueError(f"{path}: no ONNX model ({error})") from error


def _parsed_labels(text: str) -> list[str] | None:
    """Labels of the metadata: a list, or a mapping from numbers 0, 1, ..., in JSON or Python."""
    value: object = None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    if isinstance(value, dict):
        rows = {str(key): label for key, label in value.items()}
        value = [rows.get(str(i)) for i in range(len(rows))]
    if isinstance(value, list) and value and all(isinstance(label, str) for label in value):
        return list(value)
    return None
