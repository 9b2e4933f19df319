"""The view of an index in shards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pyg_sgm.data import ImageRecord
from pyg_sgm.distributed import Keepers
from pyg_sgm.index.hits import Hit, SearchResult
from pyg_sgm.index.shards import Shards, shard_of
from pyg_sgm.index.view import Asked, Best, Request
from pyg_sgm.models import Encoding


class ManyViews:
    """The images of all shards; see :class:`~pyg_sgm.index.view.View`.

    Image ``i`` of shard ``s`` of ``n`` has the place ``n * i + s``.

    Args:
        shards (Shards): What of each shard is seen.
        keepers (Keepers): Who has the shards open.
        proves (bool): Whether the model tells bounds.
    """

    def __init__(self, shards: Shards, keepers: Keepers, proves: bool) -> None:
        self._shards, self._keepers, self._proves = shards, keepers, proves
        self._count = len(shards.headers)

    def __len__(self) -> int:
        return sum(number for _, number in self._all("__len__"))

    def ids(self) -> list[str]:
        """See :class:`~pyg_sgm.index.view.View`."""
        found = [one for _, part in self._all("positions_and_ids") for one in part]
        return [id for _, id in sorted(found)]

    def places(self, ids: Sequence[str]) -> list[int | None]:
        """See :class:`~pyg_sgm.index.view.View`."""
        wanted = self._split([shard_of(id, self._count) for id in ids])
        found: list[int | None] = [None] * len(ids)
        for shard, own in self._ask(wanted, "places", lambda s: ([ids[i] for i in wanted[s]],)):
            for i, place in zip(wanted[shard], own, strict=True):
                found[i] = None if place is None else self._count * place + shard
        return found

    def record(self, place: int) -> ImageRecord:
        """See :class:`~pyg_sgm.index.view.View`."""
        found: ImageRecord = self._one(place, "record")
        return found

    def encoding(self, place: int) -> Encoding:
        """See :class:`~pyg_sgm.index.view.View`."""
        found: Encoding = self._one(place, "encoding")
        return found

    def search(
        self, asked: Sequence[Asked], k: int, where: str | None, threshold: float
    ) -> list[SearchResult]:
        """See :class:`~pyg_sgm.index.view.View`.

        The score of the ``k``-th best so far is the least that counts in the shards to come, which
        so stop early.
        """
        best: list[list[tuple[float, int, int]]] = [[] for _ in asked]  # -score, position, place
        scored, images = [0] * len(asked), [0] * len(asked)

        def question(shard: int) -> tuple[Any, ...]:
            least = [-one[k - 1][0] if len(one) >= k else threshold for one in best]
            return asked, k, where, least

        for shard, found in self._ask(range(self._count), "best", question):
            for number, one in enumerate(found):
                scored[number] += one.num_scored
                images[number] += one.num_images
                best[number] = sorted(best[number] + self._ranked(shard, one))[:k]
        requests = [
            (one, [place for _, _, place in own], [-score for score, _, _ in own])
            for one, own in zip(asked, best, strict=True)
        ]
        return [
            SearchResult(hits, self._proves, *counts)
            for hits, *counts in zip(self.hits(requests), scored, images, strict=True)
        ]

    def _ranked(self, shard: int, best: Best) -> list[tuple[float, int, int]]:
        rows = zip(best.scores, best.positions, best.places, strict=True)
        return [(-score, position, self._count * i + shard) for score, position, i in rows]

    def scores(self, asked: Asked, places: Sequence[int]) -> list[float]:
        """See :class:`~pyg_sgm.index.view.View`."""
        wanted = self._split([place % self._count for place in places])
        scores = [0.0] * len(places)
        for shard, own in self._ask(
            wanted, "scores", lambda s: (asked, [places[i] // self._count for i in wanted[s]])
        ):
            for i, score in zip(wanted[shard], own, strict=True):
                scores[i] = score
        return scores

    def hits(self, requests: Sequence[Request]) -> list[list[Hit]]:
        """See :class:`~pyg_sgm.index.view.View`."""
        wanted = [self._split([p % self._count for p in places]) for _, places, _ in requests]
        shards = sorted({shard for own in wanted for shard in own})

        def question(shard: int) -> tuple[list[Request]]:
            parts: list[Request] = []
            for (asked, places, scores), own in zip(requests, wanted, strict=True):
                rows = own.get(shard, [])
                mine = [places[i] // self._count for i in rows]
                parts.append((asked, mine, [scores[i] for i in rows]))
            return (parts,)

        found: list[dict[int, Hit]] = [{} for _ in requests]
        for shard, parts in self._ask(shards, "hits", question):
            for own, rows, hits in zip(found, wanted, parts, strict=True):
                own |= zip(rows.get(shard, []), hits, strict=True)
        return [[replace(own[i], rank=i + 1) for i in range(len(own))] for own in found]

    def _one(self, place: int, method: str) -> Any:
        ((_, found),) = self._ask([place % self._count], method, lambda _: (place // self._count,))
        return found

    def _all(self, method: str) -> Iterator[tuple[int, Any]]:
        return self._ask(range(self._count), method, lambda _: ())

    def _ask(
        self, shards: Iterable[int], method: str, arguments: Callable[[int], tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        headers = self._shards.headers
        return self._keepers.ask(shards, lambda s: (headers[s], method, arguments(s)))

    @staticmethod
    def _split(shards: Sequence[int]) -> dict[int, list[int]]:
        """Rows by their shard."""
        found: dict[int, list[int]] = defaultdict(list)
        for row, shard in enumerate(shards):
            found[shard].append(row)
        return dict(found)
