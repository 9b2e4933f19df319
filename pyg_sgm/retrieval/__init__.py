"""Matching, ranking and explaining."""

from pyg_sgm.retrieval.attention import Attention
from pyg_sgm.retrieval.encoded import EncodedImages, EncodedTexts, with_parses
from pyg_sgm.retrieval.explain import Explanation
from pyg_sgm.retrieval.matcher import Candidate, SceneGraphMatcher
from pyg_sgm.retrieval.pixels import with_graphs
from pyg_sgm.retrieval.probe import Probe, probe_relations
from pyg_sgm.retrieval.queries import Answer, Answered, answer_images, answer_texts
from pyg_sgm.retrieval.rerank import Reranked, rerank_by_distraction

__all__ = [
    "Answer",
    "Answered",
    "Attention",
    "Candidate",
    "EncodedImages",
    "EncodedTexts",
    "Explanation",
    "Probe",
    "Reranked",
    "SceneGraphMatcher",
    "answer_images",
    "answer_texts",
    "probe_relations",
    "rerank_by_distraction",
    "with_graphs",
    "with_parses",
]
