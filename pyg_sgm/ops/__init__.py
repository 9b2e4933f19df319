"""Pure functions on tensors."""

from pyg_sgm.ops._attention import attended, cross_attention, perspectives, unit
from pyg_sgm.ops._cross_match import cross_match, cross_match_pairs
from pyg_sgm.ops._distraction import distraction, distraction_pairs, votes
from pyg_sgm.ops._lsesim import lsesim
from pyg_sgm.ops._maxsim import maxsim
from pyg_sgm.ops._packed import Packed, select_rows
from pyg_sgm.ops._ranks import Ranking, ranks, stream_ranks
from pyg_sgm.ops._segment import (
    segment_logsumexp,
    segment_max,
    segment_mean,
    segment_softmax,
    segment_sum,
)

__all__ = [
    "Packed",
    "Ranking",
    "attended",
    "cross_attention",
    "cross_match",
    "cross_match_pairs",
    "distraction",
    "distraction_pairs",
    "lsesim",
    "maxsim",
    "perspectives",
    "ranks",
    "segment_logsumexp",
    "segment_max",
    "segment_mean",
    "segment_softmax",
    "segment_sum",
    "select_rows",
    "stream_ranks",
    "unit",
    "votes",
]
