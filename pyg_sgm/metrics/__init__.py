"""Retrieval and parser metrics."""

from pyg_sgm.metrics.parser import (
    ParserScore,
    TupleScore,
    graph_tuples,
    parser_f1,
    read_scene_graph,
)

__all__ = ["ParserScore", "TupleScore", "graph_tuples", "parser_f1", "read_scene_graph"]
