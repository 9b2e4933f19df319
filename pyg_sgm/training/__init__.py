"""Training with Lightning."""

from typing import TYPE_CHECKING

from pyg_sgm._deprecated import moved
from pyg_sgm.models import RECIPES, Recipe, find_recipe
from pyg_sgm.models.recipe import RecipeFields
from pyg_sgm.training.attributes import learn_attributes, said_of_objects
from pyg_sgm.training.finetuning import finetune
from pyg_sgm.training.fit import TrainingInterrupted, check_fit, fit

__all__ = [
    "RECIPES",
    "Recipe",
    "RecipeFields",
    "TrainingInterrupted",
    "check_fit",
    "find_recipe",
    "finetune",
    "fit",
    "learn_attributes",
    "said_of_objects",
]

if not TYPE_CHECKING:
    __getattr__ = moved(
        __name__,
        {
            **{
                name: f"pyg_sgm.evaluation.{name}"
                for name in (
                    "encode_images",
                    "encode_texts",
                    "evaluate",
                    "rank",
                    "score",
                    "score_pairs",
                )
            },
            **{
                name: f"pyg_sgm.models.{name}"
                for name in ("SavedModel", "build_model", "load_model", "save_model")
            },
        },
    )
