"""Scoring whole collections, and their metrics."""

from collections.abc import Iterator

import torch
from torch import Tensor

from pyg_sgm.data import PairedGraphs
from pyg_sgm.evaluation.encode import (
    IMAGES_PER_BLOCK,
    TEXTS_PER_BLOCK,
    encode_images,
    encode_texts,
    evaluating,
)
from pyg_sgm.metrics.retrieval import RetrievalMetrics, mean_metrics, metrics_of_ranks
from pyg_sgm.models import Encoding, Matcher
from pyg_sgm.ops import Ranking, stream_ranks

PAIRS_PER_BLOCK = 64


def score(model: Matcher, image: Encoding, text: Encoding) -> Tensor:
    """All scores, ``[num_images, num_texts]`` on the CPU, computed block by block without the
    autograd graph.

    Args:
        model (Matcher): Any matcher.
        image (Encoding): Encoded images.
        text (Encoding): Encoded texts.

    Raises:
        ValueError: If a score is NaN.
    """
    scores = torch.empty(len(image), len(text))
    with evaluating(model) as model:
        for first, rows in _blocks(image, IMAGES_PER_BLOCK):
            for start, columns in _blocks(text, TEXTS_PER_BLOCK):
                block = model.score(rows, columns).cpu()
                scores[first : first + len(rows), start : start + len(columns)] = block
    return _checked(scores)


def _blocks(encoding: Encoding, size: int) -> Iterator[tuple[int, Encoding]]:
    """Parts of that many graphs, each with the position of its first; few graphs are not copied."""
    if len(encoding) <= size:
        yield 0, encoding
        return
    for rows in torch.arange(len(encoding)).split(size):
        yield int(rows[0]), encoding.select(rows)


def score_pairs(model: Matcher, image: Encoding, text: Encoding, image_of_text: Tensor) -> Tensor:
    """Score of every text with one image, ``[num_texts]`` on the CPU; texts of an image are scored
    together, and few pairs that nobody asked for.

    Args:
        model (Matcher): Any matcher.
        image (Encoding): Encoded images.
        text (Encoding): Encoded texts.
        image_of_text (Tensor): The image of every text, ``[num_texts]``.

    Raises:
        ValueError: If a score is NaN.
    """
    scores = torch.empty(len(text))
    with evaluating(model) as model:
        for texts in image_of_text.argsort(stable=True).split(PAIRS_PER_BLOCK):
            images, row = image_of_text[texts].unique(return_inverse=True)
            block = model.score(image.select(images), text.select(texts)).cpu()
            scores[texts] = block[row, torch.arange(len(texts))]
    return _checked(scores)


def rank(
    model: Matcher, image: Encoding, text: Encoding, image_of_text: Tensor, k: int = 10
) -> Ranking:
    """Ranks of the ground truth and the best of both directions; no score matrix is made.

    Args:
        model (Matcher): Any matcher.
        image (Encoding): Encoded images.
        text (Encoding): Encoded texts.
        image_of_text (Tensor): Image of every text, ``[num_texts]``.
        k (int, optional): See :func:`pyg_sgm.ops.stream_ranks`. (default: :obj:`10`)

    Raises:
        ValueError: If a score is NaN, or an image has no text.
    """

    def block(images: Tensor, texts: Tensor) -> Tensor:
        return model.score(image.select(images), text.select(texts))

    with evaluating(model) as model:
        sizes = (IMAGES_PER_BLOCK, TEXTS_PER_BLOCK)
        device = next(model.parameters()).device
        return stream_ranks(block, len(image), image_of_text.to(device), k, sizes)


def evaluate(model: Matcher, graphs: PairedGraphs, folds: int = 1) -> RetrievalMetrics:
    """Recalls of a model in both directions, from blocks of scores.

    Args:
        model (Matcher): Any matcher.
        graphs (PairedGraphs): Images and texts; every image has a text.
        folds (int, optional): Number of parts of consecutive images that are evaluated by
            themselves and averaged; 5 of the 5,000 test images of COCO are its 1K protocol.
            (default: :obj:`1`)

    Raises:
        ValueError: If the graphs do not fit the model, an image has no text, a score is NaN, or
            there are fewer images than folds.
    """
    return mean_metrics(evaluate_folds(model, graphs, folds))


def evaluate_folds(model: Matcher, graphs: PairedGraphs, folds: int = 5) -> list[RetrievalMetrics]:
    """Recalls of each part of a collection by itself, from blocks of scores.

    Args:
        model (Matcher): Any matcher.
        graphs (PairedGraphs): Images and texts; every image has a text.
        folds (int, optional): Number of parts of consecutive images. The field reports their mean,
            or the first one alone. (default: :obj:`5`)

    Raises:
        ValueError: As :func:`evaluate`.
    """
    count = len(graphs.images)
    if not 1 <= folds <= count:
        raise ValueError(f"{count} images cannot make {folds} folds")
    images, texts = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
    parts = []
    for part in torch.arange(count).tensor_split(folds):
        first, last = int(part[0]), int(part[-1])
        of_part = (first <= graphs.image_of_text) & (graphs.image_of_text <= last)
        chosen = of_part.nonzero().squeeze(1)
        ranking = rank(
            model,
            images.select(part),
            texts.select(chosen),
            graphs.image_of_text[chosen] - first,
            k=1,
        )
        parts.append(metrics_of_ranks(ranking.image_ranks, ranking.text_ranks))
    return parts


def _checked(scores: Tensor) -> Tensor:
    if scores.isnan().any():
        where = ", ".join(map(str, scores.isnan().nonzero()[0].tolist()))
        raise ValueError(f"scores[{where}] is NaN: look at weights and features")
    return scores
