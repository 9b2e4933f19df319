"""Which texts a batch holds, and what is hidden of them."""

from collections.abc import Iterator
from copy import copy
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pyg_sgm.data import PairBatch, PairedGraphs
from pyg_sgm.training.edits import edited_batch


def epoch_batches(
    image_of_text: Tensor, images_per_batch: int, captions_per_image: int, seed: int, epoch: int
) -> list[Tensor]:
    """The batches of one epoch, a pure function of its arguments.

    The texts of each image are shuffled and dealt into groups of ``captions_per_image``; the
    groups are shuffled and dealt into batches of ``images_per_batch``, rounded so that all batches
    are of nearly one size; unless that is 1, no batch is of one group alone, which has no negative,
    if there are two. Every text occurs once, and the number of batches is that of any epoch.

    Args:
        image_of_text (Tensor): Index of each text's image, ``[num_texts]``.
        images_per_batch (int): Groups per batch.
        captions_per_image (int): Texts a group; the last group of an image may have fewer.
        seed (int): Seed of the training.
        epoch (int): Epoch, from 0.

    Returns:
        Indices of the texts of each batch.

    Example:
        >>> batches = epoch_batches(torch.arange(5).repeat_interleave(2), 2, 2, seed=0, epoch=0)
        >>> [len(batch) for batch in batches], sorted(torch.cat(batches).tolist())
        ([6, 4], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    random = np.random.default_rng([seed, epoch])
    image = image_of_text.numpy()
    order = random.permutation(len(image))
    order = order[image[order].argsort(kind="stable")]  # by image, shuffled within each
    count = np.bincount(image)
    place = np.arange(len(image)) - (count.cumsum() - count)[image[order]]  # within its image
    start = (place % captions_per_image == 0).nonzero()[0]
    groups = np.split(order, start[1:])
    shuffled = random.permutation(len(groups))
    num_batches = round(len(groups) / images_per_batch)
    if images_per_batch > 1:
        num_batches = min(num_batches, len(groups) // 2)
    return [
        torch.from_numpy(np.concatenate([groups[i] for i in part]))
        for part in np.array_split(shuffled, max(1, num_batches))
    ]


class BatchOrder(Sampler[Tensor]):
    """Indices of the texts of each batch of an epoch, or of one rank's share of them.

    Args:
        graphs (PairedGraphs): What is trained on.
        images_per_batch, captions_per_image, seed: See :func:`epoch_batches`.
        rank (int, optional): Number of this process. (default: :obj:`0`)
        world_size (int, optional): Processes that share each batch. (default: :obj:`1`)

    Raises:
        ValueError: If a batch has fewer texts than there are processes, or there is no text.
    """

    def __init__(
        self,
        graphs: PairedGraphs,
        images_per_batch: int,
        captions_per_image: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if len(graphs) == 0:
            raise ValueError("there is no text to train on")
        self._arguments = (graphs.image_of_text, images_per_batch, captions_per_image, seed)
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        batches = epoch_batches(*self._arguments, epoch=0)
        self._num_batches = len(batches)
        if min(map(len, batches)) < world_size:
            raise ValueError(f"batches of {min(map(len, batches))} texts for {world_size} devices")

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch; Lightning calls this before each."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        for batch in epoch_batches(*self._arguments, epoch=self.epoch):
            yield batch.tensor_split(self.world_size)[self.rank]

    def __len__(self) -> int:
        return self._num_batches


class _Batches(Dataset[PairBatch]):
    """A batch of graphs by the indices of its texts, with edits where there are any."""

    def __init__(self, graphs: PairedGraphs, edits: int, seed: int) -> None:
        self.graphs = graphs
        self.edits = edits
        self.seed = seed

    def __getitem__(self, text_index: Tensor) -> PairBatch:
        if self.graphs.edits is None:
            return self.graphs.batch(text_index)
        return edited_batch(self.graphs, text_index, self.edits, self.seed)


def batch_loader(
    graphs: PairedGraphs, order: BatchOrder, edits: int = 0, seed: int = 0
) -> DataLoader[PairBatch]:
    """A loader of the batches in the given order; it draws nothing from the global generator.

    Args:
        graphs (PairedGraphs): What is trained on.
        order (BatchOrder): Texts of the batches.
        edits (int, optional): Edits of a batch, if the graphs have any. (default: :obj:`0`)
        seed (int, optional): Of their choice. (default: :obj:`0`)
    """
    batches = _Batches(graphs, edits, seed)
    return DataLoader(batches, sampler=order, batch_size=None, generator=torch.Generator())


def blank(batch: PairBatch, features: float, words: float) -> PairBatch:
    """A batch with random blanks, so that no model learns single values and words by heart.

    Args:
        batch (PairBatch): What a model would see.
        features (float): Share of the values of the region features that become zero; the others
            grow by ``1 / (1 - features)``.
        words (float): Share of the words of the texts, and of the names of their nodes, that become
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
            if "x" in store:  # of words, which have one token each
                store["x"] = store["x"].masked_fill(gone[:, None], 0)
    return replace(batch, image=image, text=text)
