"""Training with Lightning, evaluation, and models on disk."""

from pyg_sgm.training.evaluate import (
    encode_images,
    encode_texts,
    evaluate,
    rank,
    score,
    score_pairs,
)
from pyg_sgm.training.fit import fit
from pyg_sgm.training.folder import SavedModel, build_model, load_model, save_model
from pyg_sgm.training.recipes import RECIPES, Recipe, find_recipe

__all__ = [
    "RECIPES",
    "Recipe",
    "SavedModel",
    "build_model",
    "encode_images",
    "encode_texts",
    "evaluate",
    "find_recipe",
    "fit",
    "load_model",
    "rank",
    "save_model",
    "score",
    "score_pairs",
]
