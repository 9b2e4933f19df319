"""Encoding and scoring whole collections, and their metrics."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data import GraphCollection, PairedGraphs
from pyg_sgm.metrics.retrieval import RetrievalMetrics, metrics_of_ranks
from pyg_sgm.models import Encoding, Matcher
from pyg_sgm.ops import Ranking, stream_ranks

IMAGES_PER_BLOCK = 256
TEXTS_PER_BLOCK = 1024
PAIRS_PER_BLOCK = 64


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


def score(model: Matcher, image: Encoding, text: Encoding) -> Tensor:
    """All scores, ``[num_images, num_texts]`` on the CPU, computed block by block without the
    autograd graph."""
    scores = torch.empty(len(image), len(text))
    with _evaluating(model):
        for i in torch.arange(len(image)).split(IMAGES_PER_BLOCK):
            rows = image.select(i)
            for j in torch.arange(len(text)).split(TEXTS_PER_BLOCK):
                block = model.score(rows, text.select(j))
                scores[int(i[0]) : int(i[-1]) + 1, int(j[0]) : int(j[-1]) + 1] = block.cpu()
    return scores


def score_pairs(model: Matcher, image: Encoding, text: Encoding, image_of_text: Tensor) -> Tensor:
    """Score of every text with one image, ``[num_texts]`` on the CPU; texts of an image are scored
    together, and few pairs that nobody asked for.

    Args:
        model: Any matcher.
        image: Encoded images.
        text: Encoded texts.
        image_of_text: The image of every text, ``[num_texts]``.
    """
    scores = torch.empty(len(text))
    with _evaluating(model):
        for texts in image_of_text.argsort(stable=True).split(PAIRS_PER_BLOCK):
            images, row = image_of_text[texts].unique(return_inverse=True)
            block = model.score(image.select(images), text.select(texts)).cpu()
            scores[texts] = block[row, torch.arange(len(texts))]
    return scores


def rank(
    model: Matcher, image: Encoding, text: Encoding, image_of_text: Tensor, k: int = 10
) -> Ranking:
    """Ranks of the ground truth and the best of both directions; no score matrix is made.

    Args:
        model: Any matcher.
        image: Encoded images.
        text: Encoded texts.
        image_of_text: Image of every text, ``[num_texts]``.
        k: See :func:`pyg_sgm.ops.stream_ranks`. (default: ``10``)

    Raises:
        ValueError: If a score is NaN, or an image has no text.
    """

    def block(images: Tensor, texts: Tensor) -> Tensor:
        return model.score(image.select(images), text.select(texts))

    with _evaluating(model):
        sizes = (IMAGES_PER_BLOCK, TEXTS_PER_BLOCK)
        device = next(model.parameters()).device
        return stream_ranks(block, len(image), image_of_text.to(device), k, sizes)


def evaluate(model: Matcher, graphs: PairedGraphs) -> RetrievalMetrics:
    """Recalls of a model in both directions, from blocks of scores.

    Args:
        model: Any matcher.
        graphs: Images and texts; every image has a text.

    Raises:
        ValueError: If the graphs do not fit the model, an image has no text, or a score is NaN.
    """
    images, texts = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
    ranking = rank(model, images, texts, graphs.image_of_text, k=1)
    return metrics_of_ranks(ranking.image_ranks, ranking.text_ranks)


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
    device = next(model.parameters()).device
    with _evaluating(model):
        parts = [
            encode(graphs.batch(index).to(device))
            for index in torch.arange(len(graphs)).split(block)
        ]
    return type(parts[0]).cat(parts)


@contextmanager
def _evaluating(model: Matcher) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
