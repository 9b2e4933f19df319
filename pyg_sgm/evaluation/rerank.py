"""Re-ranking by distraction (HOAD, section 3.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pyg_sgm.data import PairedGraphs
from pyg_sgm.evaluation._evaluate import rank
from pyg_sgm.evaluation.encode import encode_images, encode_texts
from pyg_sgm.metrics.retrieval import RetrievalMetrics, metrics_of_ranks
from pyg_sgm.models import Encoding, Matcher
from pyg_sgm.ops import Packed, Ranking, distraction_pairs

PAIRS_PER_BLOCK = 512

Distraction = Callable[[Tensor, Tensor], Tensor]


class Reranked(NamedTuple):
    """Scores of both directions after re-ranking: one matrix no longer serves both.

    Args:
        image_to_text: Images are the queries, ``[num_images, num_texts]``.
        text_to_image: Texts are the queries, ``[num_images, num_texts]``.
    """

    image_to_text: Tensor
    text_to_image: Tensor


def rerank(scores: Tensor, distraction: Distraction, k: int = 10, gamma: float = 4e-3) -> Tensor:
    r"""Re-ranks the first :obj:`k` references of every query

    .. math:: S_f = S_m + \gamma S_d

    The others keep their scores, less what keeps them behind the first :obj:`k`, which matters
    only for a negative :obj:`gamma`.

    Args:
        scores (Tensor): :math:`S_m`, a first ranking by any model.
        distraction (callable): :math:`S_d` of pairs: maps the query and the reference of each
            ``[num_pairs]`` to ``[num_pairs]``.
        k (int): References of a query that are re-ranked. (default: :obj:`10`)
        gamma (float): :math:`\gamma`. (default: :obj:`4e-3`)

    Shapes:
        - **input:** scores :math:`(Q, R)`
        - **output:** :math:`(Q, R)`

    Raises:
        ValueError: If ``k`` is less than 1 or a score is NaN.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[0.9, 0.8, 0.1]])
        >>> rerank(scores, lambda query, reference: reference.float(), k=2, gamma=0.5)
        tensor([[0.9000, 1.3000, 0.1000]])
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if scores.isnan().any():
        raise ValueError("a score is NaN")
    if scores.numel() == 0:
        return scores
    first, reference = scores.topk(min(k, scores.size(1)), dim=1)  # [num_queries, k]
    fused = first + gamma * _of_references(distraction, reference).to(first)
    overtaken = (first[:, -1:] - fused.amin(dim=1, keepdim=True)).clamp(min=0)
    return (scores - overtaken).scatter(1, reference, fused)


def rerank_by_distraction(
    scores: Tensor, image: Packed, text: Packed, k: int = 10, gamma: float = 4e-3
) -> Reranked:
    """Re-ranks both directions by the attention between the nodes of images and texts; the nodes
    of the query vote for those of the reference.

    Args:
        scores (Tensor): A first ranking by any model.
        image (Packed): Nodes of the images.
        text (Packed): Nodes of the texts, in the same space.
        k (int): See :func:`rerank`. (default: :obj:`10`)
        gamma (float): See :func:`rerank`. (default: :obj:`4e-3`)

    Shapes:
        - **input:** scores :math:`(|\\mathcal{G}_{image}|, |\\mathcal{G}_{text}|)`
        - **output:** two such matrices

    Raises:
        ValueError: If the scores do not fit the graphs, or as :func:`rerank`.

    Example:
        >>> import torch
        >>> images = Packed(torch.eye(2), torch.tensor([0, 1, 2]))
        >>> texts = Packed(torch.ones(1, 2), torch.tensor([0, 1]))
        >>> rerank_by_distraction(torch.tensor([[0.3], [0.2]]), images, texts).text_to_image
        tensor([[0.3000],
                [0.2000]])
    """
    if scores.shape != (len(image), len(text)):
        raise ValueError(
            f"scores of shape {tuple(scores.shape)} for {len(image)} images and {len(text)} texts"
        )

    of_texts, of_images = _both_ways(image, text)
    return Reranked(rerank(scores, of_texts, k, gamma), rerank(scores.t(), of_images, k, gamma).t())


