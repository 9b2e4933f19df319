"""Detectors by name, as the command line gives them."""

import os
import re
from pathlib import Path
from typing import Any

from pyg_sgm.vision.detectors.base import Detector, join
from pyg_sgm.vision.detectors.file import DetectionsFile
from pyg_sgm.vision.detectors.grid import Grid
from pyg_sgm.vision.detectors.onnx import OnnxDetector
from pyg_sgm.vision.detectors.torchvision import TorchvisionDetector

_JOINT = re.compile(r"\+(?=grid$|grid\+|onnx:|torchvision:|file:)")  # a path may have a plus in it


def open_detector(
    name: str, *, labels: str | os.PathLike[str] | None = None, min_score: float | None = None
) -> Detector:
    """A detector by its name.

    Args:
        name: ``grid``, ``onnx:FILE``, ``torchvision:NAME``, ``file:FILE``, or several of them
            joined by ``+``.
        labels: File with one label a line, for ``onnx``. (default: the 80 labels of COCO)
        min_score: Least score of an object, for networks. (default: what the detector has)

    Raises:
        ValueError: If the name is of no such form, and what the detectors raise.

    Example:
        >>> open_detector("grid").fingerprint
        'grid 3'
    """
    score: dict[str, Any] = {} if min_score is None else {"min_score": min_score}
    parts: list[Detector] = []
    for part in _JOINT.split(name):
        kind, _, rest = part.partition(":")
        if part == "grid":
            parts.append(Grid())
        elif kind == "onnx" and rest:
            own: dict[str, Any] = {} if labels is None else {"labels": Path(labels)}
            parts.append(OnnxDetector(rest, **own, **score))
        elif kind == "torchvision" and rest:
            parts.append(TorchvisionDetector(rest, **score))
        elif kind == "file" and rest:
            parts.append(DetectionsFile(rest))
        else:
            known = "grid, onnx:FILE, torchvision:NAME or file:FILE, joined by +"
            raise ValueError(f"detector {part!r}: expected {known}")
    return parts[0] if len(parts) == 1 else join(*parts)


def full_name(name: str) -> str:
    """The name of a detector with the full paths of its files."""
    return "+".join(map(_full, _JOINT.split(name)))


def _full(part: str) -> str:
    """The name of a detector with the full path of its file, if it has one."""
    kind, _, rest = part.partition(":")
    return f"{kind}:{os.path.abspath(rest)}" if kind in ("onnx", "file") else part
