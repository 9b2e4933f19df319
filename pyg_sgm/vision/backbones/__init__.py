"""Networks that region features come from."""

from pyg_sgm.vision.backbones.efficientnet import EfficientNetLite0

__all__ = ["EfficientNetLite0"]
