"""Relation-aware image-text matching with scene graphs on PyTorch Geometric."""

__version__ = "0.1.0"
