"""How a model is trained: every number in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from torch import nn

from pyg_sgm.losses import ContrastiveLoss, HOADLoss, TripletLoss

Schedule = Literal["constant", "cosine", "one-cycle", "step"]
LOSSES: dict[str, type[nn.Module]] = {
    "contrastive": ContrastiveLoss,
    "hoad": HOADLoss,
    "triplet": TripletLoss,
}


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Args:
        epochs: Passes over all texts.
        images_per_batch: Groups of texts a batch, over all devices together. The last batches of
            an epoch share what is left, so that none is small.
        captions_per_image: Texts a group, all of one image; with 1, a batch is so many texts drawn
            whatever their image.
        lr: Largest learning rate of Adam.
        weight_decay: Decoupled weight decay of matrices and embeddings.
        schedule: ``"constant"``; ``"cosine"`` to zero; ``"one-cycle"``; ``"step"``, a tenth after
            every ``step_epochs``.
        warmup: Share of all steps in which the learning rate rises, linearly.
        step_epochs: Epochs between two steps of the schedule ``"step"``.
        clip: Largest norm of the gradient; 0 for any.
        feature_dropout: Share of the values of region features that are zeroed at random.
        word_dropout: Share of the words of texts that become unknown at random.
        loss: ``"contrastive"``, ``"hoad"`` or ``"triplet"``.
        loss_options: Arguments of :class:`~pyg_sgm.losses.ContrastiveLoss`,
            :class:`~pyg_sgm.losses.HOADLoss` or :class:`~pyg_sgm.losses.TripletLoss`.
        precision: As Lightning names it: ``"32-true"``, ``"bf16-mixed"``, ``"16-mixed"``.
        patience: Epochs in a row without a better dev rsum after which training stops; 0 for
            never.
        min_count: Words of the training texts that occur less often become unknown.
        options: Arguments of the model.

    Raises:
        ValueError: Naming the field, if a value is out of range.

    Example:
        >>> Recipe(epochs=5).replace(lr=1e-4, dim=32).options
        {'dim': 32}
    """

    epochs: int = 30
    images_per_batch: int = 64
    captions_per_image: int = 5
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    warmup: float = 0.05
    step_epochs: int = 15
    clip: float = 2.0
    feature_dropout: float = 0.0
    word_dropout: float = 0.0
    loss: str = "contrastive"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "32-true"
    patience: int = 0
    min_count: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "images_per_batch",
            "captions_per_image",
            "step_epochs",
            "min_count",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("weight_decay", "clip", "patience"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 < self.lr < float("inf"):
            raise ValueError(f"lr must be positive, got {self.lr}")
        for name in ("warmup", "feature_dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule {self.schedule!r}; known: {', '.join(get_args(Schedule))}")
        if self.loss not in LOSSES:
            raise ValueError(f"loss {self.loss!r}; known: {', '.join(LOSSES)}")

    def replace(self, **changes: Any) -> Recipe:
        """The recipe with other values; names that are not fields are options of the model.

        Options of the old loss do not outlive a change of the loss.
        """
        known = {f.name for f in fields(self)}
        recipe = {k: v for k, v in changes.items() if k in known}
        if recipe.get("loss", self.loss) != self.loss:
            recipe.setdefault("loss_options", {})
        options = {k: v for k, v in changes.items() if k not in known}
        recipe["options"] = {**recipe.get("options", self.options), **options}
        return replace(self, **recipe)

    def make_loss(self) -> nn.Module:
        """A new loss.

        Raises:
            ValueError: If it does not take the ``loss_options``.
        """
        try:
            return LOSSES[self.loss](**self.loss_options)
        except TypeError as error:
            raise ValueError(f"loss {self.loss!r}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """All fields, fit for JSON."""
        return asdict(self)


def _hardest(options: Mapping[str, Any]) -> Recipe:
    """As VSE++ trains and the others after it: hardest negatives, batches of 128."""
    return Recipe(
        epochs=30,
        images_per_batch=128,
        captions_per_image=1,
        lr=2e-4,
        schedule="step",
        step_epochs=15,
        warmup=0.0,
        loss="triplet",
        loss_options={"margin": 0.2, "warmup": 100},
        options=options,
    )


_BASELINE = Recipe(
    epochs=20,
    images_per_batch=64,
    captions_per_image=5,
    lr=1e-3,
    weight_decay=1e-2,
    feature_dropout=0.3,
    options={"dim": 256, "share_labels": True, "dropout": 0.3},
)

# What `default` adds to the published models was chosen on data of a thousand images.
RECIPES: dict[str, dict[str, Recipe]] = {
    "sgm": {
        "default": Recipe(
            epochs=20,
            images_per_batch=128,
            captions_per_image=2,
            lr=2e-3,
            weight_decay=1e-4,
            warmup=0.1,
            feature_dropout=0.3,
            options={
                "dim": 256,
                "hidden": 256,
                "normalize": True,
                "share_labels": True,
                "weigh_nodes": True,
                "both_ways": True,
                "global_dim": 256,
                "dropout": 0.3,
                "relation_dropout": 0.5,
            },
        ),
        # Section 4.2 of the paper. It trains from scratch on hardest negatives; the sum over
        # negatives in the first epochs keeps it from collapsing.
        "paper": Recipe(
            epochs=30,
            images_per_batch=200,
            captions_per_image=1,
            lr=2e-4,
            schedule="step",
            step_epochs=15,
            warmup=0.0,
            loss="triplet",
            loss_options={"margin": 0.2, "warmup": 100},
            options={"dim": 1024, "hidden": 2048, "embed": 300},
        ),
    },
    "hoad": {
        "default": Recipe(
            epochs=8,
            images_per_batch=16,
            captions_per_image=5,
            lr=1e-3,
            weight_decay=1e-2,
            feature_dropout=0.3,
            options={
                "dim": 128,
                "hidden": 128,
                "num_perspectives": 16,
                "first_order": 1.0,
                "region_labels": True,
                "share_labels": True,
                "logits": True,
                "dropout": 0.3,
            },
        ),
        # Section 4.3 of the paper, which does not tell the size of a batch.
        "paper": Recipe(
            epochs=60,
            images_per_batch=64,
            captions_per_image=1,
            lr=1e-3,
            weight_decay=1e-4,
            schedule="step",
            step_epochs=25,
            warmup=0.0,
            clip=0.0,
            loss="hoad",
            patience=10,
            options={"dim": 256, "hidden": 1024, "embed": 300, "num_perspectives": 64},
        ),
    },
    "vse": {
        "default": _BASELINE,
        "paper": _hardest({"dim": 1024, "embed": 300}),
    },
    "dvsa": {"default": _BASELINE.replace(normalize=True)},
    "scan": {
        "default": _BASELINE,
        "paper": _hardest({"dim": 1024, "embed": 300}),
    },
    "vsrn": {
        "default": _BASELINE,
        "paper": _hardest({"dim": 2048, "embed": 300}),
    },
}


def find_recipe(model: str, name: str = "default") -> Recipe:
    """The recipe of a model by its name.

    Raises:
        ValueError: If there is none; the message lists those there are.

    Example:
        >>> find_recipe("sgm", "paper").loss
        'triplet'
    """
    recipes = RECIPES.get(model, {"default": Recipe()})
    if name not in recipes:
        raise ValueError(f"{model}: no recipe {name!r}; known: {', '.join(recipes)}")
    return recipes[name]
