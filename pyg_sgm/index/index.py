"""An index: rows in a store, searched with the matcher that made them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch

from pyg_sgm.data import ImageRecord, Ragged, Spans, image_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.evaluation import score
from pyg_sgm.evaluation.encode import evaluating
from pyg_sgm.index.adding import Addable, Metadata, chunks, content_hash, dataset_of, rows_of
from pyg_sgm.index.header import Header, check_same_makers, header_of
from pyg_sgm.index.hits import Added, SearchResult
from pyg_sgm.index.rows import GRAPH, check_metadata, record_of, to_text
from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.index.store import LanceStore, Store
from pyg_sgm.io import locked
from pyg_sgm.models import Encoding
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.retrieval.explain import text_in_strings
from pyg_sgm.retrieval.inputs import one_query, text_graphs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyg_sgm.models.explanation import Attention, Explanation
    from pyg_sgm.retrieval import TextInput

EXTRACTING = "extracting.sg"


class SceneGraphIndex:
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

    def __init__(self, store: Store, matcher: SceneGraphMatcher, header: Header) -> None:
        self._store = store
        self.matcher = matcher
        self._header = header
        self._seen: Snapshot | None = None

    @classmethod
    def create(
        cls,
        uri: str | os.PathLike[str],
        matcher: SceneGraphMatcher,
        *,
        run: str | os.PathLike[str] | None = None,
        dtype: str = "float16",
    ) -> Self:
        """An empty index.

        Args:
            uri (str or PathLike): A folder that is absent or empty, or what else LanceDB connects
                to, such as ``s3://bucket/photos``.
            matcher (SceneGraphMatcher): A trained matcher.
            run (str or PathLike, optional): Where it was opened from, so that :meth:`open` finds
                it. (default: :obj:`None`)
            dtype (str, optional): Type of the vectors in the rows, which scores are those of:
                ``"float16"`` or ``"float32"``. (default: :obj:`"float16"`)

        Raises:
            ValueError: If there is an index, or other files.
            ImportError: Without LanceDB.
        """
        local = Path(uri)
        if local.is_file() or (local.is_dir() and any(local.iterdir())):
            raise ValueError(f"{os.fspath(uri)}: exists already; add to it, or give another")
        header = header_of(matcher, None if run is None else _absolute(run), dtype)
        store = LanceStore(uri)
        store.write_header(header.to_text())
        return cls(store, matcher, header)

    @classmethod
    def open(cls, uri: str | os.PathLike[str], matcher: SceneGraphMatcher | None = None) -> Self:
        """An index that is there.

        Args:
            uri (str or PathLike): See :meth:`create`.
            matcher (SceneGraphMatcher, optional): The matcher that made it. (default:
                :obj:`None`, that of the run that it was made with)

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If another matcher made it, or it is of another version.
            ImportError: Without LanceDB.
        """
        where = os.fspath(uri)
        if "://" not in where and not Path(uri).is_dir():
            raise FileNotFoundError(f"{where}: there is no such index")
        store = LanceStore(uri)
        text = store.header()
        if text is None:
            raise FileNotFoundError(f"{where}: no index")
        header = Header.of_text(text, where)
        if matcher is None:
            if header.run is None:
                raise ValueError(f"{where}: does not say which run it was built with: give it")
            matcher = SceneGraphMatcher.from_pretrained(header.run)
        check_same_makers(header, matcher, where)
        return cls(store, matcher, header)

    def add(
        self,
        images: Addable,
        metadata: Metadata | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Added:
        """Adds images; those that are there and have not changed stay as they are.

        It goes on where one that was stopped was, and what it adds is seen at once when it ends.

        Args:
            images (Addable): A dataset; a folder of photos, known by their paths within it; or
                files and records.
            metadata (dict, optional): Values to filter by and to show, by name, by the id of their
                image. (default: :obj:`None`)
            progress (callable, optional): Called with the number of images done and that of all.
                (default: :obj:`None`)

        Raises:
            ValueError: If an image does not fit the model, or a value its column, or another
                process is writing.
            OSError: If the disk is full.
        """
        dataset = dataset_of(images)
        metadata = metadata or {}
        check_metadata(metadata)
        with self._writing() as table:
            version = table.version()
            known: dict[str, str] = {}
            first = 0
            if version:
                rows = table.at(version).read(["id", "hash", "position"])
                known = dict(zip(*(rows[n].to_pylist() for n in ("id", "hash")), strict=True))
                first = max(rows["position"].to_pylist(), default=-1) + 1
            hashes = [content_hash(dataset, i) for i in range(len(dataset))]
            names = [to_text(id) for id in dataset.image_ids]
            new = [i for i, name in enumerate(names) if known.get(name) != hashes[i]]
            skipped: dict[str, str] = {}
            done = len(dataset) - len(new)
            folder = self._folder() / EXTRACTING
            for part, places in chunks(dataset, new, self.matcher, folder):
                unread = [i for i in part.images if not i.has_graph]
                skipped |= dict.fromkeys([i.id for i in unread], "cannot be read")
                written, fields = rows_of(
                    part,
                    self.matcher,
                    [hashes[i] or "" for i in places],
                    {image.id: metadata.get(image.id, {}) for image in part.images},
                    first,
                    self._header.dtype,
                    self._header.fields,
                )
                if not self._header.fields:
                    self._header = replace(self._header, fields=tuple(fields))
                    self._store.write_header(self._header.to_text())
                table.upsert(written)
                first += len(written)
                done += len(places)
                if progress is not None:
                    progress(done, len(dataset))
        replaced = sum(names[i] in known for i in new)
        return Added(len(new) - replaced - len(skipped), replaced, len(dataset) - len(new), skipped)

    def remove(self, ids: Collection[str]) -> int:
        """Removes images; gives how many there were.

        Args:
            ids (list of str): Their names; those that are not there are passed over.
        """
        with self._writing() as table:
            there = self._newest().place
            gone = [id for id in dict.fromkeys(ids) if id in there]
            if gone:
                table.delete([to_text(id) for id in gone])
        return len(gone)

    def search(
        self,
        query: TextInput,
        k: int = 10,
        *,
        where: str | None = None,
        threshold: float | None = None,
    ) -> SearchResult:
        """The best images for a query.

        Args:
            query (TextInput): A sentence, a record or a graph.
            k (int, optional): Number of images. (default: :obj:`10`)
            where (str, optional): Condition on the metadata in SQL, such as ``"year > 2020"``.
                (default: :obj:`None`)
            threshold (float, optional): Least score. (default: :obj:`None`)

        Raises:
            ValueError: If the query or the condition is none, ``k`` is less than 1, or a score is
                NaN.
        """
        (result,) = self.search_many([query], k, where=where, threshold=threshold)
        return result

    def search_many(
        self,
        queries: Sequence[TextInput],
        k: int = 10,
        *,
        where: str | None = None,
        threshold: float | None = None,
    ) -> list[SearchResult]:
        """The best images for each of some queries, which share the work.

        Args:
            queries (list of TextInput): See :meth:`search`.
            k (int, optional): Number of images for each. (default: :obj:`10`)
            where (str, optional): See :meth:`search`. (default: :obj:`None`)
            threshold (float, optional): Least score. (default: :obj:`None`)

        Raises:
            ValueError: See :meth:`search`.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        seen = self._newest()
        places = seen.matching(where)
        text = self.matcher.encode_texts(queries).encoding
        if not len(places):
            return [SearchResult([], True, 0, 0) for _ in queries]
        model = self.matcher.saved.model
        image = seen.encoding(places, self._kind)
        found = []
        for number, column in enumerate(score(model, image, text).unbind(1)):
            order = column.argsort(descending=True, stable=True)[:k]
            if threshold is not None:
                order = order[column[order] >= threshold]
            levels = self._levels(image.select(order), text.select(torch.tensor([number])))
            hits = seen.hits(places[order], column[order], levels)
            found.append(SearchResult(hits, True, len(places), len(places)))
        return found

    def explain(self, query: TextInput, id: str) -> Explanation | Attention:
        """What the model tells of the score of an image; see
        :meth:`~pyg_sgm.retrieval.SceneGraphMatcher.explain`.

        Args:
            query (TextInput): A sentence, a record or a graph.
            id (str): Name of the image.

        Raises:
            ValueError: If it is not there.
        """
        matcher = self.matcher
        saved = matcher.saved
        told = text_graphs(query, saved.vocabularies, matcher._word_features())
        text = one_query(matcher.encode_texts(told.graphs), "text")
        seen = self._newest()
        image = seen.encoding(torch.tensor([self._place(id)]), self._kind)
        with evaluating(saved.model) as model:
            return model.explain(
                image,
                text.encoding,
                self.record(id),
                text_in_strings(told, saved.vocabularies),
            )

    def record(self, id: str) -> ImageRecord:
        """The graph of an image.

        Args:
            id (str): Name of the image.

        Raises:
            ValueError: If it is not there.
        """
        seen = self._newest()
        assert seen.rows is not None
        row = seen.rows.take([seen.keys[self._place(id)]], ["id", "path", *GRAPH])
        return record_of(row.to_pylist()[0])

    def path(self, id: str) -> Path | None:
        """File of the pixels of an image, where it is known.

        Args:
            id (str): Name of the image.

        Raises:
            ValueError: If it is not there.
        """
        return self.record(id).file

    def info(self) -> dict[str, Any]:
        """What the index holds and what made it: ``num_images``, ``model``, ``fields`` (types of
        the metadata by their names), and numbers about its files."""
        seen = self._newest()
        header = self._header
        return {
            "uri": self.uri,
            "num_images": len(seen.ids),
            "model": header.model,
            "fingerprint": header.fingerprint,
            "run": header.run,
            "extractor": header.extractor,
            "dtype": header.dtype,
            "fields": seen.metadata,
            **self._store.table(header.table).info(),
        }

    @property
    def uri(self) -> str:
        """Where it is."""
        return self._store.uri

    @property
    def ids(self) -> list[str]:
        """Names of the images in the order in which they were added."""
        return list(self._newest().ids)

    def __len__(self) -> int:
        return len(self._newest().ids)

    def __contains__(self, id: object) -> bool:
        return id in self._newest().place

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r}, {len(self)} images, {self._header.model})"

    def _newest(self) -> Snapshot:
        table = self._store.table(self._header.table)
        version = table.version()
        if self._seen is None or self._seen.version != version:
            self._seen = Snapshot.read(table, self._header)
        return self._seen

    @cached_property
    def _kind(self) -> type[Encoding]:
        """Class of what the model makes of images: it is asked to encode one."""
        width = self.matcher.saved.model.sizes.features
        one = image_record(["?"], [[0.0, 0.0, 1.0, 1.0]])
        features = {
            node: Ragged(torch.zeros(count, width), Spans.packed(torch.tensor([count])))
            for node, count in (("object", 1), ("relation", 0))
        }
        dataset = SceneGraphDataset([one], [], [], features=features if width else {})
        return type(self.matcher.encode_images(dataset).encoding)

    def _levels(self, image: Encoding, text: Encoding) -> list[dict[str, float]]:
        """Contributions to the scores of some images with one text."""
        if not len(image):
            return []
        with evaluating(self.matcher.saved.model) as model:
            levels = model.levels(image, text)
        rows = zip(*(value[:, 0].tolist() for value in levels.values()), strict=True)
        return [dict(zip(levels, row, strict=True)) for row in rows]

    def _place(self, id: str) -> int:
        place = self._newest().place.get(id)
        if place is None:
            raise ValueError(f"there is no image {id!r} in the index")
        return place

    def _folder(self) -> Path:
        folder = self._store.folder
        if folder is None:
            raise ValueError(f"{self.uri}: photos are made graphs on this disk: give a dataset")
        return folder

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        folder = self._store.folder
        if folder is None:
            yield self._store.table(self._header.table)
            return
        with locked(folder):
            yield self._store.table(self._header.table)


def _absolute(run: str | os.PathLike[str]) -> str:
    """A folder by a name that holds anywhere; that of a repository stays."""
    return str(Path(run).absolute()) if Path(run).exists() else os.fspath(run)
