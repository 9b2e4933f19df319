"""Retrieval and parser metrics."""

import importlib
import warnings

from pyg_sgm.metrics.calibration import Logistic, calibration_error, fit_logistic
from pyg_sgm.metrics.parser import (
    ParserScore,
    TupleScore,
    graph_tuples,
    lemmatized_words,
    parser_f1,
)
from pyg_sgm.metrics.retrieval import (
    DirectionMetrics,
    RetrievalMetrics,
    fold_metrics,
    in_percent,
    mean_metrics,
    median_rank,
    metrics_of_ranks,
    pair_accuracy,
    pair_wins,
    recall_at_k,
    retrieval_metrics,
)

__all__ = [
    "DirectionMetrics",
    "Logistic",
    "ParserScore",
    "RetrievalMetrics",
    "TupleScore",
    "calibration_error",
    "fit_logistic",
    "fold_metrics",
    "graph_tuples",
    "in_percent",
    "lemmatized_words",
    "mean_metrics",
    "median_rank",
    "metrics_of_ranks",
    "pair_accuracy",
    "pair_wins",
    "parser_f1",
    "recall_at_k",
    "retrieval_metrics",
]


def __getattr__(name: str) -> object:
    if name == "read_scene_graph":  # moved in 0.2
        warnings.warn(
            "pyg_sgm.metrics.read_scene_graph is pyg_sgm.data.read_scene_graph",
            DeprecationWarning,
            2,
        )
        return importlib.import_module("pyg_sgm.data").read_scene_graph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
