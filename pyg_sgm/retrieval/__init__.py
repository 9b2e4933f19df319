"""Matching, ranking and explaining."""

from typing import TYPE_CHECKING

from pyg_sgm._deprecated import moved
from pyg_sgm.models.explanation import Attention, Explanation
from pyg_sgm.retrieval.inputs import EncodedImages, EncodedTexts
from pyg_sgm.retrieval.matcher import Candidate, SceneGraphMatcher
from pyg_sgm.retrieval.prepare import with_graphs, with_parses
from pyg_sgm.retrieval.search import Answer, Answered, answer_images, answer_texts

__all__ = [
    "Answer",
    "Answered",
    "Attention",
    "Candidate",
    "EncodedImages",
    "EncodedTexts",
    "Explanation",
    "SceneGraphMatcher",
    "answer_images",
    "answer_texts",
    "with_graphs",
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
