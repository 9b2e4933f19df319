"""Retrieval and parser metrics."""

from pyg_sgm.metrics.parser import (
    ParserScore,
    TupleScore,
    graph_tuples,
    parser_f1,
)
from pyg_sgm.metrics.retrieval import (
    DirectionMetrics,
    RetrievalMetrics,
    fold_metrics,
    median_rank,
    metrics_of_ranks,
    pair_accuracy,
    recall_at_k,
    retrieval_metrics,
)

__all__ = [
    "DirectionMetrics",
    "ParserScore",
    "RetrievalMetrics",
    "TupleScore",
    "fold_metrics",
    "graph_tuples",
    "median_rank",
    "metrics_of_ranks",
    "pair_accuracy",
    "parser_f1",
    "recall_at_k",
    "retrieval_metrics",
]
