"""Where the nodes of a text look in an image, and what of the image nobody asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pyg_sgm.data import GraphCollection, ImageRecord, TextRecord
from pyg_sgm.evaluation import encode_images, encode_texts, score
from pyg_sgm.models import HOADEncoding, Matcher
from pyg_sgm.ops import cross_attention, distraction, votes
from pyg_sgm.retrieval.explain import object_names

Kind = Literal["object", "relation", "attribute"]


@dataclass(frozen=True)
class Node:
    """A node after the graph convolutions.

    Args:
        kind: What it was made from.
        objects: The objects it is about: one, or subject and object of a relation.
        name: Label of an object, triplet of a relation, attributes and label of an attribute node.
    """

    kind: Kind
    objects: tuple[int, ...]
    name: str


@dataclass(frozen=True)
class Attention:
    """The attention between the graphs of an image and a text, and what follows from it.

    Args:
        image: The image's graph in strings.
        text: The text's graph in strings.
        image_nodes: Nodes of the image.
        text_nodes: Nodes of the text.
        weights: Attention of the text's nodes on the image's (HOAD, eq. 5),
            ``[num_text_nodes, num_image_nodes]``.
        image_weights: Weight of every node of the image in the score (eq. 8).
        text_weights: The same for the text.
        score: Score of the pair.
    """

    image: ImageRecord
    text: TextRecord
    image_nodes: list[Node]
    text_nodes: list[Node]
    weights: Tensor
    image_weights: Tensor
    text_weights: Tensor
    score: float

    @property
    def image_votes(self) -> Tensor:
        """Distraction vector of the image with the text as query, ``[num_image_nodes]``."""
        return votes(self.weights)

    @property
    def text_votes(self) -> Tensor:
        """Distraction vector of the text with the image as query, ``[num_text_nodes]``."""
        return votes(self.weights.t())

    @property
    def image_distraction(self) -> float:
        """Distraction score of the image (eq. 10), in nats."""
        return float(distraction(self.image_votes))

    @property
    def text_distraction(self) -> float:
        """Distraction score of the text, in nats."""
        return float(distraction(self.text_votes))


def explain_attention(
    model: Matcher,
    image: tuple[GraphCollection, ImageRecord],
    text: tuple[GraphCollection, TextRecord],
) -> Attention:
    """The attention of one text in one image.

    Args:
        model: A :class:`~pyg_sgm.models.HOAD`.
        image: One graph, and the same in strings.
        text: One graph, and the same in strings.

    Raises:
        ValueError: If the model is another.
    """
    (images, image_record), (texts, record) = image, text
    shown, told = encode_images(model, images), encode_texts(model, texts)
    if not (isinstance(shown, HOADEncoding) and isinstance(told, HOADEncoding)):
        raise ValueError(f"{type(model).__name__} has no attention between graphs")
    kinds = str(model.config["node_types"])
    with torch.no_grad():
        weights = cross_attention(told.nodes.x, shown.nodes.x).cpu()
    return Attention(
        image_record,
        record,
        nodes_of(image_record, kinds),
        nodes_of(record, kinds),
        weights,
        shown.weights.x.cpu(),
        told.weights.x.cpu(),
        float(score(model, shown, told)),
    )


def nodes_of(record: ImageRecord | TextRecord, kinds: str = "ora") -> list[Node]:
    """The nodes of :class:`~pyg_sgm.nn.HighOrderEncoder` in their order.

    Args:
        record: A graph in strings.
        kinds: See :class:`~pyg_sgm.nn.HighOrderEncoder`. (default: ``"ora"``)

    Example:
        >>> from pyg_sgm.data import image_record
        >>> record = image_record(["man", "hat"], None, [(0, "in", 1)], [(1, "red"), (1, "big")])
        >>> [node.name for node in nodes_of(record)]
        ['man', 'hat', 'man in hat', 'red big hat']
    """
    objects = object_names(record) if isinstance(record, ImageRecord) else record.objects
    nodes = [Node("object", (i,), name) for i, name in enumerate(objects)]
    if "r" in kinds:
        nodes += [
            Node("relation", (s, o), f"{objects[s]} {predicate} {objects[o]}")
            for s, predicate, o in record.relations
        ]
    if "a" in kinds:
        for i in sorted({i for i, _ in record.attributes}):
            own = [label for owner, label in record.attributes if owner == i]
            nodes.append(Node("attribute", (i,), " ".join([*own, objects[i]])))
    return nodes
