"""What the service does with an index, away from HTTP: in which thread, and with what limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from pyg_sgm.data import ImageRecord
from pyg_sgm.index import SceneGraphIndex, SearchResult
from pyg_sgm.index.rows import from_text
from pyg_sgm.retrieval import EncodedQuery, Query, encode_query
from pyg_sgm.serve.batches import Batches, Busy
from pyg_sgm.serve.filters import filter_sql, kind_of
from pyg_sgm.serve.forms import Edit, Options
from pyg_sgm.serve.meters import Meters
from pyg_sgm.serve.photos import Side, photo_jpeg, sent_photo
from pyg_sgm.serve.queries import Mistake, edited, read_queries, read_query
from pyg_sgm.serve.telling import explanation_json, record_json
from pyg_sgm.vision.images import ImageError

T = TypeVar("T")
LOG = logging.getLogger(__name__)


class NotFound(LookupError):
    """No such photo in the index."""


@dataclass(frozen=True)
class _Wanted:
    k: int
    where: str | None
    threshold: float | None


class Service:
    """Searches, explains and shows the photos of one index.

    Searches and whatever else asks the model run on one thread, in batches; photos are decoded and
    encoded on two others.

    Args:
        index (SceneGraphIndex): The index.
    """

    def __init__(self, index: SceneGraphIndex) -> None:
        self.index = index
        self.batches: Batches[Any, _Wanted, tuple[Query | None, SearchResult]] = Batches(self._find)
        self.meters = Meters(lambda: len(index), lambda: self.batches.num_waiting)
        self.batches.sizes = self.meters.count_batch
        self._photos = ThreadPoolExecutor(
            2, "photos", initializer=torch.set_num_threads, initargs=(1,)
        )

    async def __aenter__(self) -> Service:
        await self.batches.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.batches.__aexit__()
        self._photos.shutdown()

    async def alive(self) -> None:
        """Returns once the thread that searches is free.

        Raises:
            Busy: If it is not within some seconds.
        """
        try:
            await asyncio.wait_for(self._on(self.batches.thread, lambda: None), 5)
        except TimeoutError:
            raise Busy("searches are not answered") from None

    async def info(self) -> dict[str, Any]:
        """Model, number of images and the kinds of the fields for filters."""

        def told() -> dict[str, Any]:
            found = self.index.info()
            fields = {name: kind_of(type) for name, type in found["fields"].items()}
            known = {name: kind for name, kind in fields.items() if kind is not None}
            return {"model": found["model"], "num_images": found["num_images"], "fields": known}

        return await self._on(self.batches.thread, told)

    async def read(self, value: str | dict[str, Any]) -> dict[str, Any]:
        """A sentence, or a query's JSON, with its graph.

        Args:
            value (str or dict): The sentence, or the JSON.

        Raises:
            Mistake: If it is none.
        """
        return await self._on(self.batches.thread, lambda: read_query(value).to_json())

    async def change(self, value: dict[str, Any], edit: Edit) -> dict[str, Any]:
        """A query's JSON after one change of its graph.

        Args:
            value (dict): The JSON.
            edit (Edit): The change.

        Raises:
            Mistake: If it is none, or the change is none of its graph.
        """
        return await self._on(
            self.batches.thread, lambda: edited(read_query(value), edit).to_json()
        )

    async def search(
        self, asked: str | dict[str, Any], options: Options
    ) -> tuple[dict[str, Any] | None, SearchResult]:
        """The best photos for a sentence or a query's JSON, and the query as it was read.

        Args:
            asked (str or dict): The sentence, or the JSON.
            options (Options): How many, and of which.

        Raises:
            Mistake: If it is none, or a filter is none of the index.
            Busy: If too many searches wait.
        """
        return await self._ask(asked, options)

    async def search_like(
        self, id: str, options: Options
    ) -> tuple[dict[str, Any] | None, SearchResult]:
        """The photos most like one of the index.

        Args:
            id (str): Its id.
            options (Options): How many, and of which.

        Raises:
            NotFound: If it is not there.
            Mistake, Busy: As :meth:`search`.
        """
        record = await self._on(self.batches.thread, lambda: self._known(id))
        return await self._ask(Query(images=(record,)), options)

    async def search_sent(
        self, content: bytes, options: Options
    ) -> tuple[dict[str, Any] | None, SearchResult]:
        """The photos most like one that was sent.

        Args:
            content (bytes): Its file.
            options (Options): How many, and of which.

        Raises:
            Mistake: If it is no photo, or the index knows none.
            Busy: As :meth:`search`.
        """
        return await self._ask(
            await self._on(self._photos, lambda: self._encoded(content)), options
        )

    async def explain(self, id: str, value: dict[str, Any]) -> dict[str, Any]:
        """Where the score of a photo comes from.

        Args:
            id (str): The photo.
            value (dict): The query's JSON.

        Raises:
            NotFound: If it is not there.
            Mistake: If the query is none, or has no text.
        """

        def explained() -> dict[str, Any]:
            record, query = self._known(id), read_query(value)
            with self._mistakes():
                explanation = self.index.explain(query, record.id)
            return explanation_json(replace(explanation, image=record))

        return await self._on(self.batches.thread, explained)

    async def record(self, id: str) -> dict[str, Any]:
        """What the graph of a photo says.

        Args:
            id (str): The photo.

        Raises:
            NotFound: If it is not there.
        """
        return await self._on(self.batches.thread, lambda: record_json(self._known(id)))

    async def photo(self, id: str, side: Side) -> bytes:
        """A photo as JPEG.

        Args:
            id (str): The photo.
            side (Side): Pixels of the longer side at most.

        Raises:
            NotFound: If it is not there, or its file is no image any more.
        """

        def encoded() -> bytes:
            file = self._known(id).file
            if file is None:
                raise NotFound("this photo has no file")
            try:
                return photo_jpeg(file, side)
            except (OSError, ValueError):
                raise NotFound("the file of this photo cannot be read") from None

        return await self._on(self._photos, encoded)

    async def _ask(
        self, asked: Any, options: Options
    ) -> tuple[dict[str, Any] | None, SearchResult]:
        fields = (await self.info())["fields"] if options.filters else {}
        try:
            where = filter_sql(options.filters, fields)
        except ValueError as error:
            raise Mistake(str(error)) from None
        wanted = _Wanted(options.k, where, options.threshold)
        query, found = await self.batches.ask(asked, wanted)
        self.meters.count_scored(found.num_scored)
        return None if query is None or query.images else query.to_json(), found

    def _find(
        self, asked: list[Any], wanted: _Wanted
    ) -> Sequence[tuple[Query | None, SearchResult]]:
        """Answers to questions that came together."""
        queries = read_queries(asked)
        with self._mistakes():
            found = self.index.search_many(
                queries, wanted.k, where=wanted.where, threshold=wanted.threshold
            )
        known = [query if isinstance(query, Query) else None for query in queries]
        return list(zip(known, found, strict=True))

    @contextmanager
    def _mistakes(self) -> Iterator[None]:
        """What the index refuses was asked in a wrong way."""
        try:
            yield
        except ValueError as error:
            if self.index.uri in str(error):  # it is about files, and nobody else's business
                raise RuntimeError("the index cannot be read") from error
            raise Mistake(str(error)) from error

    def _encoded(self, content: bytes) -> EncodedQuery:
        try:
            with sent_photo(content) as path:
                return encode_query(self.index.matcher, Query(images=(path,)))
        except ImageError:
            raise Mistake("this is no photo that can be read") from None
        except (ImportError, OSError, ValueError) as error:  # of the service's own files
            LOG.error("a photo that was sent cannot become a graph: %s", error)
            raise Mistake("this service takes no photos; its log says why") from None

    def _known(self, id: str) -> ImageRecord:
        name = from_text(id)
        if name not in self.index:
            raise NotFound("there is no such photo")
        return self.index.record(name)

    async def _on(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
