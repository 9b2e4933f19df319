"""Opening an index, and what it says of its images."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pyg_sgm.data import ImageRecord, Ragged, Spans, image_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.evaluation.encode import evaluating
from pyg_sgm.index.header import Header, check_same_makers
from pyg_sgm.index.publish import cover
from pyg_sgm.index.segment import damaged_files
from pyg_sgm.index.shards import is_sharded
from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.index.store import HEADER, LanceStore, Store, StoreError, Table
from pyg_sgm.index.view import OneView, View
from pyg_sgm.io import cache_folder, is_there, is_uri, to_path
from pyg_sgm.models import Encoding, Matcher
from pyg_sgm.retrieval import SceneGraphMatcher

SEGMENTS = "segments"


class IndexReader:
    """An index that is read.

    Args:
        store (Store): The rows.
        matcher (SceneGraphMatcher): What made them.
        header (Header): What they say of it.
    """

    def __init__(self, store: Store, matcher: SceneGraphMatcher, header: Header) -> None:
        self._store = store
        self.matcher = matcher
        self._header = header
        self._text = header.to_text()
        self._seen: Snapshot | None = None

    def record(self, id: str) -> ImageRecord:
        """The graph of an image.

        Args:
            id (str): Name of the image.

        Raises:
            ValueError: If it is not there.
        """
        view = self._view()
        return view.record(self._place(id, view))

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
        the metadata by their names), ``bounds`` (bytes of a coarse node by field; none of a model
        whose images are all scored), and numbers about its files."""
        seen = self._newest()
        header = seen.header
        widths = {
            name: scanned.coarse.shape[1]
            for segment, _ in seen.segments[:1]
            for name, scanned in segment.scanned.items()
        }
        files = [path for segment, _ in seen.segments for path in segment.folder.iterdir()]
        return {
            "uri": self.uri,
            "num_images": len(seen),
            "model": header.model,
            "fingerprint": header.fingerprint,
            "run": header.run,
            "extractor": header.extractor,
            "dtype": header.dtype,
            "fields": seen.metadata,
            "bounds": widths,
            "segments": len(seen.segments),
            "segment_bytes": sum(path.stat().st_size for path in files),
            **self._table().info(),
        }

    def verify(self) -> list[str]:
        """What is wrong with the files, a line each; none, if all is well. Every byte is read."""
        self._refresh()
        header = self._header
        found = [line for name in header.segments for line in damaged_files(self._folder() / name)]
        if header.version:
            try:
                rows = self._table().at(header.version)
                table = rows.read([*rows.schema().names])
                if len(table) != rows.count():
                    found.append(f"{self.uri}: {len(table)} of {rows.count()} rows can be read")
            except (ValueError, OSError) as error:
                found.append(str(error))
        return found

    @property
    def uri(self) -> str:
        """Where it is."""
        return self._store.uri

    @property
    def ids(self) -> list[str]:
        """Names of the images in the order in which they were added."""
        return self._view().ids()

    def __len__(self) -> int:
        return len(self._view())

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and self._view().places([id]) != [None]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r}, {len(self)} images, {self._header.model})"

    def _refresh(self) -> None:
        """Reads the header again, which another process may have written."""
        text = self._store.header()
        if text is not None and text != self._text:
            header = Header.of_text(text, self.uri)
            check_same_makers(header, self.matcher, self.uri)
            self._header, self._text = header, text

    def _view(self) -> View:
        """What is searched now."""
        return OneView(self._newest(), self._model, self.matcher.calibration)

    def _newest(self) -> Snapshot:
        """What is seen now."""
        self._refresh()
        if self._seen is None or self._seen.header != self._header:
            try:
                self._seen = self._read()
            except FileNotFoundError:  # what the header named is no longer there: read it again
                self._refresh()
                self._seen = self._read()
        return self._seen

    def _read(self) -> Snapshot:
        header, folder = self._header, self._folder()
        try:
            return Snapshot.read(self._table(), header, folder, self._kind)
        except StoreError:  # of rows, of which there is no other copy
            raise
        except (FileNotFoundError, ValueError) as error:
            if self._store.folder is not None:
                raise type(error)(f"{error}; `pyg-sgm index rebuild` makes it anew") from error
        # Segments of an index that is elsewhere are made here.
        rows = self._table().at(header.version)
        names = cover(rows, header.version, header, folder, self.matcher, self._kind)
        seen = Snapshot.read(self._table(), replace(header, segments=names), folder, self._kind)
        return replace(seen, header=header)

    def _table(self) -> Table:
        return self._store.table(self._header.table)

    def _folder(self) -> Path:
        """Where segments are: beside the rows, or in a cache if these are elsewhere."""
        if self._store.folder is not None:
            return self._store.folder / SEGMENTS
        folder = cache_folder() / hashlib.sha256(self.uri.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder / SEGMENTS

    @staticmethod
    def _place(id: str, view: View) -> int:
        (place,) = view.places([id])
        if place is None:
            raise ValueError(f"there is no image {id!r} in the index")
        return place

    @property
    def _device(self) -> torch.device:
        """Where the model is; what lies on the disk comes to it to be scored."""
        return next(self._model.parameters()).device

    @cached_property
    def _model(self) -> Matcher:
        """The model in evaluation mode."""
        with evaluating(self.matcher.saved.model) as model:
            return model

    @cached_property
    def _kind(self) -> type[Encoding]:
        """Class of what the model makes of images: it is asked to encode one."""
        width = self._model.sizes.features
        one = image_record(["?"], [[0.0, 0.0, 1.0, 1.0]])
        features = {
            node: Ragged(torch.zeros(count, width), Spans.packed(torch.tensor([count])))
            for node, count in (("object", 1), ("relation", 0))
        }
        dataset = SceneGraphDataset([one], [], [], features=features if width else {})
        return type(self.matcher.encode_images(dataset).encoding)


def is_index(uri: str | os.PathLike[str]) -> bool:
    """Whether there is an index, in a folder or at an address.

    Args:
        uri (str or PathLike): Where it may be.

    Raises:
        ImportError: Without LanceDB, if it may be elsewhere.
    """
    if is_sharded(uri):
        return True
    try:
        return is_there(to_path(uri) / f"{HEADER}.lance")
    except (ImportError, OSError, ValueError):  # LanceDB may open what fsspec does not
        return LanceStore(uri).header() is not None


def open_store(uri: str | os.PathLike[str]) -> tuple[LanceStore, Header]:
    """The rows of an index, and what they say of themselves.

    Args:
        uri (str or PathLike): Where it is.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is of another version.
        ImportError: Without LanceDB.
    """
    where = str(uri)
    if not is_uri(where) and not Path(uri).is_dir():
        raise FileNotFoundError(f"{where}: there is no such index")
    store = LanceStore(uri)
    text = store.header()
    if text is None:
        is_there(to_path(where))  # an index in shards is not seen without what opens its address
        raise FileNotFoundError(f"{where}: no index")
    return store, Header.of_text(text, where)


def absolute(run: str | os.PathLike[str]) -> str:
    """A folder by a name that holds anywhere; that of a repository stays."""
    return str(Path(run).absolute()) if Path(run).exists() else os.fspath(run)
