"""Matching, ranking and explaining."""

from pyg_sgm.retrieval.encoded import EncodedImages, EncodedTexts
from pyg_sgm.retrieval.explain import Explanation
from pyg_sgm.retrieval.matcher import Candidate, SceneGraphMatcher

__all__ = ["Candidate", "EncodedImages", "EncodedTexts", "Explanation", "SceneGraphMatcher"]
