"""Matching, ranking and explaining."""

from typing import TYPE_CHECKING

from pyg_sgm._deprecated import moved
from pyg_sgm.models.explanation import Attention, Explanation, Match, Node
from pyg_sgm.retrieval.calibration import Calibration
from pyg_sgm.retrieval.encoded import EncodedImages, EncodedTexts
from pyg_sgm.retrieval.encoded_query import (
    EncodedQuery,
    encode_queries,
    encode_query,
    score_query,
)
from pyg_sgm.retrieval.ensemble import evaluate_sum
from pyg_sgm.retrieval.exclusions import Exclusion
from pyg_sgm.retrieval.inputs import ImageInput, Images, TextInput, Texts
from pyg_sgm.retrieval.matcher import SceneGraphMatcher
from pyg_sgm.retrieval.prepare import with_graphs, with_known_images, with_parses
from pyg_sgm.retrieval.query import Query, QueryPart
from pyg_sgm.retrieval.reranking import fit_weight, prior_part
from pyg_sgm.retrieval.search import Candidate, search_images, search_similar, search_texts

__all__ = [
    "Attention",
    "Calibration",
    "Candidate",
    "EncodedImages",
    "EncodedQuery",
    "EncodedTexts",
    "Exclusion",
    "Explanation",
    "ImageInput",
    "Images",
    "Match",
    "Node",
    "Query",
    "QueryPart",
    "SceneGraphMatcher",
    "TextInput",
    "Texts",
    "encode_queries",
    "encode_query",
    "evaluate_sum",
    "fit_weight",
    "prior_part",
    "score_query",
    "search_images",
    "search_similar",
    "search_texts",
    "with_graphs",
    "with_known_images",
    "with_parses",
]

if not TYPE_CHECKING:
    __getattr__ = moved(
        __name__,
        {
            name: f"pyg_sgm.evaluation.{name}"
            for name in ("Probe", "probe_relations", "rerank_by_distraction")
        },
    )
