"""What an index is at one moment: what searches and answers are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.index.hits import Hit, SearchResult
from pyg_sgm.index.search import best_images, contributions, scores_alone, upper_bounds
from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.models import Encoding, Matcher
from pyg_sgm.retrieval import Calibration, EncodedQuery

FEW = 512  # images that a condition leaves, which are scored without bounds


@dataclass(frozen=True)
class Asked:
    """A query that is searched for.

    Args:
        encoded (EncodedQuery): What is scored.
        texts (list of TextRecord): Its texts with their graphs, whose phrases may be missing in an
            image; none, if nothing is to be said of that.
        pictured (bool): Whether it has images, so that its scores are no chances.
        without (list of str): Images of the index that it asks for, which are no answers.
    """

    encoded: EncodedQuery
    texts: Sequence[TextRecord] = ()
    pictured: bool = False
    without: Sequence[str] = ()


@dataclass(frozen=True)
class Best:
    """The best images for one query, best first.

    Args:
        places (list of int): Their places.
        positions (list of int): When they were added.
        scores (list of float): Their scores.
        num_scored (int): Images whose whole score was computed.
        num_images (int): Images that were searched.
    """

    places: Sequence[int]
    positions: Sequence[int]
    scores: Sequence[float]
    num_scored: int
    num_images: int


#: A query, places of images, and their scores.
Request: TypeAlias = tuple[Asked, Sequence[int], Sequence[float]]


class View(Protocol):
    """The images of an index at one moment. A place names an image as long as the view is there."""

    def __len__(self) -> int: ...

    def ids(self) -> list[str]:
        """Names of all images in the order in which they were added."""

    def places(self, ids: Sequence[str]) -> list[int | None]:
        """Places of images; :obj:`None` of those that are not there."""

    def record(self, place: int) -> ImageRecord:
        """The graph of an image."""

    def encoding(self, place: int) -> Encoding:
        """What the model made of an image."""

    def search(
        self, asked: Sequence[Asked], k: int, where: str | None, threshold: float
    ) -> list[SearchResult]:
        """The best images for each query, of those that meet a condition and reach a score."""

    def scores(self, asked: Asked, places: Sequence[int]) -> list[float]:
        """Whole scores of some images."""

    def hits(self, requests: Sequence[Request]) -> list[list[Hit]]:
        """Images as answers to each query."""


class OneView:
    """The view of a snapshot.

    Args:
        seen (Snapshot): The images.
        model (Matcher): What scores them, in evaluation mode.
        calibration (Calibration, optional): What scores are worth.
    """

    def __init__(self, seen: Snapshot, model: Matcher, calibration: Calibration | None) -> None:
        self.seen, self._model, self._calibration = seen, model, calibration
        self._device = next(model.parameters()).device

    def __len__(self) -> int:
        return len(self.seen)

    def ids(self) -> list[str]:
        """See :class:`View`."""
        return list(self.seen.ids)

    def positions_and_ids(self) -> list[tuple[int, str]]:
        """When each image was added, among those of all shards, and its name."""
        return list(zip(self.seen.positions.tolist(), self.seen.ids, strict=True))

    def places(self, ids: Sequence[str]) -> list[int | None]:
        """See :class:`View`."""
        return [self.seen.place.get(id) for id in ids]

    def record(self, place: int) -> ImageRecord:
        """See :class:`View`."""
        return self.seen.records(torch.tensor([place]))[0]

    def encoding(self, place: int) -> Encoding:
        """See :class:`View`."""
        ((_, encoding),) = self.seen.parts(torch.tensor([place]), self._device)
        return encoding

    def search(
        self, asked: Sequence[Asked], k: int, where: str | None, threshold: float
    ) -> list[SearchResult]:
        """See :class:`View`."""
        proves = bool(self._model.bound_levels())
        found = self.best(asked, k, where, [threshold] * len(asked))
        hits = self.hits([(q, b.places, b.scores) for q, b in zip(asked, found, strict=True)])
        return [
            SearchResult(own, proves, best.num_scored, best.num_images)
            for own, best in zip(hits, found, strict=True)
        ]

    def best(
        self, asked: Sequence[Asked], k: int, where: str | None, thresholds: Sequence[float]
    ) -> list[Best]:
        """The best images for each query, without what is said of them.

        Args:
            asked (list of Asked): The queries.
            k (int): Number of images for each.
            where (str, optional): A condition on the metadata.
            thresholds (list of float): Least score for each query.
        """
        seen = self.seen
        places = seen.matching(where)
        count = len(seen) if places is None else len(places)
        if not count or not asked:
            return [Best([], [], [], 0, count) for _ in asked]
        bounds = None
        if count > FEW:
            bounds = upper_bounds(seen, self._model, [one.encoded for one in asked])
        results = []
        for number, (one, threshold) in enumerate(zip(asked, thresholds, strict=True)):
            chosen = places
            without = [seen.place[id] for id in one.without if id in seen.place]
            if without:
                everywhere = torch.arange(len(seen)) if places is None else places
                chosen = everywhere[~torch.isin(everywhere, torch.tensor(without))]
            bound = None if bounds is None else bounds[number]
            found = best_images(seen, self._model, one.encoded, k, bound, chosen, threshold)
            results.append(
                Best(
                    found.places.tolist(),
                    seen.positions[found.places].tolist(),
                    found.scores.tolist(),
                    found.num_scored,
                    len(seen) if chosen is None else len(chosen),
                )
            )
        return results

    def scores(self, asked: Asked, places: Sequence[int]) -> list[float]:
        """See :class:`View`."""
        wanted = torch.tensor(places, dtype=torch.long)
        found: list[float] = scores_alone(self.seen, self._model, asked.encoded, wanted).tolist()
        return found

    def hits(self, requests: Sequence[Request]) -> list[list[Hit]]:
        """See :class:`View`."""
        return [self._hits(*request) for request in requests]

    def _hits(self, asked: Asked, places: Sequence[int], scores: Sequence[float]) -> list[Hit]:
        wanted = torch.tensor(places, dtype=torch.long)
        levels = contributions(self.seen, self._model, asked.encoded, wanted)
        hits = [
            replace(hit, levels=own)
            for hit, own in zip(self.seen.hits(wanted, scores), levels, strict=True)
        ]
        calibration = self._calibration
        if calibration is None or not asked.texts:
            return hits
        missing = self._missing(asked, wanted, calibration)
        return [
            replace(
                hit,
                missing=phrases,
                probability=None if asked.pictured else calibration.probability(hit.score),
            )
            for hit, phrases in zip(hits, missing, strict=True)
        ]

    def _missing(self, asked: Asked, places: Tensor, calibration: Calibration) -> list[list[str]]:
        """Phrases of the texts of a query that nothing in some images matches."""
        found = []
        for place, image in zip(places.tolist(), self.seen.records(places), strict=True):
            encoding, phrases = self.encoding(place), list[str]()
            for text, (_, part) in zip(asked.texts, asked.encoded.parts, strict=False):
                with torch.no_grad():
                    told = self._model.explain(encoding, part.encoding, image, text)
                phrases += calibration.missing(told)
            found.append(list(dict.fromkeys(phrases)))
        return found
