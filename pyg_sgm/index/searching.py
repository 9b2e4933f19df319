"""What an index is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.index.hits import SearchResult
from pyg_sgm.index.view import Asked, View
from pyg_sgm.index.writing import IndexWriter
from pyg_sgm.retrieval import (
    EncodedImages,
    EncodedQuery,
    Query,
    QueryPart,
    encode_queries,
    prior_part,
)
from pyg_sgm.retrieval.encoded_query import check_encoded
from pyg_sgm.retrieval.explain import text_in_strings
from pyg_sgm.retrieval.inputs import text_graphs
from pyg_sgm.text import parse_texts

if TYPE_CHECKING:
    from pyg_sgm.models.explanation import Attention, Explanation

#: What is searched for: a query, what :meth:`Query.of` takes, or an encoded query.
Searched: TypeAlias = "QueryPart | Sequence[QueryPart] | EncodedQuery"


class IndexSearcher(IndexWriter):
    """An index that is searched."""

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
            queries (list of Query): See :meth:`search`; one sentence is a list of itself.
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
        view = self._view()
        asked = self._asked([queries] if isinstance(queries, str) else queries, view)
        return view.search(asked, k, where, -math.inf if threshold is None else threshold)

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
        if k is not None and k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if prior is not None and len(prior) != len(ids):
            raise ValueError(f"prior: {len(prior)} scores for {len(ids)} candidates")
        view = self._view()
        places = [self._place(id, view) for id in ids]
        (asked,) = self._asked([query], view)
        if not places:
            return SearchResult([], True, 0, 0)
        scores = torch.tensor(view.scores(asked, places))
        added = torch.zeros(len(ids))
        if prior is not None:
            own = self.matcher.prior_weight if weight is None else weight
            added = prior_part(scores, torch.tensor(list(prior), dtype=torch.float64), own)
        order = (scores + added).argsort(descending=True, stable=True)[:k]
        chosen = [places[i] for i in order.tolist()]
        (hits,) = view.hits([(asked, chosen, (scores + added)[order].tolist())])
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
        view = self._view()
        place = self._place(id, view)
        (wanted,) = self._asked([asked], view)
        text = wanted.encoded.parts[0][1]
        with torch.no_grad():
            return self._model.explain(
                view.encoding(place).to(self._device),
                text.encoding,
                view.record(place),
                text_in_strings(told, saved.vocabularies),
            )

    def _asked(self, queries: Sequence[Searched], view: View) -> list[Asked]:
        """Queries, encoded; images of the index that they ask for are taken from there."""
        plain = [query if isinstance(query, EncodedQuery) else Query.of(query) for query in queries]
        without: list[list[str]] = [[] for _ in plain]
        asked: list[EncodedQuery | Query] = []
        for query, own in zip(plain, without, strict=True):
            if isinstance(query, EncodedQuery):
                check_encoded(self.matcher, query)
            else:
                images = tuple(self._stored(image, view, own) for image in query.images)
                query = replace(query, images=images)
            asked.append(query)
        new = iter(encode_queries(self.matcher, [q for q in asked if isinstance(q, Query)]))
        return [
            Asked(q, without=own)
            if isinstance(q, EncodedQuery)
            else Asked(next(new), self._told(q), bool(q.images), own)
            for q, own in zip(asked, without, strict=True)
        ]

    def _told(self, query: Query) -> Sequence[TextRecord]:
        """Texts of which is said what of them is missing."""
        return () if self.matcher.calibration is None else with_graph(query.texts)

    def _stored(self, image: Any, view: View, without: list[str]) -> Any:
        """An image of a query; the nodes that are there of one of the index."""
        if not isinstance(image, ImageRecord):
            return image
        (place,) = view.places([image.id])
        if place is None:
            return image
        without.append(image.id)
        encoding, fingerprint = view.encoding(place).to(self._device), self._header.fingerprint
        return EncodedImages([image.id], encoding, torch.tensor([0]), fingerprint)


def with_graph(texts: Sequence[TextRecord]) -> list[TextRecord]:
    """Texts with their graphs, as :func:`encode_queries` parses them.

    Args:
        texts (list of TextRecord): The texts.
    """
    plain = iter(parse_texts([text for text in texts if not text.has_graph]))
    return [text if text.has_graph else next(plain) for text in texts]
