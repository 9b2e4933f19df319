"""Images to scene graphs: detectors, region features, relations (extra ``vision``)."""

from typing import TYPE_CHECKING

from pyg_sgm._deprecated import moved
from pyg_sgm.vision.attributes import AttributeHead
from pyg_sgm.vision.backbones import EfficientNetLite0, EfficientNetLite2, open_backbone
from pyg_sgm.vision.detectors import (
    COCO_LABELS,
    Detections,
    DetectionsFile,
    Detector,
    Grid,
    OnnxDetector,
    TorchvisionDetector,
    join,
    nms,
    open_detector,
)
from pyg_sgm.vision.extracting import ExtractionResult, extract
from pyg_sgm.vision.extraction import Extractor
from pyg_sgm.vision.images import ImageError, Photo, read_image, read_photo, to_photo
from pyg_sgm.vision.region_features import RegionFeatures, pool_boxes, union_boxes
from pyg_sgm.vision.registry import open_extractor
from pyg_sgm.vision.relations import RelationHead
from pyg_sgm.vision.store import open_graphs, read_skipped
from pyg_sgm.vision.towers import TwoTowers, open_towers

if not TYPE_CHECKING:
    __getattr__ = moved(__name__, {"Summary": "pyg_sgm.vision.ExtractionResult"})

__all__ = [
    "COCO_LABELS",
    "AttributeHead",
    "Detections",
    "DetectionsFile",
    "Detector",
    "EfficientNetLite0",
    "EfficientNetLite2",
    "ExtractionResult",
    "Extractor",
    "Grid",
    "ImageError",
    "OnnxDetector",
    "Photo",
    "RegionFeatures",
    "RelationHead",
    "TorchvisionDetector",
    "TwoTowers",
    "extract",
    "join",
    "nms",
    "open_backbone",
    "open_detector",
    "open_extractor",
    "open_graphs",
    "open_towers",
    "pool_boxes",
    "read_image",
    "read_photo",
    "read_skipped",
    "to_photo",
    "union_boxes",
]
