"""An index of images: added to, searched, explained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.index.hits import Hit, SearchResult
from pyg_sgm.index.search import Found, best_images, contributions, query_scores, upper_bounds
from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.index.writing import IndexWriter
from pyg_sgm.io import atomic_write
from pyg_sgm.retrieval import (
    Calibration,
    EncodedImages,
    EncodedQuery,
    Query,
    QueryPart,
    encode_queries,
    prior_part,
)
from pyg_sgm.retrieval.explain import text_in_strings
from pyg_sgm.retrieval.inputs import text_graphs
from pyg_sgm.text import parse_texts

if TYPE_CHECKING:
    from pyg_sgm.models.explanation import Attention, Explanation

#: What is searched for: a query, what :meth:`Query.of` takes, or an encoded query.
Searched: TypeAlias = "QueryPart | Sequence[QueryPart] | EncodedQuery"
FEW = 512  # images that a condition leaves, which are scored without bounds


class SceneGraphIndex(IndexWriter):
    """Images with their encodings on the disk, searched by the matcher that encoded them.

    Made by :meth:`create` and :meth:`open`. Many may read an index while one writes to it: a reader
    sees what was there before, or all that is new.

    Args:
        store (Store): The rows.
        matcher (SceneGraphMatcher): What made them.
        header (Header): What they say of it.

    Example:
        >>> from pyg_sgm import SceneGraphMatcher
        >>> from pyg_sgm.datasets import SceneWorld
        >>> world = SceneWorld("train", num_images=8, captions_per_image=2)
        >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
        >>> matcher = matcher.fit(world, epochs=1, progress=False)
        >>> index = SceneGraphIndex.create(getfixture("tmp_path") / "world.idx", matcher)
        >>> index.add(world).added, len(index)
        (8, 8)
        >>> found = index.search("a dog chasing a cat", k=3)
        >>> [hit.rank for hit in found.hits], found.certified, found.num_images
        ([1, 2, 3], True, 8)
    """

    def search(
        self,
        query: Searched,
        k: int = 10,
        *,
        where: str | None = None,
        threshold: float | None = None,
        probability: float | None = None,
    ) -> SearchResult:
        """The best images for a query.

        Args:
            query (Query): What is searched for: a sentence, a photo, a graph, or several; see
                :meth:`pyg_sgm.retrieval.Query.of`. An image record whose id is in the index takes
                the nodes that are there, and is not among the answers.
            k (int, optional): Number of images. (default: :obj:`10`)
            where (str, optional): Condition on the metadata in SQL, such as ``"year > 2020"``; also
                on ``id``, ``width``, ``height``, and the lists ``labels`` and ``relations``.
                (default: :obj:`None`)
            threshold (float, optional): Least score. (default: :obj:`None`)
            probability (float, optional): Least chance that image and query belong together, of
                a run with a calibration. (default: :obj:`None`)

        Raises:
            ValueError: If the query or the condition is none, ``k`` is less than 1, a score is
                NaN, or the run has no calibration.
        """
        return self.search_many(
            [query], k, where=where, threshold=threshold, probability=probability
        )[0]

    def search_many(
        self,
        queries: Sequence[Searched],
        k: int = 10,
        *,
        where: str | None = None,
        threshold: float | None = None,
        probability: float | None = None,
    ) -> list[SearchResult]:
        """The best images for each of some queries, which share the work.

        Args:
            queries (list of Query): See :meth:`search`.
            k (int, optional): Number of images for each. (default: :obj:`10`)
            where (str, optional): See :meth:`search`. (default: :obj:`None`)
            threshold (float, optional): See :meth:`search`. (default: :obj:`None`)
            probability (float, optional): See :meth:`search`. (default: :obj:`None`)

        Raises:
            ValueError: See :meth:`search`.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if probability is not None:
            if self.matcher.calibration is None:
                raise ValueError("probability: the run has no calibration: `pyg-sgm calibrate`")
            least = self.matcher.calibration.score_at(probability)
            threshold = least if threshold is None else max(threshold, least)
        seen = self._newest()
        places = seen.matching(where)
        asked = self._encoded(queries, seen)
        count = len(seen) if places is None else len(places)
        proves = bool(self._model.bound_levels())
        if not count or not asked:
            return [SearchResult([], proves, 0, count) for _ in asked]
        bounds = None
        if count > FEW:
            bounds = upper_bounds(seen, self._model, [one.encoded for one in asked])
        results = []
        for number, one in enumerate(asked):
            chosen = places
            if one.rows:  # rows that are asked for are not among the answers
                everywhere = torch.arange(len(seen)) if places is None else places
                chosen = everywhere[~torch.isin(everywhere, torch.tensor(one.rows))]
            bound = None if bounds is None else bounds[number]
            found = best_images(seen, self._model, one.encoded, k, bound, chosen, threshold)
            hits = self._hits(seen, one, found)
            num_images = len(seen) if chosen is None else len(chosen)
            results.append(SearchResult(hits, proves, found.num_scored, num_images))
        return results

    def rerank(
        self,
        query: Searched,
        ids: Sequence[str],
        prior: Sequence[float] | None = None,
        weight: float | None = None,
        k: int | None = None,
    ) -> SearchResult:
        """Candidates that something else has found, in the order of their scores here.

        Args:
            query (Query): See :meth:`search`.
            ids (list of str): Names of the candidates.
            prior (list of float, optional): Scores that they come with; what they add, see
                :func:`~pyg_sgm.retrieval.prior_part`, is the level ``"prior"`` of the answers.
                (default: :obj:`None`, none)
            weight (float, optional): Weight of these. (default: the ``prior_weight`` of the
                matcher)
            k (int, optional): Number of answers. (default: :obj:`None`, all candidates)

        Raises:
            ValueError: If a candidate is not in the index or named twice, or the scores are not one
                for each.
        """
        if len(set(ids)) < len(ids):
            raise ValueError("ids: a candidate is named twice")
        if prior is not None and len(prior) != len(ids):
            raise ValueError(f"prior: {len(prior)} scores for {len(ids)} candidates")
        seen = self._newest()
        places = torch.tensor([self._place(id) for id in ids], dtype=torch.long)
        (asked,) = self._encoded([query], seen)
        if not len(places):
            return SearchResult([], True, 0, 0)
        scores = query_scores(seen, self._model, asked.encoded, places)
        added = torch.zeros(len(ids))
        if prior is not None:
            own = self.matcher.prior_weight if weight is None else weight
            added = prior_part(scores, torch.tensor(list(prior), dtype=torch.float64), own)
        order = (scores + added).argsort(descending=True, stable=True)[:k]
        found = Found(places[order], (scores + added)[order], len(ids))
        hits = self._hits(seen, asked, found)
        if prior is not None:
            extra = added[order].tolist()
            hits = [
                replace(hit, levels={**hit.levels, "prior": part})
                for hit, part in zip(hits, extra, strict=True)
            ]
        return SearchResult(hits, True, len(ids), len(ids))

    def explain(self, query: Searched, id: str) -> Explanation | Attention:
        """What the model tells of the score of an image with the first text of a query; see
        :meth:`~pyg_sgm.retrieval.SceneGraphMatcher.explain`.

        Args:
            query (Query): A query with a text.
            id (str): Name of the image.

        Raises:
            ValueError: If the image is not there, or the query has no text.
        """
        asked = Query.of(query)
        if not asked.texts:
            raise ValueError("query: there is no text to explain")
        matcher = self.matcher
        saved = matcher.saved
        told = text_graphs(asked.texts[0], saved.vocabularies, matcher._word_features())
        (wanted,) = self._encoded([asked], self._newest())
        record = self.record(id)
        ((_, image),) = self._newest().parts(torch.tensor([self._place(id)]), self._device)
        text = wanted.encoded.parts[0][1]
        with torch.no_grad():
            return self._model.explain(
                image, text.encoding, record, text_in_strings(told, saved.vocabularies)
            )

    def export(self, path: str | os.PathLike[str]) -> int:
        """Writes all rows to one file, for those who bring a store of their own; gives how many.

        Args:
            path (str or PathLike): A ``.parquet`` file, whose columns are those of the rows with
                vectors as lists; or a ``.npz`` file of ``ids`` and for each field of the encoding
                its rows, and their boundaries where an image has several (``objects``,
                ``objects.ptr``).

        Raises:
            ValueError: If the name has another ending, or the index is empty.
        """
        from pyg_sgm.index.export import write_npz, write_parquet

        endings = {".parquet": write_parquet, ".npz": write_npz}
        write = endings.get(Path(path).suffix)
        if write is None:
            raise ValueError(f"{os.fspath(path)}: expected a file .parquet or .npz")
        seen = self._newest()
        if not len(seen):
            raise ValueError(f"{self.uri}: there is nothing to export")
        with atomic_write(path) as side:
            write(side, seen, self._kind)
        return len(seen)

    def _encoded(self, queries: Sequence[Searched], seen: Snapshot) -> list[Asked]:
        plain = [query if isinstance(query, EncodedQuery) else Query.of(query) for query in queries]
        rows: list[list[int]] = [[] for _ in plain]
        asked: list[EncodedQuery | Query] = []
        for query, own in zip(plain, rows, strict=True):
            if isinstance(query, Query):
                images = tuple(self._stored(image, seen, own) for image in query.images)
                query = replace(query, images=images)
            asked.append(query)
        new = iter(encode_queries(self.matcher, [q for q in asked if isinstance(q, Query)]))
        return [
            Asked(q, None, own) if isinstance(q, EncodedQuery) else Asked(next(new), q, own)
            for q, own in zip(asked, rows, strict=True)
        ]

    def _stored(self, image: Any, seen: Snapshot, rows: list[int]) -> Any:
        """An image of a query; the nodes that are there of one of the index."""
        if not isinstance(image, ImageRecord) or image.id not in seen.place:
            return image
        place = torch.tensor([seen.place[image.id]])
        ((_, encoding),) = seen.parts(place, self._device)
        rows.append(int(place))
        return EncodedImages([image.id], encoding, torch.tensor([0]), seen.header.fingerprint)

    def _hits(self, seen: Snapshot, asked: Asked, found: Found) -> list[Hit]:
        hits = seen.hits(found.places, found.scores.tolist())
        levels = contributions(seen, self._model, asked.encoded, found.places)
        hits = [replace(hit, levels=own) for hit, own in zip(hits, levels, strict=True)]
        calibration = self.matcher.calibration
        if calibration is None or asked.query is None or not asked.query.texts:
            return hits
        missing = self._missing(seen, asked, found.places, calibration)
        chances = [
            None if asked.query.images else calibration.probability(hit.score) for hit in hits
        ]
        return [
            replace(hit, missing=phrases, probability=chance)
            for hit, phrases, chance in zip(hits, missing, chances, strict=True)
        ]

    def _missing(
        self, seen: Snapshot, asked: Asked, places: Tensor, calibration: Calibration
    ) -> list[list[str]]:
        """Phrases of the texts of a query that nothing in some images matches."""
        assert asked.query is not None
        found: list[list[str]] = [[] for _ in range(len(places))]
        records = seen.records(places)
        texts = list(zip(with_graph(asked.query.texts), asked.encoded.parts, strict=False))
        for own, image in seen.parts(places, self._device):
            for number, i in enumerate(own.tolist()):
                one = image.select(torch.tensor([number]))
                for record, (_, part) in texts:
                    with torch.no_grad():
                        told = self._model.explain(one, part.encoding, records[i], record)
                    found[i] += calibration.missing(told)
        return [list(dict.fromkeys(phrases)) for phrases in found]


@dataclass(frozen=True)
class Asked:
    """A query that is searched for.

    Args:
        encoded (EncodedQuery): What is scored.
        query (Query, optional): In strings; :obj:`None` if it came encoded.
        rows (list of int): Places of the images of the index that it asks for.
    """

    encoded: EncodedQuery
    query: Query | None
    rows: list[int]


def with_graph(texts: Sequence[TextRecord]) -> list[TextRecord]:
    """Texts with their graphs, as :func:`encode_queries` parses them.

    Args:
        texts (list of TextRecord): The texts.
    """
    plain = iter(parse_texts([text for text in texts if not text.has_graph]))
    return [text if text.has_graph else next(plain) for text in texts]
