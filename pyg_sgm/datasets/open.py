"""Datasets by a name on the command line."""

from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.flickr30k_sgm import Flickr30kSGM


def open_dataset(spec: str, split: str) -> SceneGraphDataset:
    """Opens a dataset by name.

    Args:
        spec: ``flickr30k-sgm:ROOT``.
        split: ``"train"``, ``"val"``, ``"test"`` ..., as the dataset has them.

    Raises:
        ValueError: If there is no dataset of that name.
    """
    name, _, argument = spec.partition(":")
    if name == "flickr30k-sgm" and argument:
        return Flickr30kSGM(argument, split)
    raise ValueError(f"no dataset {spec!r}; known: flickr30k-sgm:ROOT")
