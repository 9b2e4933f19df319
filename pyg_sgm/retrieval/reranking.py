"""Candidates that something else has found, put in order by a matcher."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyg_sgm.io import read_json, write_json

FORMAT = "pyg_sgm rerank 1"

#: Weights of a prior that :func:`fit_weight` tries.
WEIGHTS = (0.0, *(2 ** (step / 2) for step in range(-8, 9)))


@dataclass(frozen=True)
class PriorWeight:
    """A weight of :func:`prior_part` that :func:`fit_weight` found for a matcher.

    Args:
        fingerprint (str): That of the matcher.
        weight (float): The weight.
    """

    fingerprint: str
    weight: float

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a JSON file.

        Args:
            path (str or PathLike): The file, ``rerank.json`` in a run.
        """
        write_json(path, {"format": FORMAT, "fingerprint": self.fingerprint, "weight": self.weight})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PriorWeight:
        """Reads what :meth:`save` wrote.

        Args:
            path (str or PathLike): The file.

        Raises:
            ValueError: Naming file and field, if it is no weight.
        """
        found = read_json(path, dict)
        if found.get("format") != FORMAT:
            raise ValueError(f"{path}: format: expected {FORMAT!r}")
        fingerprint, weight = found.get("fingerprint"), found.get("weight")
        if not isinstance(fingerprint, str):
            raise ValueError(f"{path}: fingerprint: expected a str, got {fingerprint!r}")
        if type(weight) not in (int, float) or not 0 <= weight < float("inf"):
            raise ValueError(f"{path}: weight: expected a number of at least 0, got {weight!r}")
        return cls(fingerprint, float(weight))


def prior_part(scores: Tensor, prior: Tensor, weight: float = 1.0) -> Tensor:
    r"""What the scores of something else add to those of the candidates of one query

    .. math:: w \, \sigma_s \, \frac{p - \mu_p}{\sigma_p}

    with means and deviations over the candidates, so that a weight means the same whatever the
    scale of the other scores: at :math:`w = 1` both say as much. Equal other scores add nothing.

    Args:
        scores (Tensor): Scores :math:`s` of the matcher, ``[num_candidates]``; what is not finite
            is left out of the means.
        prior (Tensor): The other scores :math:`p`, ``[num_candidates]``.
        weight (float, optional): :math:`w`. (default: :obj:`1.0`)

    Raises:
        ValueError: If there is not one finite other score for each candidate, or the weight is
            negative or not finite.

    Example:
        >>> prior_part(torch.tensor([0.1, 0.3]), torch.tensor([50.0, 40.0]))
        tensor([ 0.1000, -0.1000])
    """
    if prior.shape != scores.shape:
        raise ValueError(f"prior: {len(prior)} scores for {len(scores)} candidates")
    if not prior.isfinite().all():
        raise ValueError("prior: a score is not finite")
    if not 0 <= weight < float("inf"):
        raise ValueError(f"weight: must be at least 0, got {weight}")
    known = scores.isfinite()
    if not known.any():
        return torch.zeros_like(scores)
    other = prior.to(torch.float64)
    least, most = other[known].aminmax()
    if least == most:  # their deviation may be rounded to more than 0
        return torch.zeros_like(scores)
    standard = (other - other[known].mean()) / other[known].std(correction=0)
    return (weight * scores[known].double().std(correction=0) * standard).to(scores.dtype)


def fit_weight(
    scores: Sequence[Tensor], prior: Sequence[Tensor], relevant: Sequence[Tensor]
) -> float:
    """The weight of :func:`prior_part` with the best mean reciprocal rank of the first relevant
    candidate, among 0 and the powers of the square root of 2 from 1/16 to 16; the middle one of
    those that are equally good.

    Args:
        scores (list of Tensor): Scores of the matcher for the candidates of each query.
        prior (list of Tensor): The other scores.
        relevant (list of Tensor): Which candidates belong to the query, boolean. Queries without
            one do not count.

    Raises:
        ValueError: If no query has a relevant candidate.

    Example:
        >>> scores, prior = torch.tensor([0.1, 0.3, 0.2]), torch.tensor([3.0, 2.0, 1.0])
        >>> fit_weight([scores], [prior], [torch.tensor([True, False, False])]) > 1
        True
    """
    known = [i for i, each in enumerate(relevant) if each.any()]
    if not known:
        raise ValueError("no query has a relevant candidate: there is nothing to fit a weight to")
    quality = []
    for weight in WEIGHTS:
        ranks = [
            first_rank(scores[i] + prior_part(scores[i], prior[i], weight), relevant[i])
            for i in known
        ]
        quality.append(sum(1 / rank for rank in ranks) / len(ranks))
    best = [w for w, value in zip(WEIGHTS, quality, strict=True) if value >= max(quality) - 1e-9]
    return best[len(best) // 2]


def first_rank(scores: Tensor, relevant: Tensor) -> int:
    """Place of the first relevant candidate, the last among its equals.

    Args:
        scores (Tensor): Scores of the candidates of one query, ``[num_candidates]``.
        relevant (Tensor): Which belong to the query, at least one, ``[num_candidates]``.
    """
    return 1 + int((scores[~relevant] >= scores[relevant].max()).sum())
