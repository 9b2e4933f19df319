"""Readers, one file a format, and a synthetic world."""

from pyg_sgm.datasets.base import Labels, SceneGraphDataset
from pyg_sgm.datasets.flickr30k_sgm import Flickr30kSGM
from pyg_sgm.datasets.karpathy import KarpathyCaptions
from pyg_sgm.datasets.open import open_dataset
from pyg_sgm.datasets.precomputed_regions import PrecomputedRegions
from pyg_sgm.datasets.scene_world import HardNegatives, SceneWorld

__all__ = [
    "Flickr30kSGM",
    "HardNegatives",
    "KarpathyCaptions",
    "Labels",
    "PrecomputedRegions",
    "SceneGraphDataset",
    "SceneWorld",
    "open_dataset",
]
