"""A small world and a small model."""

from pyg_sgm.datasets import SceneWorld
from pyg_sgm.models import GraphSizes, Matcher
from pyg_sgm.models.serialization import SavedModel, build_model
from pyg_sgm.training import Recipe

OPTIONS = {"dim": 8, "hidden": 8, "embed": 6}
RECIPE = Recipe(epochs=3, images_per_batch=4, captions_per_image=2, lr=0.01, options=OPTIONS)


def world(split: str = "train", num_images: int = 12) -> SceneWorld:
    return SceneWorld(split, num_images=num_images, captions_per_image=2, feature_dim=4)


def saved_model(seed: int = 0, **options: object) -> SavedModel:
    vocabularies = world().vocabularies()
    sizes = GraphSizes.of(vocabularies, features=4)
    model: Matcher = build_model("sgm", sizes, {**OPTIONS, **options}, seed)
    return SavedModel("sgm", model, vocabularies)
