"""An extractor in words, for the command line and for what remembers one on disk."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pyg_sgm.vision.detections import DetectionsFile, Detector, Grid, join
from pyg_sgm.vision.extract import Extractor
from pyg_sgm.vision.features import DEFAULT_BACKBONE, RegionFeatures
from pyg_sgm.vision.onnx_detector import OnnxDetector
from pyg_sgm.vision.relations import RelationHead


@dataclass(frozen=True)
class ExtractorOptions:
    """What an extractor is made of; all that it needs to be made again.

    Args:
        detector: File of a YOLOX detector (``.onnx``) or of detections (``.jsonl``).
            (default: :obj:`None`, none)
        grid: Cells on each side of the grid of regions that joins the detector's; 0 for no grid.
            (default: ``3``)
        backbone: See :class:`RegionFeatures`. (default: ``"efficientnet-lite0"``)

    Raises:
        ValueError: If there is neither a detector nor a grid.

    Example:
        >>> ExtractorOptions(grid=4).open_detector().key
        'grid 4'
    """

    detector: str | None = None
    grid: int = 3
    backbone: str = DEFAULT_BACKBONE

    def __post_init__(self) -> None:
        if self.detector is None and not self.grid:
            raise ValueError("a grid of 0 needs a detector")

    def open(self) -> Extractor:
        """The extractor.

        Raises:
            FileNotFoundError, ValueError, ImportError: As its parts do.
        """
        return Extractor(self.open_detector(), RegionFeatures(self.backbone), RelationHead.load())

    def open_detector(self) -> Detector:
        """The detector alone."""
        grid = [Grid(self.grid)] if self.grid else []
        if self.detector is None:
            return join(*grid)
        path = Path(self.detector)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file of a detector")
        if path.suffix not in (".onnx", ".jsonl"):
            raise ValueError(f"{path}: expected a detector (.onnx) or detections (.jsonl)")
        first = OnnxDetector(path) if path.suffix == ".onnx" else DetectionsFile(path)
        return join(first, *grid)

    def to_dict(self) -> dict[str, Any]:
        """Fit for JSON; the file of a detector by its full path."""
        detector = None if self.detector is None else str(Path(self.detector).resolve())
        return asdict(self) | {"detector": detector}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "ExtractorOptions":
        """What :meth:`to_dict` gave; entries of other names are passed over."""
        return cls(**{f.name: value[f.name] for f in fields(cls) if f.name in value})
