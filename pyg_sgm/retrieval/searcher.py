"""A scorer that finds the best images and texts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch_geometric.data import HeteroData

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.data import GraphCollection, TextRecord
from pyg_sgm.retrieval.encoded import EncodedImages, EncodedTexts, one_query
from pyg_sgm.retrieval.encoded_query import EncodedQuery, encode_query, score_query
from pyg_sgm.retrieval.hub import HubScorer
from pyg_sgm.retrieval.inputs import ImageInput, Images, TextInput, Texts
from pyg_sgm.retrieval.query import Query, QueryPart
from pyg_sgm.retrieval.reranking import prior_part
from pyg_sgm.retrieval.search import Candidate, best_of


class Searcher(HubScorer):
    """What :class:`~pyg_sgm.retrieval.SceneGraphMatcher` searches by."""

    @renamed_arguments(text="query")
    def search_images(
        self,
        query: QueryPart | Sequence[QueryPart] | EncodedQuery | TextInput | EncodedTexts,
        images: Images,
        k: int = 10,
    ) -> list[Candidate]:
        """The best images for one query, best first; equal scores keep their order. Images that
        cannot be read are never among them.

        Args:
            query (Query): A caption (a string is one), a record, a graph, or anything that
                :meth:`Query.of` takes. What a caption denies must not be there.
            images (Images): See :meth:`encode_images`.
            k (int, optional): Number of images. (default: :obj:`10`)

        Raises:
            ValueError: If the query is none, ``k`` is less than 1, or a score is NaN.
        """
        found = self.encode_images(images)
        return best_of(score_query(self, found, encode_query(self, query)), found.ids, k)

    def search_texts(
        self, image: ImageInput | EncodedImages, texts: Texts, k: int = 10
    ) -> list[Candidate]:
        """The best texts for one image, best first; equal scores keep their order.

        Args:
            image (ImageInput or EncodedImages): A file (a string is its path), pixels, a record, or
                a graph.
            texts (Texts): See :meth:`encode_texts`.
            k (int, optional): Number of texts. (default: :obj:`10`)

        Raises:
            ValueError: If there is not one image or it cannot be read, ``k`` is less than 1, or a
                score is NaN.
        """
        query = one_query(self.encode_images(image), "image")
        found = self.encode_texts(texts)
        return best_of(self.score(query, found)[0], found.ids, k)

    def search_similar(
        self, image: ImageInput | EncodedImages, images: Images, k: int = 10
    ) -> list[Candidate]:
        """The images that are most like one image: it takes the place of a text, since models put
        both into one space.

        Args:
            image (ImageInput or EncodedImages): See :meth:`search_texts`.
            images (Images): See :meth:`encode_images`.
            k (int, optional): Number of images. (default: :obj:`10`)

        Raises:
            ValueError: As :meth:`search_texts`.
        """
        return self.search_images(Query(images=(image,)), images, k)

    def rerank(
        self,
        query: QueryPart | Sequence[QueryPart] | EncodedQuery,
        candidates: Images,
        prior: Sequence[float] | None = None,
        weight: float | None = None,
        k: int | None = None,
    ) -> list[Candidate]:
        """Images that something else has found for a query, in the order of their scores here and
        perhaps there, see :func:`~pyg_sgm.retrieval.prior_part`; with their places before as
        ``previous_rank``.

        Args:
            query (Query): See :meth:`search_images`.
            candidates (Images): The images, see :meth:`encode_images`.
            prior (list of float, optional): The scores that they come with. (default: :obj:`None`,
                none; their order says their places before)
            weight (float, optional): Weight of these; :func:`~pyg_sgm.retrieval.fit_weight` finds
                a good one. (default: :attr:`prior_weight`)
            k (int, optional): Number of answers. (default: :obj:`None`, all)

        Raises:
            ValueError: As :meth:`search_images`, or if the scores are not one for each candidate.

        Example:
            >>> from pyg_sgm import SceneGraphMatcher
            >>> from pyg_sgm.datasets import SceneWorld
            >>> world = SceneWorld("train", num_images=8, captions_per_image=2)
            >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
            >>> matcher = matcher.fit(world, epochs=1, progress=False)
            >>> some = world.select_images([5, 1, 7])
            >>> found = matcher.rerank("a dog chasing a cat", some, prior=[0.9, 0.5, 0.1])
            >>> sorted(candidate.previous_rank for candidate in found)
            [1, 2, 3]
        """
        found = self.encode_images(candidates)
        scores = score_query(self, found, encode_query(self, query))
        places = torch.arange(1, len(scores) + 1)
        if prior is not None:
            before = torch.tensor(list(prior), dtype=torch.float64)
            own = self.prior_weight if weight is None else weight
            scores = scores + prior_part(scores, before, own)
            places = before.argsort(descending=True, stable=True).argsort() + 1
        return best_of(scores, found.ids, len(found) if k is None else k, previous=places)

    def rank(self, query: Any, candidates: Any, k: int = 10) -> list[Candidate]:
        """Deprecated: :meth:`search_images` and :meth:`search_texts`.

        Args:
            query (any): One text, then candidates are images; or one image, then candidates are
                texts. A string is a caption.
            candidates (any): See :meth:`encode_images` and :meth:`encode_texts`.
            k (int, optional): Number of candidates. (default: :obj:`10`)
        """
        warnings.warn(
            "SceneGraphMatcher.rank is now search_images(text, images) and "
            "search_texts(image, texts)",
            DeprecationWarning,
            stacklevel=2,
        )
        if _is_text(query):
            return self.search_images(query, candidates, k)
        return self.search_texts(query, candidates, k)


def _is_text(query: object) -> bool:
    """Whether a query is a text, for :meth:`SceneGraphMatcher.rank`: a string is one."""
    if isinstance(query, (list, tuple)) and query:
        query = query[0]
    if isinstance(query, HeteroData):
        return "word" in query.node_types
    if isinstance(query, GraphCollection):
        return query.is_text
    return isinstance(query, (str, EncodedTexts, TextRecord))
