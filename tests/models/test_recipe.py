import inspect
import math

import pytest

from pyg_sgm.losses import ContrastiveLoss, TripletLoss
from pyg_sgm.models import MODELS, GraphSizes, build_model
from pyg_sgm.models.registry import saved_recipe
from pyg_sgm.training import RECIPES, Recipe, find_recipe


def test_every_recipe_fits_its_model_and_loss() -> None:
    for model, recipes in RECIPES.items():
        known = inspect.signature(MODELS[model]).parameters
        for recipe in recipes.values():
            recipe.make_loss()
            assert set(recipe.options) <= set(known)


def test_paper() -> None:
    recipe = find_recipe("sgm", "paper")
    assert (recipe.images_per_batch, recipe.captions_per_image) == (200, 1)
    assert (recipe.lr, recipe.epochs, recipe.weight_decay) == (2e-4, 30, 0)
    loss = recipe.make_loss()
    assert isinstance(loss, TripletLoss)
    assert loss.hardest
    assert loss.margin == 0.2


def test_papers_clip_nothing_and_decay_as_adam_does() -> None:
    sgm, hoad = find_recipe("sgm", "paper"), find_recipe("hoad", "paper")
    assert (sgm.clip, hoad.clip) == (0, 0)
    assert (hoad.optimizer, hoad.weight_decay) == ("adam", 1e-4)
    assert find_recipe("sgm", "paper-coco") == sgm.replace(lr=5e-4)


def test_unknown_recipe() -> None:
    with pytest.raises(ValueError, match="no recipe 'fast'; known: default, photos, labels, paper"):
        find_recipe("sgm", "fast")


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"images_per_batch": 1},
        {"captions_per_image": 0},
        {"lr": 0.0},
        {"lr": math.nan},
        {"weight_decay": -1.0},
        {"clip": math.nan},
        {"warmup": 1.0},
        {"feature_dropout": 1.0},
        {"word_dropout": -0.1},
        {"ema_decay": 1.0},
        {"patience": -1},
        {"schedule": "linear"},
        {"optimizer": "sgd"},
        {"loss": "hinge"},
    ],
)
def test_bad_values_are_named(change: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Recipe(**change)


def test_a_new_loss_drops_the_options_of_the_old() -> None:
    recipe = find_recipe("sgm", "paper").replace(loss="contrastive")
    assert isinstance(recipe.make_loss(), ContrastiveLoss)


def test_recipes_of_version_0_1_are_read() -> None:
    values = {
        **Recipe(loss="triplet", options={"dim": 8}).to_dict(),
        "loss_options": {"margin": 0.3, "warmup": 7, "patience": 9},
        "options": {"dim": 4, "both_ways": True, "share_labels": False},
    }
    recipe = saved_recipe("sgm", values)
    assert recipe.options == {"dim": 4, "bidirectional": True, "shared_label_projection": False}
    loss = recipe.make_loss()
    assert isinstance(loss, TripletLoss)
    assert (loss.margin, loss.warmup_calls, loss.patience_calls) == (0.3, 7, 9)
    assert saved_recipe("sgm", recipe.to_dict()) == recipe
    with pytest.raises(ValueError, match="unknown field 'epoch'"):
        saved_recipe("sgm", {"epoch": 3})


def test_old_names_warn() -> None:
    sizes = GraphSizes(words=10, objects=5, predicates=4, attributes=3)
    with pytest.warns(DeprecationWarning, match="SCAN: pooling_sharpness is now"):
        model = build_model("scan", sizes, {"dim": 4, "embed": 4, "pooling_sharpness": 3.0})
    assert model.config["pooling_inverse_temperature"] == 3.0
    with pytest.warns(DeprecationWarning, match="warmup is now warmup_calls"):
        assert TripletLoss(warmup=3).warmup_calls == 3  # type: ignore[call-arg]


def test_wrong_loss_option() -> None:
    with pytest.raises(ValueError, match="margins"):
        Recipe(loss="triplet", loss_options={"margins": 1}).make_loss()


def test_a_mistyped_field_is_no_option_of_the_model() -> None:
    with pytest.raises(ValueError, match="no field 'epoch'; did you mean 'epochs'"):
        Recipe().replace(epoch=3)
    with pytest.raises(ValueError, match="no field 'dim'; Options of the model"):
        Recipe().replace(dim=3)


def test_options_of_the_model_are_added() -> None:
    recipe = Recipe(options={"dim": 1, "hidden": 2}).with_model_options(dim=3, embed=4)
    assert recipe.options == {"dim": 3, "hidden": 2, "embed": 4}


@pytest.mark.parametrize("value", [2.5, "3", None])
def test_counts_are_whole_numbers(value: object) -> None:
    with pytest.raises(ValueError, match="epochs must be a whole number"):
        Recipe(epochs=value)  # type: ignore[arg-type]
