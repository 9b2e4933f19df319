"""Readers, one file per format, and a synthetic world."""

from pyg_sgm.datasets._files.images import count_other_files, list_images
from pyg_sgm.datasets._files.pickles import convert_joblib
from pyg_sgm.datasets._files.skipped import SkippedRecord
from pyg_sgm.datasets.base import Labels, SceneGraphDataset
from pyg_sgm.datasets.bottom_up import BottomUp
from pyg_sgm.datasets.captions import read_captions
from pyg_sgm.datasets.factual import CaptionFile, Factual
from pyg_sgm.datasets.flickr8k import Flickr8k
from pyg_sgm.datasets.flickr30k_sgm import Flickr30kSGM
from pyg_sgm.datasets.image_folder import ImageFolder
from pyg_sgm.datasets.karpathy import KarpathyCaptions
from pyg_sgm.datasets.open_psg import OpenPSG
from pyg_sgm.datasets.precomputed_regions import PrecomputedRegions
from pyg_sgm.datasets.registry import open_dataset
from pyg_sgm.datasets.scene_graph_benchmark import SceneGraphBenchmark
from pyg_sgm.datasets.scene_world import HardNegatives, SceneWorld
from pyg_sgm.datasets.visual_genome import VisualGenome

__all__ = [
    "BottomUp",
    "CaptionFile",
    "Factual",
    "Flickr8k",
    "Flickr30kSGM",
    "HardNegatives",
    "ImageFolder",
    "KarpathyCaptions",
    "Labels",
    "OpenPSG",
    "PrecomputedRegions",
    "SceneGraphBenchmark",
    "SceneGraphDataset",
    "SceneWorld",
    "SkippedRecord",
    "VisualGenome",
    "convert_joblib",
    "count_other_files",
    "list_images",
    "open_dataset",
    "read_captions",
]
