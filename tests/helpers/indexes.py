"""Small matchers, not trained, and what is indexed with them."""

from typing import Any

import torch

from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.models import GraphSizes
from pyg_sgm.models.serialization import SavedModel, build_model
from pyg_sgm.retrieval import SceneGraphMatcher
from tests.helpers.training import world

SGM = {
    "dim": 8,
    "hidden": 8,
    "embed": 6,
    "normalize": True,
    "shared_label_projection": True,
    "weigh_nodes": True,
    "bidirectional": True,
    "global_dim": 6,
}
SMALL: dict[str, dict[str, Any]] = {
    "sgm": SGM,
    "sgm paper": {"dim": 8, "hidden": 8, "embed": 6},
    "sgm photos": {**SGM, "fusion": "sum", "null_temperature": 0.05},
    "vse": {"dim": 8, "embed": 6},
    "dvsa": {"dim": 8, "embed": 6, "normalize": True},
    "scan": {"dim": 8, "embed": 6},
    "hoad": {"dim": 8, "hidden": 8, "embed": 6},
    "pvse": {"dim": 8, "embed": 6},
}
WITHOUT_BOUNDS = ("scan", "hoad", "pvse")  # whose images are all scored


def matcher_of(data: SceneGraphDataset) -> SceneGraphMatcher:
    """A matcher with random weights for the images of a dataset."""
    vocabularies = data.vocabularies()
    features = data.features["object"].rows.shape[1] if data.features else 0
    sizes = GraphSizes.of(vocabularies, features=features)
    return SceneGraphMatcher._of(
        SavedModel("sgm", build_model("sgm", sizes, SMALL["sgm"], 0), vocabularies)
    )


def small_matcher(name: str = "sgm", seed: int = 0) -> SceneGraphMatcher:
    """A matcher of the small world with random weights."""
    data = world()
    vocabularies = data.vocabularies()
    sizes = GraphSizes.of(vocabularies, features=4)
    model = build_model(name.split()[0], sizes, SMALL[name], seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for parameter in model.parameters():
            if parameter.dim() == 0:
                parameter.data.normal_()
    return SceneGraphMatcher._of(SavedModel(name.split()[0], model, vocabularies))
