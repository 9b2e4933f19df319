"""Several trained matchers as one: the sum of their scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.metrics.retrieval import RetrievalMetrics, fold_metrics
from pyg_sgm.retrieval.scoring import Scorer
from pyg_sgm.vision.fingerprint import migrated


def evaluate_sum(
    matchers: Sequence[Scorer], dataset: SceneGraphDataset, folds: int = 1
) -> RetrievalMetrics:
    """Recalls and median ranks of the sum of the scores of several matchers, as the field reports
    its ensembles. Images that cannot be read are left out with their texts.

    Args:
        matchers (list of Scorer): Trained matchers, whose graphs are made by the same extractor, if
            they are made from pixels.
        dataset (SceneGraphDataset): Images with captions.
        folds (int, optional): See :meth:`~pyg_sgm.retrieval.SceneGraphMatcher.evaluate`. (default:
            :obj:`1`)

    Raises:
        ValueError: If there is no matcher, or the graphs of two are made by different extractors.

    Example:
        >>> from pyg_sgm import SceneGraphMatcher
        >>> from pyg_sgm.datasets import SceneWorld
        >>> world = SceneWorld("train", num_images=8, captions_per_image=2)
        >>> runs = [SceneGraphMatcher("vse", dim=8, embed=8) for _ in range(2)]
        >>> runs = [r.fit(world, epochs=1, seed=s, progress=False) for s, r in enumerate(runs)]
        >>> sorted(evaluate_sum(runs, world))
        ['i2t', 'rsum', 't2i']
    """
    if not matchers:
        raise ValueError("evaluate_sum: there is no matcher")
    made_by = [None if m.made_by is None else migrated(m.made_by)["fingerprint"] for m in matchers]
    if any(one != made_by[0] for one in made_by):
        raise ValueError("the graphs of these matchers are made by different extractors")
    scores = torch.zeros(())
    for matcher in matchers:
        scores = scores + matcher.score(dataset, dataset)
    return fold_metrics(*_known(scores, dataset.image_of_text), folds)


def _known(scores: Tensor, image_of_text: Tensor) -> tuple[Tensor, Tensor]:
    """The scores without images that cannot be read, and without their texts."""
    known = (scores > -torch.inf).all(dim=1)
    kept = known[image_of_text]
    row = known.cumsum(0) - 1
    return scores[known][:, kept], row[image_of_text[kept]]
