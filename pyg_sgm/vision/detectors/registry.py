"""Detectors by name, as the command line gives them."""

import os
import re
from collections.abc import Sequence
from typing import Any

from pyg_sgm.io import read_lines
from pyg_sgm.vision.detectors.base import Detector, join
from pyg_sgm.vision.detectors.file import DetectionsFile
from pyg_sgm.vision.detectors.grid import Grid
from pyg_sgm.vision.detectors.merge import Merged
from pyg_sgm.vision.detectors.onnx import OnnxDetector
from pyg_sgm.vision.detectors.torchvision import TorchvisionDetector

# A path may have a plus in it.
_JOINT = re.compile(r"\+(?=grid$|grid\+|grid:\d|onnx:|torchvision:|file:)")
_LARGEST_GRID = 32  # cells on each side


def open_detector(
    name: str,
    *,
    labels: str | os.PathLike[str] | Sequence[str] | None = None,
    min_score: float | None = None,
    merge: bool = True,
) -> Detector:
    """A detector by its name.

    Args:
        name (str): ``grid``, ``grid:SIDE``, ``onnx:FILE``, ``torchvision:NAME``, ``file:FILE`` or
            ``file:FILE,name=NAME``, or several of them joined by ``+``.
        labels (str, PathLike or list of str, optional): The labels in order, or a file with one per
            line, for ``onnx``. (default: see :class:`OnnxDetector`)
        min_score (float, optional): Least score of an object, for networks. (default: what the
            detector has)
        merge (bool, optional): Whether boxes of several labels that overlap are one object with
            several names, see :func:`~pyg_sgm.vision.detectors.merge_overlapping`. (default:
            :obj:`True`)

    Raises:
        ValueError: If the name is of no such form, and what the detectors raise.

    Example:
        >>> open_detector("grid:5").fingerprint
        'grid 5'
    """
    if min_score is not None and not 0 <= min_score <= 1:
        raise ValueError(f"min_score must lie in 0 to 1, got {min_score}")
    score: dict[str, Any] = {} if min_score is None else {"min_score": min_score}
    known = None if labels is None else read_labels(labels)
    parts: list[Detector] = []
    for part in _JOINT.split(name):
        kind, _, rest = part.partition(":")
        if part == "grid":
            parts.append(Grid())
        elif kind == "grid" and rest.isdecimal() and 1 <= int(rest) <= _LARGEST_GRID:
            parts.append(Grid(int(rest)))
        elif kind == "onnx" and rest:
            parts.append(OnnxDetector(rest, known, **score))
        elif kind == "torchvision" and rest:
            parts.append(TorchvisionDetector(rest, **score))
        elif kind == "file" and rest:
            path, of = _file_and_name(rest)
            parts.append(DetectionsFile(path, name=of))
        else:
            forms = "grid, grid:SIDE, onnx:FILE, torchvision:NAME or file:FILE[,name=NAME]"
            raise ValueError(f"detector {part!r}: expected {forms}, joined by +")
    detector = parts[0] if len(parts) == 1 else join(*parts)
    return Merged(detector) if merge and detector.labels else detector


def is_shipped(name: str) -> bool:
    """Whether a detector opens no file and fetches nothing: grids alone."""
    return all(part.partition(":")[0] == "grid" for part in _JOINT.split(name))


def read_labels(labels: str | os.PathLike[str] | Sequence[str]) -> list[str]:
    """Labels in order.

    Args:
        labels (str, PathLike or list of str): The labels themselves, or a file with one per line.
    """
    if isinstance(labels, str | os.PathLike):
        return [line.strip() for line in read_lines(labels) if line.strip()]
    return list(labels)


def full_name(name: str) -> str:
    """The name of a detector with the full paths of its files."""
    return "+".join(map(_full, _JOINT.split(name)))


def _full(part: str) -> str:
    """The name of a detector with the full path of its file, if it has one."""
    kind, _, rest = part.partition(":")
    return f"{kind}:{os.path.abspath(rest)}" if kind in ("onnx", "file") else part


def _file_and_name(text: str) -> tuple[str, str | None]:
    path, mark, name = text.rpartition(",name=")
    return (path, name) if mark else (text, None)
