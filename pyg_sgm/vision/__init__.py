"""Images to scene graphs: detectors, region features, relations (extra ``vision``)."""

from pyg_sgm.vision.coco import COCO_LABELS
from pyg_sgm.vision.detections import Detections, DetectionsFile, Detector, Grid, join
from pyg_sgm.vision.extract import Summary, extract
from pyg_sgm.vision.extractor import Extractor
from pyg_sgm.vision.features import RegionFeatures, pool_boxes, union_boxes
from pyg_sgm.vision.graph_folder import open_graphs, read_skipped
from pyg_sgm.vision.images import ImageError, Photo, read_image, read_photo
from pyg_sgm.vision.lite0 import EfficientNetLite0
from pyg_sgm.vision.onnx_detector import OnnxDetector
from pyg_sgm.vision.open import open_detector, open_extractor
from pyg_sgm.vision.relations import RelationHead
from pyg_sgm.vision.torchvision_detector import TorchvisionDetector

__all__ = [
    "COCO_LABELS",
    "Detections",
    "DetectionsFile",
    "Detector",
    "EfficientNetLite0",
    "Extractor",
    "Grid",
    "ImageError",
    "OnnxDetector",
    "Photo",
    "RegionFeatures",
    "RelationHead",
    "Summary",
    "TorchvisionDetector",
    "extract",
    "join",
    "open_detector",
    "open_extractor",
    "open_graphs",
    "pool_boxes",
    "read_image",
    "read_photo",
    "read_skipped",
    "union_boxes",
]
