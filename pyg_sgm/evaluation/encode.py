"""Encoding collections of graphs block by block."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data import GraphCollection, Ragged, Spans
from pyg_sgm.models import Encoding, Matcher

M = TypeVar("M", bound=Matcher)

IMAGES_PER_BLOCK = 256
TEXTS_PER_BLOCK = 1024


def encode_images(model: Matcher, images: GraphCollection) -> Encoding:
    """Encodes image graphs block by block, in evaluation mode and without the autograd graph.

    Args:
        model (Matcher): Its device is where encodings are computed and stay.
        images (GraphCollection): At least one graph.

    Raises:
        ValueError: If there is no graph, or the region features are not those of the model.
    """
    check_features(model, images)
    with evaluating(model) as model:
        return _encode(model, model.encode_image, images, IMAGES_PER_BLOCK)


def encode_texts(model: Matcher, texts: GraphCollection) -> Encoding:
    """Encodes text graphs as :func:`encode_images` does image graphs.

    Args:
        model (Matcher): The model.
        texts (GraphCollection): Text graphs.

    Raises:
        ValueError: If there is no graph.
    """
    if not texts.is_text:
        raise ValueError("expected text graphs, got image graphs")
    with evaluating(model) as model:
        return _encode(model, model.encode_text, texts, TEXTS_PER_BLOCK)


def check_features(model: Matcher, images: GraphCollection) -> None:
    """Raises a ValueError unless image graphs have the features the model was built for."""
    if images.is_text:
        raise ValueError("expected image graphs, got text graphs")
    width = feature_width(images)
    if width != model.sizes.features:
        raise ValueError(
            f"object.x: {width or 'no'} region features, "
            f"the model was built for {model.sizes.features or 'none'}"
        )


def with_class_features(model: Matcher, images: GraphCollection) -> GraphCollection:
    """Image graphs with what a model's :meth:`~pyg_sgm.models.Matcher.class_features` tells of
    their nodes as ``class_x``, in float16, so that training computes it once instead of in each
    epoch.

    Args:
        model (Matcher): The model.
        images (GraphCollection): Image graphs.
    """
    if not model.sizes.classes or not len(images):
        return images
    with evaluating(model) as model:
        parts = list(map(model.class_features, _batches(model, images, IMAGES_PER_BLOCK)))
    fields = dict(images.fields)
    for node in parts[0]:
        rows = torch.cat([part[node].half().cpu() for part in parts])
        fields[node, "class_x"] = Ragged(rows, Spans.packed(images.num_nodes[node]))
    return GraphCollection(images.ids, images.num_nodes, fields, images.sizes)


def feature_width(images: GraphCollection) -> int:
    """Width of the region features of objects; 0 if there are none."""
    field = images.fields.get(("object", "x"))
    return 0 if field is None else int(field.rows.shape[1])


def _encode(
    model: Matcher,
    encode: Callable[[HeteroData], Encoding],
    graphs: GraphCollection,
    block: int,
) -> Encoding:
    if len(graphs) == 0:
        raise ValueError("there is no graph to encode")
    parts = list(map(encode, _batches(model, graphs, block)))
    return type(parts[0]).cat(parts)


def _batches(model: Matcher, graphs: GraphCollection, block: int) -> Iterator[HeteroData]:
    """Graphs block by block, as the model takes them."""
    like = next(model.parameters())

    def move(value: Tensor) -> Tensor:
        dtype = like.dtype if value.is_floating_point() else value.dtype
        return value.to(like.device, dtype, non_blocking=True)

    for index in torch.arange(len(graphs)).split(block):
        yield graphs.batch(index).apply(move)


@contextmanager
def evaluating(model: M) -> Iterator[M]:
    """The model in evaluation mode, without the autograd graph.

    A model in training mode stays in it: what is given is another one with the same weights, so
    that several threads may evaluate a model, and one train it meanwhile.
    """
    with torch.no_grad():
        if any(module.training for module in model.modules()):
            weights = chain(model.parameters(), model.buffers())
            yield copy.deepcopy(model, {id(tensor): tensor for tensor in weights}).eval()
        else:
            yield model
