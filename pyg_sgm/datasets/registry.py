"""Datasets by a name on the command line."""

import os
import re
from collections.abc import Callable

from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.bottom_up import BottomUp
from pyg_sgm.datasets.factual import CaptionFile, Factual
from pyg_sgm.datasets.flickr8k import Flickr8k
from pyg_sgm.datasets.flickr30k_sgm import Flickr30kSGM
from pyg_sgm.datasets.image_folder import ImageFolder
from pyg_sgm.datasets.karpathy import KarpathyCaptions
from pyg_sgm.datasets.open_psg import OpenPSG
from pyg_sgm.datasets.precomputed_regions import PrecomputedRegions
from pyg_sgm.datasets.scene_graph_benchmark import SceneGraphBenchmark
from pyg_sgm.datasets.scene_world import SceneWorld
from pyg_sgm.datasets.visual_genome import VisualGenome
from pyg_sgm.io import is_uri

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
# What each name is written with, and what opens it with the path, the split and the options.
_READERS: dict[str, tuple[str, Callable[..., SceneGraphDataset]]] = {
    "flickr8k": ("ROOT", Flickr8k),
    "images": ("FOLDER[,captions=FILE]", lambda path, split, **o: ImageFolder(path, **o)),
    "coco": ("FILE[,images=FOLDER]", lambda path, split, **o: CaptionFile(path, **o)),
    "captions": ("FILE[,images=FOLDER]", lambda path, split, **o: CaptionFile(path, **o)),
    "karpathy": ("FILE[,images=FOLDER][,features=FOLDER]", KarpathyCaptions),
    "flickr30k-sgm": ("ROOT[,features=FOLDER]", Flickr30kSGM),
    "precomputed-regions": ("ROOT", PrecomputedRegions),
    "bottom-up": ("FILE[,captions=FILE]", lambda path, split, **o: BottomUp(path, **o)),
    "scene-graph-benchmark": (
        "ROOT,images=FOLDER[,captions=FILE]",
        lambda path, split, **o: SceneGraphBenchmark(path, **o),
    ),
    "visual-genome": (
        "ROOT[,images=FOLDER][,captions=FILE]",
        lambda path, split, **o: VisualGenome(path, **o),
    ),
    "openpsg": ("FILE[,images=FOLDER][,captions=FILE]", OpenPSG),
    "factual": ("FILE[,images=FOLDER]", lambda path, split, **o: Factual(path, **o)),
}
_WITHOUT_SPLITS = (
    "images", "coco", "captions", "bottom-up", "scene-graph-benchmark", "visual-genome", "factual",
)  # fmt: skip


def open_dataset(spec: str, split: str, *, strict: bool = False) -> SceneGraphDataset:
    """Opens a dataset by name.

    Args:
        spec (str): One of

            * ``flickr8k:ROOT``,
            * ``images:FOLDER``, a folder of images, its URI, or a file ``.txt`` that lists images,
              with ``,captions=FILE``,
            * ``coco:FILE``, COCO's ``captions_*.json``, or ``captions:FILE``, any file that
              :func:`~pyg_sgm.datasets.read_captions` reads, optionally with ``,images=FOLDER``,
            * ``karpathy:FILE`` with ``,images=FOLDER`` or ``,features=FOLDER``,
            * ``flickr30k-sgm:ROOT``, optionally with ``,features=FOLDER``,
            * ``precomputed-regions:ROOT``,
            * ``bottom-up:FILE``, optionally with ``,captions=FILE``,
            * ``scene-graph-benchmark:ROOT,images=FOLDER``, optionally with ``,captions=FILE``,
            * ``visual-genome:ROOT`` or ``openpsg:FILE``, optionally with ``,images=FOLDER`` and
              ``,captions=FILE``,
            * ``factual:FILE``, optionally with ``,images=FOLDER``,
            * ``scene-world``, optionally with arguments of :class:`SceneWorld` as in
              ``scene-world:num_images=200,seed=3,distractors=2-5``.
        split (str): ``"train"``, ``"val"``, ``"test"`` ..., as the dataset has them; ``"dev"`` and
            ``"val"`` are one. Those without splits (``images``, ``coco``, ``captions``,
            ``bottom-up``, ``scene-graph-benchmark``, ``visual-genome``, ``factual``) have all their
            images in any.
        strict (bool, optional): Whether a record that cannot be used is an error; else it is left
            out, one warning lists all of them, and they are in ``skipped``. (default: :obj:`False`)

    Raises:
        ValueError: If there is no dataset of that name or it has no such argument.

    Example:
        >>> open_dataset("scene-world:num_images=4,captions_per_image=1", "dev")
        SceneWorld(4 images, 4 texts)
    """
    name, _, argument = spec.partition(":")
    if name == "scene-world":
        return SceneWorld(split, **_world_options(spec, argument))
    path, *parts = _parts(argument)
    if name not in _READERS or not path:
        forms = [f"{name}:{form}" for name, (form, _) in _READERS.items()]
        raise ValueError(
            f"no dataset {spec!r}; known: {', '.join(forms)}, scene-world[:NAME=VALUE,...]"
        )
    form, reader = _READERS[name]
    options = dict(part.split("=", 1) for part in parts)
    known = set(re.findall(r"(\w+)=", form))
    needed = set(re.findall(r"(\w+)=", re.sub(r"\[.*?\]", "", form)))
    if len(options) < len(parts) or not needed <= options.keys() <= known:
        raise ValueError(f"{spec!r}: expected {name}:{form}")
    return reader(path, split, **options, strict=strict)


def is_one_split(spec: str, split: str, other: str) -> bool:
    """Whether two splits of a dataset have the same images, since it has no splits or they are one.

    Example:
        >>> is_one_split("flickr8k:/data", "dev", "val"), is_one_split("images:/data", "a", "b")
        (True, True)
        >>> is_one_split("flickr8k:/data", "train", "val")
        False
    """
    names = {"val" if name == "dev" else name for name in (split, other)}
    return len(names) == 1 or spec.partition(":")[0] in _WITHOUT_SPLITS


def with_full_paths(spec: str) -> str:
    """The same dataset by a name that holds in any folder.

    Example:
        >>> with_full_paths("scene-world:seed=3")
        'scene-world:seed=3'
        >>> with_full_paths("images:/data/photos,captions=/data/captions.csv")
        'images:/data/photos,captions=/data/captions.csv'
    """
    name, _, argument = spec.partition(":")
    if name not in _READERS:
        return spec
    path, *parts = _parts(argument)
    options = (part.split("=", 1) for part in parts)
    full = [f"{key}={_full(value)}" for key, value in options]
    return ",".join([f"{name}:{_full(path)}", *full])


def _full(path: str) -> str:
    return path if is_uri(path) else os.path.abspath(path)


def _parts(argument: str) -> list[str]:
    """The path and the options; a comma may also stand in a path."""
    return re.split(r",(?=\w+=)", argument)


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
