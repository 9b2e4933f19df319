"""What a trained model is worth: encoding, scoring, recalls, re-ranking, the relation probe."""

from pyg_sgm.evaluation._evaluate import evaluate, evaluate_folds, rank, score, score_pairs
from pyg_sgm.evaluation.encode import encode_images, encode_texts, with_class_features
from pyg_sgm.evaluation.in_parts import evaluate_in_parts
from pyg_sgm.evaluation.probe import Probe, probe_relations
from pyg_sgm.evaluation.query_bank import with_query_bank
from pyg_sgm.evaluation.rerank import evaluate_reranked, rerank_by_distraction

__all__ = [
    "Probe",
    "encode_images",
    "encode_texts",
    "evaluate",
    "evaluate_folds",
    "evaluate_in_parts",
    "evaluate_reranked",
    "probe_relations",
    "rank",
    "rerank_by_distraction",
    "score",
    "score_pairs",
    "with_class_features",
    "with_query_bank",
]
