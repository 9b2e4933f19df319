"""Modules built on :mod:`pyg_sgm.ops`."""

from pyg_sgm.nn.fusion import MultiModalFusion
from pyg_sgm.nn.recurrent import PackedGRU

__all__ = ["MultiModalFusion", "PackedGRU"]
