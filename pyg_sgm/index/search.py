"""The best images by the whole score, proved by bounds of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.models import Encoding, Matcher
from pyg_sgm.retrieval import EncodedQuery
from pyg_sgm.retrieval.encoded_query import part_scores

AT_ONCE = 256  # images whose whole scores are computed between two looks at the bounds
ROUNDING = 1e-5  # of a score of about one that is computed together with others


@dataclass(frozen=True)
class Found:
    """The best images for one query.

    Args:
        places (Tensor): Their places, best first, ``[num_found]``.
        scores (Tensor): Their scores, ``[num_found]``.
        num_scored (int): Images whose whole score was computed.
    """

    places: Tensor
    scores: Tensor
    num_scored: int


def upper_bounds(seen: Snapshot, model: Matcher, queries: Sequence[EncodedQuery]) -> Tensor | None:
    """What the scores of all images can be at most, ``[num_queries, num_images]``; :obj:`None` of
    a model without bounds.

    Excluded parts take from a score and never add to it, so they are left out.

    Args:
        seen (Snapshot): The images.
        model (Matcher): What scores them, in evaluation mode.
        queries (list of EncodedQuery): The queries.
    """
    levels = model.bound_levels()
    if not levels:
        return None
    wanted = [[(w, part) for w, part in query.parts if w > 0] for query in queries]
    # The scan is memory-mapped int8 on the CPU, wherever the model is.
    texts = [part.encoding.to("cpu") for parts in wanted for _, part in parts]
    share = torch.block_diag(*(torch.tensor([[w for w, _ in parts]]) for parts in wanted))
    bounds = torch.zeros(len(queries), len(seen))
    for segment, places in seen.segments:
        alive = places >= 0
        with torch.no_grad():
            part = share @ segment.bounds(levels, texts) if texts else torch.zeros(len(queries), 0)
        if texts:
            bounds[:, places[alive]] = part[:, alive]
    return bounds


def best_images(
    seen: Snapshot,
    model: Matcher,
    query: EncodedQuery,
    k: int,
    bounds: Tensor | None = None,
    places: Tensor | None = None,
    threshold: float | None = None,
) -> Found:
    """The best images for a query; equal scores in the order of adding.

    Images are scored in the order of their bounds, until no bound that is left reaches the score of
    the ``k``-th best. The last bits of a score depend on what it is computed with, so those that
    can be among the best are scored once more, each alone.

    Args:
        seen (Snapshot): The images.
        model (Matcher): What scores them, in evaluation mode.
        query (EncodedQuery): The query.
        k (int): Number of images.
        bounds (Tensor, optional): Their :func:`upper_bounds` for the query, ``[num_images]``.
            (default: :obj:`None`, all are scored)
        places (Tensor, optional): Those that are searched, ascending. (default: :obj:`None`, all)
        threshold (float, optional): Least score. (default: :obj:`None`)
    """
    places = torch.arange(len(seen)) if places is None else places
    limit = -torch.inf if threshold is None else threshold
    if bounds is None:
        scores = query_scores(seen, model, query, places)
        return _best(seen, model, query, k, limit, places, scores)
    own = bounds[places]
    order = own.argsort(descending=True, stable=True)
    # Some, to have a score to compare bounds with, of those whose bounds reach the threshold, or
    # are NaN.
    done = min(int((~(own < _nearly(limit))).sum()), max(2 * k, 32))
    scores = query_scores(seen, model, query, places[order[:done]])
    while True:
        reaching = int((own[order[done:]] >= _least(scores, k, limit)).sum())
        if not reaching:
            break
        more = order[done : done + min(reaching, AT_ONCE)]
        scores = torch.cat([scores, query_scores(seen, model, query, places[more])])
        done += len(more)
    chosen, by_place = order[:done].sort()
    return _best(seen, model, query, k, limit, places[chosen], scores[by_place])


def _best(
    seen: Snapshot,
    model: Matcher,
    query: EncodedQuery,
    k: int,
    limit: float,
    places: Tensor,
    scores: Tensor,
) -> Found:
    near = places[scores >= _least(scores, k, limit)]
    exact = scores_alone(seen, model, query, near)
    order = exact.argsort(descending=True, stable=True)[:k]
    order = order[exact[order] >= limit]
    return Found(near[order], exact[order], len(scores))


def _least(scores: Tensor, k: int, limit: float) -> float:
    """What an image must reach to be, perhaps, among the best."""
    best = scores.topk(min(k, len(scores))).values
    return _nearly(max(limit, float(best[-1]) if len(best) == k else -torch.inf))


def _nearly(score: float) -> float:
    return score - ROUNDING * max(1.0, abs(score))


def scores_alone(seen: Snapshot, model: Matcher, query: EncodedQuery, places: Tensor) -> Tensor:
    """Whole scores of some images, ``[num_images]``, which depend on nothing but image and query.

    Args:
        seen (Snapshot): The images.
        model (Matcher): What scores them.
        query (EncodedQuery): The query.
        places (Tensor): Places of the images.

    Raises:
        ValueError: If a score is NaN.
    """
    return _scores(_one_by_one(seen, model, places), model, query, len(places))


def query_scores(seen: Snapshot, model: Matcher, query: EncodedQuery, places: Tensor) -> Tensor:
    """Whole scores of some images, ``[num_images]``.

    Args:
        seen (Snapshot): The images.
        model (Matcher): What scores them.
        query (EncodedQuery): The query.
        places (Tensor): Places of the images.

    Raises:
        ValueError: If a score is NaN.
    """
    parts = seen.parts(places, next(model.parameters()).device)
    return _scores(parts, model, query, len(places))


def _scores(
    parts: Iterable[tuple[Tensor, Encoding]], model: Matcher, query: EncodedQuery, count: int
) -> Tensor:
    scores = torch.empty(count)
    for own, images in parts:
        scores[own] = query.contributions(part_scores(model, images, query)).sum(1)
    return scores


def contributions(
    seen: Snapshot, model: Matcher, query: EncodedQuery, places: Tensor
) -> list[dict[str, float]]:
    """What the levels add to the score of each of some images; what is taken for excluded parts is
    ``"excluded"``.

    Args:
        seen (Snapshot): The images.
        model (Matcher): What scores them, in evaluation mode.
        query (EncodedQuery): The query.
        places (Tensor): Places of the images.
    """
    found: list[dict[str, float]] = [{} for _ in places]
    for number, image in _one_by_one(seen, model, places):
        _add_levels(found[int(number)], model, query, image)
    return found


def _one_by_one(
    seen: Snapshot, model: Matcher, places: Tensor
) -> Iterator[tuple[Tensor, Encoding]]:
    """Each of some images alone, with its number among them, ``[1]``."""
    device = next(model.parameters()).device
    for own, images in seen.parts(places, device):
        rows = torch.arange(len(own), device=device)
        for number, row in zip(own.split(1), rows.split(1), strict=True):
            yield number, images.select(row)


def _add_levels(
    found: dict[str, float], model: Matcher, query: EncodedQuery, image: Encoding
) -> None:
    for weight, part in query.parts:
        with torch.no_grad():
            levels = model.levels(image, part.encoding)
        if weight < 0:
            matches = [value for name, value in levels.items() if name != "hubness"]
            levels = {"excluded": torch.stack(matches).sum(0).clamp(min=0)}
        for name, value in levels.items():
            found[name] = found.get(name, 0.0) + weight * float(value)
