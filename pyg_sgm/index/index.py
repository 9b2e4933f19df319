"""An index of images: added to, searched, explained."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.index.adding import Addable
from pyg_sgm.index.header import Header, check_same_makers, header_of
from pyg_sgm.index.hits import SearchResult
from pyg_sgm.index.reading import absolute, open_store
from pyg_sgm.index.shards import Shards, is_sharded
from pyg_sgm.index.store import LanceStore
from pyg_sgm.index.view import Asked, View
from pyg_sgm.index.writing import IndexWriter
from pyg_sgm.io import atomic_write
from pyg_sgm.retrieval import (
    EncodedImages,
    EncodedQuery,
    Query,
    QueryPart,
    SceneGraphMatcher,
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

    @classmethod
    def create(
        cls,
        uri: str | os.PathLike[str],
        matcher: SceneGraphMatcher,
        *,
        run: str | os.PathLike[str] | None = None,
        dtype: str = "float16",
        shards: int | None = None,
        ray: str | None = None,
    ) -> SceneGraphIndex:
        """An empty index.

        Args:
            uri (str or PathLike): A folder that is absent or empty, or what else LanceDB connects
                to, such as ``s3://bucket/photos``.
            matcher (SceneGraphMatcher): A trained matcher.
            run (str or PathLike, optional): Where it was opened from, so that :meth:`open` finds
                it. (default: :obj:`None`)
            dtype (str, optional): Type of the vectors in the rows, which scores are those of:
                ``"float16"`` or ``"float32"``. (default: :obj:`"float16"`)
            shards (int, optional): Number of indices that the images are spread over, which are
                written and searched side by side and answer as one. (default: :obj:`None`, one
                index)
            ray (str, optional): See :meth:`open`. (default: :obj:`None`)

        Raises:
            ValueError: If there is an index, or other files; or shards are to be elsewhere than on
                a disk.
            ImportError: Without LanceDB.
        """
        local = Path(uri)
        if local.is_file() or (local.is_dir() and any(local.iterdir())):
            raise ValueError(f"{os.fspath(uri)}: exists already; add to it, or give another")
        header = header_of(matcher, None if run is None else absolute(run), dtype)
        if shards is not None:
            if shards < 1:
                raise ValueError(f"shards: at least 1, got {shards}")
            if "://" in os.fspath(uri):
                raise ValueError(f"{os.fspath(uri)}: shards lie in a folder of a disk")
            local.mkdir(parents=True, exist_ok=True)
            Shards((header.to_text(),) * shards).write(local)
            return cls.open(uri, matcher, ray=ray)
        check_ray(uri, ray)
        store = LanceStore(uri)
        store.write_header(header.to_text())
        return cls(store, matcher, header)

    @classmethod
    def open(
        cls,
        uri: str | os.PathLike[str],
        matcher: SceneGraphMatcher | None = None,
        *,
        ray: str | None = None,
    ) -> SceneGraphIndex:
        """An index that is there.

        Args:
            uri (str or PathLike): See :meth:`create`.
            matcher (SceneGraphMatcher, optional): The matcher that made it. (default:
                :obj:`None`, that of the run that it was made with)
            ray (str, optional): Address of a Ray cluster, see
                :class:`~pyg_sgm.distributed.RayPool`, whose workers write and search the shards of
                an index that has any; they see its folder by the same name. (default:
                :obj:`None`, this process)

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If another matcher made it, it is of another version, or a cluster is to
                search an index without shards.
            ImportError: Without LanceDB.
        """
        where = os.fspath(uri)
        if is_sharded(uri):
            from pyg_sgm.index.sharded import ShardedIndex

            header = Shards.read(Path(uri)).header(Path(uri), 0)
            matcher = _matcher(header, where) if matcher is None else matcher
            check_same_makers(header, matcher, where)
            return ShardedIndex(Path(uri), matcher, ray)
        check_ray(uri, ray)
        store, header = open_store(uri)
        matcher = _matcher(header, where) if matcher is None else matcher
        check_same_makers(header, matcher, where)
        return cls(store, matcher, header)

    @classmethod
    def rebuild(
        cls,
        uri: str | os.PathLike[str],
        matcher: SceneGraphMatcher,
        images: Addable | None = None,
        *,
        run: str | os.PathLike[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
        ray: str | None = None,
    ) -> SceneGraphIndex:
        """Makes an index fit a matcher: what another one has encoded is encoded again, and the
        files beside the rows are written anew. Readers see the old images until it is done, and it
        goes on where one that was stopped was.

        Args:
            uri (str or PathLike): Where it is.
            matcher (SceneGraphMatcher): The matcher.
            images (Addable, optional): The images, if another matcher encoded them. (default:
                :obj:`None`, the files that the index names)
            run (str or PathLike, optional): Where the matcher was opened from. (default:
                :obj:`None`)
            progress (callable, optional): See :meth:`add`. (default: :obj:`None`)
            ray (str, optional): See :meth:`open`. (default: :obj:`None`)

        Raises:
            ValueError: If files of images are not known, or no longer there, or as :meth:`add`.
        """
        if is_sharded(uri):
            from pyg_sgm.index.sharded import rebuilt

            return rebuilt(Path(uri), matcher, images, run, progress, ray)
        check_ray(uri, ray)
        return cls._rebuilt(uri, matcher, images, run, progress)

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
        view = self._view()
        asked = self._asked(queries, view)
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

    def _asked(self, queries: Sequence[Searched], view: View) -> list[Asked]:
        """Queries, encoded; images of the index that they ask for are taken from there."""
        plain = [query if isinstance(query, EncodedQuery) else Query.of(query) for query in queries]
        without: list[list[str]] = [[] for _ in plain]
        asked: list[EncodedQuery | Query] = []
        for query, own in zip(plain, without, strict=True):
            if isinstance(query, Query):
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


def check_ray(uri: str | os.PathLike[str], ray: str | None) -> None:
    """Checks that no cluster is to do the work of an index without shards.

    Args:
        uri (str or PathLike): Where it is.
        ray (str, optional): Address of the cluster.

    Raises:
        ValueError: If one is.
    """
    if ray is not None:
        raise ValueError(f"{os.fspath(uri)}: ray: only an index in shards is spread over a cluster")


def _matcher(header: Header, where: str) -> SceneGraphMatcher:
    """The matcher that made an index."""
    if header.run is None:
        raise ValueError(f"{where}: does not say which run it was built with: give it")
    return SceneGraphMatcher.from_pretrained(header.run)
