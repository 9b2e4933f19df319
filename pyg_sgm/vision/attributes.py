"""Attributes of objects from their region features."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pyg_sgm.data import ImageRecord, Ragged
from pyg_sgm.io import write_tensors

LEAST = 0.35  # probability of an attribute that is named
_CHUNK = 256  # images whose features are read at a time


class AttributeHead(nn.Module):
    r"""Names attributes of objects by one linear layer on their region features

    .. math:: p(a \mid o) = \sigma(\mathbf{w}_a^\top \hat{\mathbf{v}}_o + b_{a, l(o)})

    where :math:`\hat{\mathbf{v}}_o` has mean 0 and deviation 1 in each channel, and
    :math:`b_{a, l}` says how often a thing of the label :math:`l` is called :math:`a`.
    :func:`pyg_sgm.training.learn_attributes` learns it from captions.

    Args:
        words (list of str): The attributes.
        labels (list of str): The labels of objects that have a :math:`b` of their own; the others
            share one.
        mean (Tensor): Mean of the channels of region features, ``[dim]``.
        std (Tensor): Their deviation, ``[dim]``.

    Shapes:
        - **input:** region features ``[num_objects, dim]`` and labels ``[num_objects]``, counted
          from 1; 0 is any other
        - **output:** logits ``[num_objects, len(words)]``

    Example:
        >>> head = AttributeHead(["red", "wet"], ["dog"], torch.zeros(4), torch.ones(4))
        >>> head(torch.rand(3, 4), torch.tensor([1, 1, 0])).shape
        torch.Size([3, 2])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, words: Sequence[str], labels: Sequence[str], mean: Tensor, std: Tensor
    ) -> None:
        super().__init__()
        self.words = list(words)
        self.labels = list(labels)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.of_features = nn.Linear(len(mean), len(self.words), bias=False)
        self.of_label = nn.Embedding(len(self.labels) + 1, len(self.words))
        nn.init.zeros_(self.of_features.weight)
        nn.init.zeros_(self.of_label.weight)
        self._index = {label: at for at, label in enumerate(self.labels, start=1)}

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        logits: Tensor = self.of_features((x - self.mean) / self.std) + self.of_label(label)
        return logits

    def label_index(self, labels: Sequence[str]) -> Tensor:
        """Labels as :meth:`forward` takes them.

        Args:
            labels (list of str): Labels of objects.
        """
        return torch.tensor([self._index.get(label, 0) for label in labels], dtype=torch.long)

    def name(self, images: Sequence[ImageRecord], features: Ragged) -> list[ImageRecord]:
        """The images with further attributes: those that an object of a known label has with a
        probability of at least 0.35, which is their score, and does not have yet.

        Args:
            images (list of ImageRecord): Images, with graphs or without.
            features (Ragged): Region features of their objects.

        Raises:
            ValueError: If the features are of another width.
        """
        if features.rows.shape[1] != len(self.mean):
            raise ValueError(
                f"object.x: {features.rows.shape[1]} features, the head of attributes has "
                f"{len(self.mean)}"
            )
        named = []
        for start in range(0, len(images), _CHUNK):
            part = images[start : start + _CHUNK]
            here = torch.arange(start, start + len(part))
            x = features.rows[features.select(here).spans.rows()].to(self.mean)
            labels = [label for image in part for label in image.objects]
            label = self.label_index(labels).to(x.device)
            with torch.no_grad():
                chance = torch.sigmoid(self(x, label)) * (label > 0)[:, None]
            found = iter(chance.cpu().split([len(image.objects) for image in part]))
            named += [_with(image, self._named(next(found))) for image in part]
        return named

    def _named(self, chance: Tensor) -> Iterator[tuple[int, str, float]]:
        """Object, attribute and probability of what is named in an image."""
        for i, word in (chance >= LEAST).nonzero().tolist():
            yield i, self.words[word], round(float(chance[i, word]), 4)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a safetensors file, with the names in its metadata.

        Args:
            path (str or PathLike): The file.
        """
        lists = {"words": self.words, "labels": self.labels}
        write_tensors(path, self.state_dict(), {"attributes": json.dumps(lists)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AttributeHead:
        """Reads what :meth:`save` wrote.

        Args:
            path (str or PathLike): The file.

        Raises:
            ValueError: Naming the file, if it is no head of attributes.
        """
        try:
            with safe_open(path, framework="pt") as file:
                lists = json.loads(file.metadata()["attributes"])
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            head = cls(lists["words"], lists["labels"], weights["mean"], weights["std"])
            head.load_state_dict(weights)
            return head
        except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"{os.fspath(path)}: missing or no head of attributes ({error})"
            ) from error


def _with(image: ImageRecord, named: Iterator[tuple[int, str, float]]) -> ImageRecord:
    known = set(image.attributes)
    new = [(i, word, chance) for i, word, chance in named if (i, word) not in known]
    scores = dict(image.scores)
    if "attribute" in scores or not image.attributes:
        scores["attribute"] = [*scores.get("attribute", ()), *(chance for *_, chance in new)]
    attributes = [*image.attributes, *((i, word) for i, word, _ in new)]
    return replace(image, attributes=attributes, scores=scores) if new else image
