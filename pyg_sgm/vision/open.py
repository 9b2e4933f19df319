"""Detectors and extractors by name, as the command line gives them."""

import os
import re
from pathlib import Path
from typing import Any

from pyg_sgm.vision.attributes import attributes
from pyg_sgm.vision.detections import DetectionsFile, Detector, Grid, join
from pyg_sgm.vision.extractor import Extractor
from pyg_sgm.vision.features import DEFAULT_BACKBONE, DEFAULT_SIZE, RegionFeatures
from pyg_sgm.vision.onnx_detector import OnnxDetector
from pyg_sgm.vision.relations import WEIGHTS, RelationHead
from pyg_sgm.vision.torchvision_detector import TorchvisionDetector

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
        >>> open_detector("grid").key
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


def open_extractor(
    detector: str = "grid",
    *,
    labels: str | os.PathLike[str] | None = None,
    min_score: float | None = None,
    backbone: str = DEFAULT_BACKBONE,
    size: int = DEFAULT_SIZE,
    half: bool = False,
    relations: str | os.PathLike[str] | None = None,
    colours: bool = True,
) -> Extractor:
    """An extractor with the shipped relation head and colours as attributes.

    Its :attr:`~Extractor.options` are these arguments, files by their full paths.

    Args:
        detector, labels, min_score: See :func:`open_detector`. (default: :obj:`"grid"`)
        backbone, size, half: See :class:`RegionFeatures`.
        relations: File of a relation head. (default: :obj:`None`, the shipped one)
        colours: Whether the attributes are :func:`~pyg_sgm.vision.attributes.attributes`; else
            there are none. (default: :obj:`True`)

    Raises:
        FileNotFoundError, ImportError, ValueError: What its parts raise.
    """
    return Extractor(
        open_detector(detector, labels=labels, min_score=min_score),
        RegionFeatures(backbone, size=size, half=half),
        RelationHead.load(WEIGHTS if relations is None else relations),
        attributes if colours else None,
        options={
            "detector": "+".join(map(_full, _JOINT.split(detector))),
            "labels": None if labels is None else os.path.abspath(labels),
            "min_score": min_score,
            "backbone": backbone,
            "size": size,
            "half": half,
            "relations": None if relations is None else os.path.abspath(relations),
            "colours": colours,
        },
    )


def _full(part: str) -> str:
    """The name of a detector with the full path of its file, if it has one."""
    kind, _, rest = part.partition(":")
    return f"{kind}:{os.path.abspath(rest)}" if kind in ("onnx", "file") else part
