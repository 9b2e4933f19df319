"""Relation-aware image-text matching with scene graphs on PyTorch Geometric."""

from pyg_sgm.data import (
    GraphCollection,
    Vocabularies,
    Vocabulary,
    image_graph,
    text_graph,
)
from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.models import HOAD, SGM
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.text import parse

__version__ = "0.1.0"

__all__ = [
    "HOAD",
    "SGM",
    "GraphCollection",
    "SceneGraphDataset",
    "SceneGraphMatcher",
    "Vocabularies",
    "Vocabulary",
    "image_graph",
    "open_dataset",
    "parse",
    "text_graph",
]