def attention_nodes(encoding: Encoding) -> Packed:
    """The nodes of an encoding whose cosines are its attention.

    Raises:
        ValueError: If the model has one vector a graph and no nodes.
    """
    for name in ("nodes", "objects"):
        nodes = getattr(encoding, name, None)
        if isinstance(nodes, Packed):
            return nodes
    raise ValueError(f"{type(encoding).__name__}: no nodes to attend with, so no distraction")


def evaluate_reranked(
    model: Matcher, graphs: PairedGraphs, k: int = 10, gamma: float = 4e-3
) -> tuple[RetrievalMetrics, RetrievalMetrics]:
    """Recalls of a model in both directions, before and after :func:`rerank_by_distraction`.

    Args:
        model (Matcher): Any matcher whose encodings have nodes.
        graphs (PairedGraphs): Images and texts; every image has a text.
        k (int): See :func:`rerank`. (default: :obj:`10`)
        gamma (float): See :func:`rerank`. (default: :obj:`4e-3`)

    Raises:
        ValueError: As :func:`~pyg_sgm.evaluation.evaluate` and :func:`rerank`, or if the encodings
            have no nodes.
    """
    image, text = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
    nodes = attention_nodes(image), attention_nodes(text)
    ranking = rank(model, image, text, graphs.image_of_text, k)
    image_of_text = graphs.image_of_text.to(ranking.text_ranks.device)
    after = reranked_metrics(ranking, top_distractions(ranking, *nodes), image_of_text, gamma)
    return metrics_of_ranks(ranking.image_ranks, ranking.text_ranks), after


def top_distractions(ranking: Ranking, image: Packed, text: Packed) -> tuple[Tensor, Tensor]:
    """Distraction scores of the first of every query; the nodes of the query vote.

    Args:
        ranking (Ranking): The first ranking.
        image (Packed): Nodes of the images.
        text (Packed): Nodes of the texts, in the same space.

    Returns:
        Those of ``ranking.top_texts``, ``[num_images, k]``, and of ``ranking.top_images``,
        ``[num_texts, k]``.
    """
    of_texts, of_images = _both_ways(image, text)
    return (
        _of_references(of_texts, ranking.top_texts),
        _of_references(of_images, ranking.top_images),
    )


def reranked_metrics(
    ranking: Ranking, distractions: tuple[Tensor, Tensor], image_of_text: Tensor, gamma: float
) -> RetrievalMetrics:
    """Recalls of both directions after the first of every query are put in the order of
    :math:`S_m + \\gamma S_d`; a ground truth that is not among them keeps its rank.

    Args:
        ranking (Ranking): The first ranking, and :math:`S_m`.
        distractions (tuple): :math:`S_d`, of :func:`top_distractions`.
        image_of_text (LongTensor): Image of every text, ``[num_texts]``.
        gamma (float): :math:`\\gamma`.
    """
    of_texts, of_images = distractions
    images = torch.arange(len(ranking.image_ranks), device=image_of_text.device)
    right_texts = image_of_text[ranking.top_texts] == images[:, None]
    right_images = ranking.top_images == image_of_text[:, None]
    return metrics_of_ranks(
        _new_ranks(ranking.image_ranks, ranking.top_text_scores + gamma * of_texts, right_texts),
        _new_ranks(ranking.text_ranks, ranking.top_image_scores + gamma * of_images, right_images),
    )


def _new_ranks(old: Tensor, scores: Tensor, right: Tensor) -> Tensor:
    """Rank of the best-scored right reference among the first of every query, the worst among its
    equals; the old rank where none is right."""
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)  # [num_queries, 1]
    return torch.where(right.any(1), 1 + (~right & (scores >= best)).sum(1), old)


def _both_ways(image: Packed, text: Packed) -> tuple[Distraction, Distraction]:
    """Distraction of texts that images ask for, and of images that texts ask for."""
    return (
        lambda query, reference: distraction_pairs(image, text, query, reference),
        lambda query, reference: distraction_pairs(text, image, query, reference),
    )


def _of_references(distraction: Distraction, reference: Tensor) -> Tensor:
    """Distraction scores of every query with its references, ``[num_queries, k]``."""
    query = torch.arange(len(reference), device=reference.device)[:, None].expand_as(reference)
    parts = zip(
        query.flatten().split(PAIRS_PER_BLOCK),
        reference.flatten().split(PAIRS_PER_BLOCK),
        strict=True,
    )
    return torch.cat([distraction(q, r) for q, r in parts]).view(reference.shape)
