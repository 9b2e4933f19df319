"""An index of images: added to, searched, explained."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pyg_sgm.index.adding import Addable
from pyg_sgm.index.header import Header, check_same_makers, header_of
from pyg_sgm.index.reading import absolute, is_index, open_store
from pyg_sgm.index.searching import IndexSearcher
from pyg_sgm.index.shards import Shards, is_sharded
from pyg_sgm.index.store import LanceStore
from pyg_sgm.io import atomic_write, is_uri, make_folder_of, to_path
from pyg_sgm.retrieval import SceneGraphMatcher


class SceneGraphIndex(IndexSearcher):
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
            ValueError: If there is an index, or other files.
            ImportError: Without LanceDB, or without what opens the URI of shards.
        """
        where = str(uri)
        local = Path(where)
        taken = local.is_file() or (local.is_dir() and any(local.iterdir()))
        if is_index(where) if is_uri(where) else taken:
            raise ValueError(f"{where}: exists already; add to it, or give another")
        header = header_of(matcher, None if run is None else absolute(run), dtype)
        if shards is not None:
            if shards < 1:
                raise ValueError(f"shards: at least 1, got {shards}")
            home = to_path(uri)
            make_folder_of(home)
            Shards((header.to_text(),) * shards).write(home)
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
        where = str(uri)
        if is_sharded(uri):
            from pyg_sgm.index.sharded import ShardedIndex

            home = to_path(uri)
            header = Shards.read(home).header(home, 0)
            matcher = _matcher(header, where) if matcher is None else matcher
            check_same_makers(header, matcher, where)
            return ShardedIndex(home, matcher, ray)
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
            from pyg_sgm.index.rebuilding import rebuilt

            return rebuilt(to_path(uri), matcher, images, run, progress, ray)
        check_ray(uri, ray)
        return cls._rebuilt(uri, matcher, images, run, progress)

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


def check_ray(uri: str | os.PathLike[str], ray: str | None) -> None:
    """Checks that no cluster is to do the work of an index without shards.

    Args:
        uri (str or PathLike): Where it is.
        ray (str, optional): Address of the cluster.

    Raises:
        ValueError: If one is.
    """
    if ray is not None:
        raise ValueError(f"{uri}: ray: only an index in shards is spread over a cluster")


def _matcher(header: Header, where: str) -> SceneGraphMatcher:
    """The matcher that made an index."""
    if header.run is None:
        raise ValueError(f"{where}: does not say which run it was built with: give it")
    try:
        return SceneGraphMatcher.from_pretrained(header.run)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{where}: {error}; if the run is elsewhere now, `pyg-sgm index rebuild {where} --run "
            "RUN` notes where"
        ) from error
