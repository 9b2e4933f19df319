"""Relation-aware image-text matching with scene graphs on PyTorch Geometric."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyg_sgm.data import (
        GraphCollection,
        Vocabularies,
        Vocabulary,
        image_graph,
        image_record,
        text_graph,
        text_record,
    )
    from pyg_sgm.datasets import SceneGraphDataset, open_dataset
    from pyg_sgm.models import HOAD, SGM
    from pyg_sgm.retrieval import SceneGraphMatcher
    from pyg_sgm.text import parse

__version__ = "0.2.0"

# Imported when they are asked for: PyTorch takes seconds, the command line's help need not.
_ROOMS = {
    "HOAD": "models",
    "SGM": "models",
    "GraphCollection": "data",
    "SceneGraphDataset": "datasets",
    "SceneGraphMatcher": "retrieval",
    "Vocabularies": "data",
    "Vocabulary": "data",
    "image_graph": "data",
    "image_record": "data",
    "open_dataset": "datasets",
    "parse": "text",
    "text_graph": "data",
    "text_record": "data",
}

__all__ = [
    "HOAD",
    "SGM",
    "GraphCollection",
    "SceneGraphDataset",
    "SceneGraphMatcher",
    "Vocabularies",
    "Vocabulary",
    "image_graph",
    "image_record",
    "open_dataset",
    "parse",
    "text_graph",
    "text_record",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"pyg_sgm.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
