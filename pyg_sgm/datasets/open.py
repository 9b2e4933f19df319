"""Datasets by a name on the command line."""

from collections.abc import Callable

from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.flickr30k_sgm import Flickr30kSGM
from pyg_sgm.datasets.karpathy import KarpathyCaptions
from pyg_sgm.datasets.precomputed_regions import PrecomputedRegions
from pyg_sgm.datasets.scene_world import SceneWorld

_WORLD_OPTIONS: dict[str, Callable[[str], object]] = {
    "num_images": int,
    "captions_per_image": int,
    "seed": int,
    "feature_dim": int,
    "feature_noise": float,
    "label_noise": float,
    "missed": float,
    "invented": int,
    "distractors": lambda text: tuple(int(part) for part in text.split("-")),
}


def open_dataset(spec: str, split: str) -> SceneGraphDataset:
    """Opens a dataset by name.

    Args:
        spec: One of

            * ``flickr30k-sgm:ROOT`` or ``flickr30k-sgm:ROOT,features=FOLDER``,
            * ``precomputed-regions:ROOT``,
            * ``karpathy:FILE`` or ``karpathy:FILE,features=FOLDER``,
            * ``scene-world``, optionally with arguments of :class:`SceneWorld` as in
              ``scene-world:num_images=200,seed=3,distractors=2-5``.
        split: ``"train"``, ``"val"``, ``"test"`` ..., as the dataset has them.

    Raises:
        ValueError: If there is no dataset of that name or it has no such argument.

    Example:
        >>> open_dataset("scene-world:num_images=4,captions_per_image=1", "dev")
        SceneWorld(4 images, 4 texts)
    """
    name, _, argument = spec.partition(":")
    if name == "scene-world":
        return SceneWorld(split, **_world_options(spec, argument))
    path, _, features = argument.partition(",features=")
    if name == "flickr30k-sgm" and path:
        return Flickr30kSGM(path, split, features or None)
    if name == "precomputed-regions" and path and not features:
        return PrecomputedRegions(path, split)
    if name == "karpathy" and path:
        return KarpathyCaptions(path, split, features or None)
    raise ValueError(
        f"no dataset {spec!r}; known: flickr30k-sgm:ROOT[,features=FOLDER], "
        "precomputed-regions:ROOT, karpathy:FILE[,features=FOLDER], scene-world[:NAME=VALUE,...]"
    )


def _world_options(spec: str, argument: str) -> dict:
    options = {}
    for part in filter(None, argument.split(",")):
        name, _, value = part.partition("=")
        if name not in _WORLD_OPTIONS:
            raise ValueError(f"{spec!r}: no option {name!r}; known: {', '.join(_WORLD_OPTIONS)}")
        try:
            options[name] = _WORLD_OPTIONS[name](value)
        except ValueError as error:
            raise ValueError(f"{spec!r}: {name}: {error}") from error
    return options
