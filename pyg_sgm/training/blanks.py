"""Random blanks in what a model is trained on."""

from copy import copy
from dataclasses import replace

import torch
import torch.nn.functional as F

from pyg_sgm.data import PairBatch


def blank(batch: PairBatch, features: float, words: float) -> PairBatch:
    """A batch with random blanks, so that no model learns single values and words by heart.

    Args:
        batch: What a model would see.
        features: Share of the values of the region features that become zero; the others grow by
            ``1 / (1 - features)``.
        words: Share of the words of the texts, and of the names of their nodes, that become
            unknown.

    Returns:
        Another batch; the given one stays as it is.

    Example:
        >>> from pyg_sgm.datasets import SceneWorld
        >>> world = SceneWorld("dev", num_images=4)
        >>> batch = world.encode(world.vocabularies()).batch([0, 1])
        >>> blank(batch, features=0.5, words=1.0).text["word"].token.unique()
        tensor([0])
    """
    image, text = copy(batch.image), copy(batch.text)
    for store in image.node_stores if features else ():
        if "x" in store:
            store["x"] = F.dropout(store["x"], features)
    for store in text.node_stores if words else ():
        if "token" in store:
            gone = torch.rand(store["token"].shape, device=store["token"].device) < words
            store["token"] = store["token"].masked_fill(gone, 0)  # <unk>
    return replace(batch, image=image, text=text)
