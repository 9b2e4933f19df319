"""Encoding collections of graphs block by block."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data import GraphCollection
from pyg_sgm.models import Encoding, Matcher

_LOCK = threading.Lock()
_USERS: WeakKeyDictionary[Matcher, tuple[int, bool]] = WeakKeyDictionary()
IMAGES_PER_BLOCK = 256
TEXTS_PER_BLOCK = 1024


def encode_images(model: Matcher, images: GraphCollection) -> Encoding:
    """Encodes image graphs block by block, in evaluation mode and without the autograd graph.

    Args:
        model: Its device is where encodings are computed and stay.
        images: At least one graph.

    Raises:
        ValueError: If there is no graph, or the region features are not those of the model.
    """
    check_features(model, images)
    return _encode(model, model.encode_image, images, IMAGES_PER_BLOCK)


def encode_texts(model: Matcher, texts: GraphCollection) -> Encoding:
    """Encodes text graphs as :func:`encode_images` does image graphs.

    Raises:
        ValueError: If there is no graph.
    """
    if not texts.is_text:
        raise ValueError("expected text graphs, got image graphs")
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
    like = next(model.parameters())

    def move(value: Tensor) -> Tensor:
        return value.to(like if value.is_floating_point() else like.device)

    with evaluating(model):
        parts = [
            encode(graphs.batch(index).apply(move))
            for index in torch.arange(len(graphs)).split(block)
        ]
    return type(parts[0]).cat(parts)


@contextmanager
def evaluating(model: Matcher) -> Iterator[None]:
    """Evaluation mode without the autograd graph. Threads may share a model: the mode it was in
    comes back when the last of them is done."""
    with _LOCK:
        count, training = _USERS.get(model, (0, model.training))
        _USERS[model] = (count + 1, training)
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        with _LOCK:
            count, training = _USERS.pop(model)
            if count > 1:
                _USERS[model] = (count - 1, training)
            else:
                model.train(training)
