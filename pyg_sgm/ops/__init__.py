"""Pure functions on tensors."""

from pyg_sgm.ops.maxsim import maxsim
from pyg_sgm.ops.packed import Packed, select_rows
from pyg_sgm.ops.ranks import ranks
from pyg_sgm.ops.segment import (
    segment_logsumexp,
    segment_max,
    segment_mean,
    segment_softmax,
    segment_sum,
)

__all__ = [
    "Packed",
    "maxsim",
    "ranks",
    "segment_logsumexp",
    "segment_max",
    "segment_mean",
    "segment_softmax",
    "segment_sum",
    "select_rows",
]
