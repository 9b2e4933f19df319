"""``pyg-sgm train``"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from pyg_sgm.cli._app import Data, console
from pyg_sgm.cli._data import (
    PixelFlags,
    Pixels,
    data_name,
    give_graphs,
    open_records,
    size_of,
)
from pyg_sgm.io import counted, to_path

if TYPE_CHECKING:
    from pyg_sgm.datasets import SceneGraphDataset

Model = Annotated[str, Parameter(help="Model, such as sgm.")]


def train(
    model: Model,
    *,
    data: Data,
    out: Path,
    split: str = "train",
    dev_every: int | None = None,
    dev_split: str | None = None,
    pixels: PixelFlags = None,
    word_vectors: Path | None = None,
    recipe: str = "default",
    options: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    epochs: int | None = None,
    images_per_batch: int | None = None,
    captions_per_image: int | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    optimizer: Literal["adam", "adamw"] | None = None,
    schedule: Literal["constant", "cosine", "one-cycle", "step"] | None = None,
    warmup: float | None = None,
    clip: float | None = None,
    feature_dropout: float | None = None,
    word_dropout: float | None = None,
    ema_decay: float | None = None,
    loss: Literal["contrastive", "hoad", "triplet"] | None = None,
    patience: int | None = None,
    precision: str | None = None,
    read_labels: bool | None = None,
    read_classes: bool | None = None,
    query_bank: int | None = None,
    attribute_words: int | None = None,
    edit_weight: float | None = None,
    edit_kinds: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None,
    seed: int = 0,
    devices: int = 1,
    accelerator: str = "auto",
    gather_negatives: Annotated[bool, Parameter(negative="")] = False,
    resume: Annotated[bool, Parameter(negative="")] = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Train a model and keep its best weights, a checkpoint and logs in a folder.

    Parameters
    ----------
    out
        Folder of the run. It must be new, unless --resume or --overwrite is given.
    split
        Split of the data to train on.
    dev_every
        Keep every so many-th image of the split, by sorted name, for choosing the best weights;
        0 for none. [default: 5, or 0 with --dev-split]
    dev_split
        Another split for choosing the best weights.
    word_vectors
        Text file of word vectors that the embeddings start from.
    recipe
        Settings to start from: default, paper, or another of the model's; a wrong name lists them.
    options
        Option of the model as NAME=VALUE, such as dim=256; may be given several times.
    epochs
        Passes over all texts.
    images_per_batch
        Images per batch, over all devices together.
    captions_per_image
        Texts of each image in a batch.
    lr
        Largest learning rate.
    weight_decay
        Weight decay of matrices and embeddings.
    optimizer
        adamw, whose weight decay is decoupled, or adam, whose weight decay is that of papers.
    schedule
        Course of the learning rate.
    warmup
        Share of all steps in which the learning rate rises.
    clip
        Largest norm of the gradient; 0 for any.
    feature_dropout
        Share of the values of region features that are zeroed at random.
    word_dropout
        Share of the words of texts that become unknown at random.
    ema_decay
        Decay per step of a moving average of the weights, which is kept instead of the last ones.
    loss
        Loss on the score matrix.
    patience
        Epochs without a better dev rsum after which training stops; 0 for never.
    precision
        Such as 32-true or bf16-mixed, or auto, which takes the second where it is faster.
    read_labels
        The language model reads the labels of images too, in sentences that tell their graphs.
    read_classes
        It reads the classes of ImageNet too, by which EfficientNet-lite calls each region.
    query_bank
        Training images, with two texts each, that free the trained model's scores of hubs.
    attribute_words
        Adjectives of the captions that objects are named by, from their region features.
    edit_weight
        Weight of the loss on false texts that differ from true ones in one thing; 0 for none.
    edit_kinds
        Kinds of false texts, such as swapped_relation; may be given several times. [default: all
        but replaced_object and swapped_attribute]
    seed
        Initial weights, order of the batches, dropout.
    devices
        Processes that share each batch.
    accelerator
        Such as cpu or cuda.
    gather_negatives
        Let every device see the batches of all of them.
    resume
        Go on with an interrupted run from its last whole epoch.
    overwrite
        Replace the run that is there.
    """
    asked = dict(locals())
    from pyg_sgm.cli._metrics import metrics_table
    from pyg_sgm.datasets.registry import is_one_split, with_full_paths
    from pyg_sgm.retrieval import SceneGraphMatcher
    from pyg_sgm.retrieval.calibration import LEAST_IMAGES
    from pyg_sgm.retrieval.prepare import with_known_images
    from pyg_sgm.training import RecipeFields, check_fit, find_recipe
    from pyg_sgm.training.run_dir import (
        CALIBRATION,
        GRAPHS,
        HELD_OUT,
        SHARED,
        SOURCE,
        SPLIT,
        is_first_process,
        run_dir,
        write_skipped,
    )

    names = RecipeFields.__annotations__
    if pixels is not None:
        asked["text_encoder"] = pixels.text_encoder
    changes = {k: v for k, v in asked.items() if k in names and v is not None}
    matcher = SceneGraphMatcher(model, **_options(options or []))
    chosen = find_recipe(model, recipe).replace(**changes)
    # Before images become graphs, which may take long.
    check_fit(
        chosen, out, devices=devices, accelerator=accelerator, resume=resume, overwrite=overwrite
    )
    if dev_split is not None and dev_every:
        raise ValueError("--dev-every and --dev-split exclude each other")
    if dev_every is not None and dev_every != 0 and dev_every < 2:
        raise ValueError(f"--dev-every must be 0 or at least 2, got {dev_every}")
    if word_vectors is not None and not word_vectors.is_file():
        raise ValueError(f"{word_vectors}: there is no such file of word vectors")
    source = with_full_paths(data_name(data, pixels, out))
    known: dict[str, Any] = {SOURCE: source, SPLIT: split, HELD_OUT: None}
    if pixels is not None and pixels.graphs is not None:
        known[SHARED] = str(to_path(pixels.graphs).resolve())
    elif not resume:  # a run that is overwritten may have had others
        pixels = replace(pixels or Pixels(), graphs=str(out / GRAPHS))
    dataset, dev = open_records(data, split, out, pixels), None
    if dev_split is not None:
        dev = open_records(data, dev_split, out, pixels)
        _check_apart(dataset, dev, dev_split, is_one_split(data, split, dev_split))
    try:
        with run_dir(out, resume, overwrite, preparing=True):
            dataset = give_graphs(dataset, out, pixels, matcher)
            if dev is not None:
                part = {"split": dev_split, "dev_every": 0}
                known[HELD_OUT] = {**part, "num_images": len(dev.images)}
                dev = give_graphs(dev, out, pixels, matcher)
            elif dev_every != 0:
                part = {"split": split, "dev_every": dev_every or 5}
                known[HELD_OUT] = {**part, "num_images": len(dataset.images)}
                dataset, dev = dataset.split_every(dev_every or 5)
            if is_first_process():
                others = [] if dev_split is None or dev is None else dev.skipped
                write_skipped(out, [*dataset.skipped, *others])
            if dev is not None and not any(image.has_graph for image in dev.images):
                raise ValueError(
                    f"none of {counted(len(dev.images), 'image')} held out can be read: "
                    "hold out others, by --dev-every or --dev-split"
                )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            "stopped while graphs were made; the same command goes on with those that are there"
        ) from stop
    matcher.fit(
        dataset,
        dev,
        chosen,
        word_vectors=word_vectors,
        out=out,
        seed=seed,
        settings=known,
        devices=devices,
        accelerator=accelerator,
        gather_negatives=gather_negatives,
        resume=resume,
        overwrite=overwrite,
    )
    if is_first_process():
        if dev is not None:
            console.print(metrics_table(matcher.evaluate(dev), f"{size_of(dev)}, best epoch"))
            if len(with_known_images(dev).images) >= LEAST_IMAGES:
                matcher.calibrate(dev).save(out / CALIBRATION)
            else:
                console.print(
                    f"No calibration, which needs {LEAST_IMAGES} images that are held out: see "
                    "`pyg-sgm calibrate --data`"
                )
        console.print(f"The model is in {out}", markup=False, highlight=False)


def _check_apart(
    train: "SceneGraphDataset", dev: "SceneGraphDataset", split: str, one_split: bool
) -> None:
    """Raises a ValueError if images of the dev split are trained on, as of a folder, which has no
    splits. They are known by their files; without, by their ids, which two splits may share."""

    def names(dataset: "SceneGraphDataset") -> list[Path | str]:
        return [
            image.file or image.id
            for image in dataset.images
            if one_split or image.file is not None
        ]

    known = set(names(train))
    both = sum(name in known for name in names(dev))
    if both:
        raise ValueError(
            f"--dev-split {split}: {counted(both, 'image')} of it would be trained on too; "
            "--dev-every holds out a part"
        )


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"--set: expected NAME=VALUE, got {pair!r}")
        try:
            options[name] = json.loads(value.lower() if value in ("True", "False") else value)
        except ValueError:
            options[name] = value
    return options
