"""What finds regions in images."""

from pyg_sgm.vision.detectors.base import Detections, Detector, join, nms
from pyg_sgm.vision.detectors.coco import COCO_LABELS
from pyg_sgm.vision.detectors.file import DetectionsFile
from pyg_sgm.vision.detectors.grid import Grid
from pyg_sgm.vision.detectors.merge import Merged, merge_overlapping, prominence
from pyg_sgm.vision.detectors.onnx import OnnxDetector
from pyg_sgm.vision.detectors.registry import open_detector
from pyg_sgm.vision.detectors.torchvision import TorchvisionDetector

__all__ = [
    "COCO_LABELS",
    "Detections",
    "DetectionsFile",
    "Detector",
    "Grid",
    "Merged",
    "OnnxDetector",
    "TorchvisionDetector",
    "join",
    "merge_overlapping",
    "nms",
    "open_detector",
    "prominence",
]
