"""How a model is trained: every number in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, Literal, TypedDict, get_args

from torch import nn

from pyg_sgm.losses import ContrastiveLoss, HOADLoss, TripletLoss

Optimizer = Literal["adam", "adamw"]
Schedule = Literal["constant", "cosine", "one-cycle", "step"]
LOSSES: dict[str, type[nn.Module]] = {
    "contrastive": ContrastiveLoss,
    "hoad": HOADLoss,
    "triplet": TripletLoss,
}


class RecipeFields(TypedDict, total=False):
    """The fields of a :class:`Recipe` but ``options``, as keywords of a function."""

    epochs: int
    images_per_batch: int
    captions_per_image: int
    lr: float
    optimizer: Optimizer
    weight_decay: float
    schedule: Schedule
    warmup: float
    step_epochs: int
    clip: float
    feature_dropout: float
    word_dropout: float
    ema_decay: float
    loss: str
    loss_options: Mapping[str, Any]
    precision: str
    patience: int
    min_count: int
    text_encoder: str | None
    read_labels: bool
    read_classes: bool | Literal["auto"]
    query_bank: int
    attribute_words: int
    edit_weight: float
    edit_kinds: tuple[str, ...]
    edits_per_batch: int


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Args:
        epochs (int, optional): Passes over all texts. (default: :obj:`30`)
        images_per_batch (int, optional): Groups of texts per batch, over all devices together. The
            last batches of an epoch share what is left, so that none is small. (default: :obj:`64`)
        captions_per_image (int, optional): Texts a group, all of one image; with 1, a batch is so
            many texts drawn whatever their image. (default: :obj:`5`)
        lr (float, optional): Largest learning rate of Adam. (default: :obj:`0.001`)
        optimizer (str, optional): ``"adamw"``, whose weight decay is decoupled from the gradient
            and leaves biases and gains alone; ``"adam"``, whose weight decay is added to the
            gradient of all weights of the model (L2), as papers before AdamW have it. (default:
            :obj:`"adamw"`)
        weight_decay (float, optional): Weight decay of the optimizer. (default: :obj:`0.0`)
        schedule (Schedule, optional): ``"constant"``; ``"cosine"`` to zero; ``"one-cycle"``;
            ``"step"``, a tenth after every ``step_epochs``. (default: :obj:`"cosine"`)
        warmup (float, optional): Share of all steps in which the learning rate rises, linearly.
            (default: :obj:`0.05`)
        step_epochs (int, optional): Epochs between two steps of the schedule ``"step"``. (default:
            :obj:`15`)
        clip (float, optional): Largest norm of the gradient; 0 for any. (default: :obj:`2.0`)
        feature_dropout (float, optional): Share of the values of region features that are zeroed at
            random. (default: :obj:`0.0`)
        word_dropout (float, optional): Share of the words of texts that become unknown at random.
            (default: :obj:`0.0`)
        ema_decay (float, optional): Decay per step of a moving average of the weights, which is
            evaluated, kept and searched with instead of the weights of the last step; those go on
            being trained as they are. 0 for none. (default: :obj:`0.0`)
        loss (str, optional): ``"contrastive"``, ``"hoad"`` or ``"triplet"``. (default:
            :obj:`"contrastive"`)
        loss_options (dict, optional): Arguments of :class:`~pyg_sgm.losses.ContrastiveLoss`,
            :class:`~pyg_sgm.losses.HOADLoss` or :class:`~pyg_sgm.losses.TripletLoss`.
        precision (str, optional): As Lightning names it: ``"32-true"``, ``"bf16-mixed"``,
            ``"16-mixed"``; or ``"auto"``, which is ``"bf16-mixed"`` where that is faster. (default:
            :obj:`"32-true"`)
        patience (int, optional): Epochs in a row without a better dev rsum after which training
            stops; 0 for never. (default: :obj:`0`)
        min_count (int, optional): Words of the training texts that occur less often become unknown.
            (default: :obj:`1`)
        text_encoder (str, optional): Language model that gives the features of words, a name of
            :func:`pyg_sgm.text.open_text_encoder`; :obj:`None` for embeddings of tokens. (default:
            :obj:`None`)
        read_labels (bool, optional): The language model also reads the labels of images, in
            sentences that tell their graphs, see :func:`pyg_sgm.text.label_features`; for models
            that take such features (SGM). (default: :obj:`False`)
        read_classes (bool, optional): The language model also reads what the networks of region
            features call each region by the classes that they were trained with, see
            :class:`pyg_sgm.nn.ClassWords`; likewise. ``"auto"`` is :obj:`True` where these classes
            are known and the model takes them. (default: :obj:`False`)
        query_bank (int, optional): Number of training images, with two texts each, that free the
            scores of the trained model of hubs, see :class:`~pyg_sgm.models.QueryBank`; 0 for
            none. (default: :obj:`0`)
        attribute_words (int, optional): Number of adjectives of the training captions that a head
            on region features learns to name objects by, see
            :func:`pyg_sgm.training.learn_attributes`: they become attributes of the images, in
            training and afterwards; 0 for none. (default: :obj:`0`)
        edit_weight (float, optional): Weight of the loss on false texts that differ from true ones
            in one thing (:func:`~pyg_sgm.losses.edit_loss`); 0 for none. (default: :obj:`0.0`)
        edit_kinds (tuple of str, optional): Kinds of :func:`pyg_sgm.text.make_edits` that are
            trained with; if none are named, all but ``"replaced_object"`` and
            ``"swapped_attribute"``, from which nothing more is learned. (default: :obj:`()`)
        edits_per_batch (int, optional): Edits of the texts of a batch that are trained with.
            (default: :obj:`64`)
        options (dict, optional): Arguments of the model.

    Raises:
        ValueError: Naming the field, if a value is out of range.

    Example:
        >>> Recipe().replace(epochs=5).with_model_options(dim=32).options
        {'dim': 32}
    """

    epochs: int = 30
    images_per_batch: int = 64
    captions_per_image: int = 5
    lr: float = 1e-3
    optimizer: Optimizer = "adamw"
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    warmup: float = 0.05
    step_epochs: int = 15
    clip: float = 2.0
    feature_dropout: float = 0.0
    word_dropout: float = 0.0
    ema_decay: float = 0.0
    loss: str = "contrastive"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "32-true"
    patience: int = 0
    min_count: int = 1
    text_encoder: str | None = None
    read_labels: bool = False
    read_classes: bool | Literal["auto"] = False
    query_bank: int = 0
    attribute_words: int = 0
    edit_weight: float = 0.0
    edit_kinds: tuple[str, ...] = ()
    edits_per_batch: int = 64
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        least = {"images_per_batch": 2}  # one image has no negative
        counts = (
            *("epochs", "images_per_batch", "captions_per_image"),
            *("step_epochs", "min_count", "edits_per_batch"),
        )
        for name in counts:
            value = getattr(self, name)
            if not isinstance(value, int) or value < least.get(name, 1):
                raise ValueError(
                    f"{name} must be a whole number of at least {least.get(name, 1)}, got {value!r}"
                    f"{'; one image alone has no negative' * (name in least)}"
                )
        amounts = (
            *("weight_decay", "clip", "patience", "query_bank", "attribute_words"),
            "edit_weight",
        )
        for name in amounts:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 < self.lr < float("inf"):
            raise ValueError(f"lr must be positive, got {self.lr}")
        for name in ("warmup", "feature_dropout", "word_dropout", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.read_classes not in (True, False, "auto"):
            raise ValueError(f"read_classes must be true, false or 'auto': {self.read_classes!r}")
        if self.optimizer not in get_args(Optimizer):
            known = ", ".join(get_args(Optimizer))
            raise ValueError(f"optimizer {self.optimizer!r}; known: {known}")
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule {self.schedule!r}; known: {', '.join(get_args(Schedule))}")
        if self.loss not in LOSSES:
            raise ValueError(f"loss {self.loss!r}; known: {', '.join(LOSSES)}")

    def replace(self, **changes: Any) -> Recipe:
        """The recipe with other values of its fields.

        Options of the old loss do not outlive a change of the loss.

        Raises:
            ValueError: Naming the field, if no field has the name or a value is out of range.
        """
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                meant = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(
                    f"a recipe has no field {name!r}; {meant}Options of the model are set by "
                    "with_model_options"
                )
        if changes.get("loss", self.loss) != self.loss:
            changes = {"loss_options": {}, **changes}
        return replace(self, **changes)

    def with_model_options(self, **options: Any) -> Recipe:
        """The recipe with other arguments of the model; the rest of them stays."""
        return replace(self, options={**self.options, **options})

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
