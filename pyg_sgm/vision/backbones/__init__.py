"""Networks that region features come from."""

from pyg_sgm.vision.backbones.efficientnet import EfficientNetLite0, EfficientNetLite2
from pyg_sgm.vision.backbones.registry import open_backbone

__all__ = ["EfficientNetLite0", "EfficientNetLite2", "open_backbone"]
