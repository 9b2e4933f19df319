r"""Re-ranking by distraction (HOAD, section 3.7)

.. math:: S_f = S_m + \gamma S_d
"""

from __future__ import annotations

import torch
from torch import Tensor

from pyg_sgm.data import PairedGraphs
from pyg_sgm.evaluation._evaluate import rank
from pyg_sgm.evaluation.encode import encode_images, encode_texts
from pyg_sgm.metrics.retrieval import RetrievalMetrics, metrics_of_ranks
from pyg_sgm.models import Matcher
from pyg_sgm.ops import Packed, Ranking, distraction_pairs, lowest_tie

PAIRS_PER_BLOCK = 512


def rerank_by_distraction(
    ranking: Ranking, image: Packed, text: Packed, image_of_text: Tensor, gamma: float = 4e-3
) -> Ranking:
    r"""Puts the first references of every query, in both directions, in the order of
    :math:`S_m + \gamma S_d`. The nodes of the query vote for those of the reference.

    A ground truth that is not among them keeps its rank.

    Args:
        ranking (Ranking): The first ranking, by any model, with its scores :math:`S_m`.
        image (Packed): Nodes of the images.
        text (Packed): Nodes of the texts, in the same space.
        image_of_text (LongTensor): Image of every text, ``[num_texts]``.
        gamma (float, optional): :math:`\gamma`. (default: :obj:`4e-3`)

    Example:
        >>> import torch
        >>> from pyg_sgm.ops import stream_ranks
        >>> images = Packed(torch.eye(2)[[0, 0, 1]], torch.tensor([0, 1, 3]))
        >>> texts = Packed(torch.tensor([[1.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1, 2]))
        >>> scores, truth = torch.tensor([[0.5, 0.3], [0.4, 0.1]]), torch.tensor([0, 1])
        >>> ranking = stream_ranks(lambda i, t: scores[i][:, t], 2, truth)
        >>> ranking.text_ranks
        tensor([1, 2])
        >>> rerank_by_distraction(ranking, images, texts, truth, gamma=0.5).top_images
        tensor([[1, 0],
                [0, 1]])
    """
    return reranked(ranking, top_distractions(ranking, image, text), image_of_text, gamma)


def evaluate_reranked(
    model: Matcher, graphs: PairedGraphs, k: int = 10, gamma: float = 4e-3
) -> tuple[RetrievalMetrics, RetrievalMetrics]:
    r"""Recalls of a model in both directions, before and after :func:`rerank_by_distraction`.

    Args:
        model (Matcher): A matcher whose :meth:`~pyg_sgm.models.Matcher.attention_nodes` are
            defined.
        graphs (PairedGraphs): Images and texts; every image has a text.
        k (int, optional): References of a query that are re-ranked. (default: :obj:`10`)
        gamma (float, optional): :math:`\gamma`. (default: :obj:`4e-3`)

    Raises:
        ValueError: As :func:`~pyg_sgm.evaluation.evaluate`, or if ``k`` is less than 1, or the
            model has no nodes to attend with.
    """
    image, text = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
    nodes = model.attention_nodes(image), model.attention_nodes(text)
    first = rank(model, image, text, graphs.image_of_text, k)
    image_of_text = graphs.image_of_text.to(first.text_ranks.device)
    second = rerank_by_distraction(first, *nodes, image_of_text, gamma)
    before, after = (metrics_of_ranks(r.image_ranks, r.text_ranks) for r in (first, second))
    return before, after


def top_distractions(ranking: Ranking, image: Packed, text: Packed) -> tuple[Tensor, Tensor]:
    """Distraction scores :math:`S_d` of the first references of every query.

    Args:
        ranking (Ranking): The first ranking.
        image (Packed): Nodes of the images.
        text (Packed): Nodes of the texts, in the same space.

    Returns:
        Those of ``ranking.top_texts``, ``[num_images, k]``, and of ``ranking.top_images``,
        ``[num_texts, k]``.
    """
    return (
        _distractions(image, text, ranking.top_texts),
        _distractions(text, image, ranking.top_images),
    )


def reranked(
    ranking: Ranking, distractions: tuple[Tensor, Tensor], image_of_text: Tensor, gamma: float
) -> Ranking:
    r"""The ranking by :math:`S_m + \gamma S_d`; see :func:`rerank_by_distraction`.

    Args:
        ranking (Ranking): The first ranking.
        distractions (tuple): :math:`S_d`, of :func:`top_distractions`.
        image_of_text (LongTensor): Image of every text, ``[num_texts]``.
        gamma (float): :math:`\gamma`.

    Raises:
        ValueError: If a distraction score is NaN.
    """
    if any(scores.isnan().any() for scores in distractions):
        raise ValueError("a distraction score is NaN")
    images = torch.arange(len(ranking.image_ranks), device=image_of_text.device)
    true_texts = image_of_text[ranking.top_texts] == images[:, None]
    true_images = ranking.top_images == image_of_text[:, None]
    text_scores = ranking.top_text_scores + gamma * distractions[0]
    image_scores = ranking.top_image_scores + gamma * distractions[1]
    return Ranking(
        _new_ranks(ranking.image_ranks, text_scores, true_texts),
        _new_ranks(ranking.text_ranks, image_scores, true_images),
        *_in_order(ranking.top_texts, text_scores),
        *_in_order(ranking.top_images, image_scores),
    )


def _new_ranks(old: Tensor, scores: Tensor, true: Tensor) -> Tensor:
    """Rank of the best-scored true reference among the first of every query, the worst among its
    equals; the old rank where none is true."""
    best = scores.masked_fill(~true, -torch.inf).amax(1, keepdim=True)  # [num_queries, 1]
    return torch.where(true.any(1), 1 + (~true & (scores >= lowest_tie(best))).sum(1), old)


def _in_order(references: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    order = scores.argsort(dim=1, descending=True, stable=True)
    return references.gather(1, order), scores.gather(1, order)


def _distractions(query: Packed, reference: Packed, first: Tensor) -> Tensor:
    """Distraction scores of every query with its first references, ``[num_queries, k]``."""
    queries = torch.arange(len(first), device=first.device)[:, None].expand_as(first)
    parts = zip(
        queries.flatten().split(PAIRS_PER_BLOCK),
        first.flatten().split(PAIRS_PER_BLOCK),
        strict=True,
    )
    return torch.cat([distraction_pairs(query, reference, q, r) for q, r in parts]).view_as(first)
