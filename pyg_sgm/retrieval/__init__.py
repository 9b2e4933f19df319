"""Matching, ranking and explaining."""

from pyg_sgm.retrieval.attention import Attention
from pyg_sgm.retrieval.explain import Explanation
from pyg_sgm.retrieval.inputs import EncodedImages, EncodedTexts
from pyg_sgm.retrieval.matcher import Candidate, SceneGraphMatcher
from pyg_sgm.retrieval.prepare import with_graphs, with_parses
from pyg_sgm.retrieval.probe import Probe, probe_relations
from pyg_sgm.retrieval.rerank import Reranked, rerank_by_distraction
from pyg_sgm.retrieval.search import Answer, Answered, answer_images, answer_texts

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
