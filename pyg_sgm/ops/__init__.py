"""Pure functions on tensors."""

from typing import TYPE_CHECKING

from pyg_sgm._deprecated import moved
from pyg_sgm.ops._attention import cross_attention, l2_normalize, multi_perspective_cosine
from pyg_sgm.ops._cross_match import cross_match
from pyg_sgm.ops._cross_match_pairs import cross_match_pairs
from pyg_sgm.ops._distraction import distraction, distraction_pairs, distraction_vector
from pyg_sgm.ops._gru import gru
from pyg_sgm.ops._lsesim import lsesim, maxsim_or_null
from pyg_sgm.ops._lstm import lstm
from pyg_sgm.ops._maxsim import maxsim, maxsim_both
from pyg_sgm.ops._packed import Packed, is_ptr, select_rows
from pyg_sgm.ops._pair_blocks import PaddedGraphs, pair_block_scores
from pyg_sgm.ops._ranks import RankCounter, Ranking, lowest_tie, ranks, stream_ranks
from pyg_sgm.ops._segment import (
    segment_logsumexp,
    segment_max,
    segment_mean,
    segment_softmax,
    segment_sum,
)
from pyg_sgm.ops._stacked import stacked_attention, stacked_weights

__all__ = [
    "Packed",
    "PaddedGraphs",
    "RankCounter",
    "Ranking",
    "cross_attention",
    "cross_match",
    "cross_match_pairs",
    "distraction",
    "distraction_pairs",
    "distraction_vector",
    "gru",
    "is_ptr",
    "l2_normalize",
    "lowest_tie",
    "lsesim",
    "lstm",
    "maxsim",
    "maxsim_both",
    "maxsim_or_null",
    "multi_perspective_cosine",
    "pair_block_scores",
    "ranks",
    "segment_logsumexp",
    "segment_max",
    "segment_mean",
    "segment_softmax",
    "segment_sum",
    "select_rows",
    "stacked_attention",
    "stacked_weights",
    "stream_ranks",
]

if not TYPE_CHECKING:
    __getattr__ = moved(
        __name__,
        {
            "perspectives": "pyg_sgm.ops.multi_perspective_cosine",
            "unit": "pyg_sgm.ops.l2_normalize",
            "votes": "pyg_sgm.ops.distraction_vector",
        },
    )
