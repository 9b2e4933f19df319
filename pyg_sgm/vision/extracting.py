"""From many files to a folder of graphs, by threads of this process or by a pool of workers."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar

from pyg_sgm.distributed import Pool
from pyg_sgm.io import locked, parse_json, to_path
from pyg_sgm.vision._shards import Graph, Source, next_number, write_shard
from pyg_sgm.vision._sources import is_same, source_of
from pyg_sgm.vision._threads import in_threads
from pyg_sgm.vision.extraction import AT_MOST, Extractor
from pyg_sgm.vision.fingerprint import check_same
from pyg_sgm.vision.images import ImageError, Photo, read_photo
from pyg_sgm.vision.registry import open_extractor
from pyg_sgm.vision.store import (
    make_folder,
    read_skipped,
    remove_others,
    sources,
    write_skipped,
)

T = TypeVar("T")
Made = tuple[int, dict[str, str]]  # graphs written, and why others could not be made


@dataclass(frozen=True)
class ExtractionResult:
    """What became of the images.

    Args:
        extracted (int): Number of images whose graphs were made.
        kept (int): Number of those that were there before.
        skipped (dict): Why images have no graph, by their ids.
        others (int, optional): Number of graphs in the folder of images that were not asked for.
            (default: :obj:`0`)
        removed (int, optional): Number of graphs that were removed. (default: :obj:`0`)
    """

    extracted: int
    kept: int
    skipped: Mapping[str, str]
    others: int = 0
    removed: int = 0


def extract(
    files: Mapping[str, Path],
    out: str | os.PathLike[str],
    extractor: Extractor,
    *,
    batch_size: int = 8,
    shard_size: int = 512,
    workers: int | None = None,
    pool: Pool | None = None,
    prune: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExtractionResult:
    """Makes the graphs of images, in a folder that :func:`open_graphs` opens.

    Images whose graphs are there are passed over, unless their files have changed (a copy of a file
    has not); so a call that was broken off goes on where it stopped, and after one that was killed,
    from its last shard. An
    image that cannot be read is skipped, with the reason in ``skipped.jsonl``. While another
    process writes to the folder, the call waits, with a warning. Memory does not grow
    with the number of images.

    Args:
        files (dict): File of each image by its id, or its URI.
        out (str or PathLike): The folder, which is made if absent, or its URI, such as
            ``s3://bucket/graphs``, where one process at a time may write: nothing keeps others out.
        extractor (Extractor): What makes the graphs. A folder holds those of one extractor.
        batch_size (int, optional): Images a thread handles at once; the graphs do not depend on it.
            (default: :obj:`8`)
        shard_size (int, optional): Images written at once. (default: :obj:`512`)
        workers (int, optional): Threads that decode images and run the networks side by side;
            meanwhile each of torch's own operations has one thread, in the whole process. (default:
            one per core)
        pool (Pool, optional): Workers of other processes or machines that make the graphs instead,
            a shard at a time; they see the files and the folder by the same names, and open an
            extractor of the same options. (default: :obj:`None`)
        prune (bool, optional): Whether graphs of images that are not among the files, and those
            that newer ones have replaced, are removed from the folder; what has the folder open
            loses them. (default: :obj:`False`)
        progress (callable, optional): Called with the number of images done and that of all.
            (default: :obj:`None`)

    Raises:
        ValueError: If the folder holds graphs of another extractor, or other files, or a size is
            less than 1; or what a detector from a file raises; or if there is a pool, and the
            extractor has no options or is another one where a worker opens it.
    """
    if batch_size < 1 or shard_size < 1:
        raise ValueError(f"batch_size and shard_size: at least 1, got {batch_size}, {shard_size}")
    if not isinstance(files, Mapping):
        raise ValueError(
            "files: expected the file of each image by its id, such as {'1.jpg': 'photos/1.jpg'}, "
            f"got {type(files).__name__}"
        )
    folder = to_path(out)
    files = {id: to_path(file) for id, file in files.items()}
    header = make_folder(folder, lambda: _header(extractor))
    remedy = "remove them, or give another folder"
    check_same(header.get("fingerprint"), extractor, f"{folder}", remedy)
    report = progress or (lambda done, total: None)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder))
        except ValueError:  # another process writes, which who has nothing to write need not await
            made = sources(folder)
            if not prune and all(is_same(made.get(id, ()), path) for id, path in files.items()):
                report(len(files), len(files))
                return ExtractionResult(0, len(files), {}, len(made.keys() - files.keys()), 0)
            stack.enter_context(locked(folder, wait=True))
        made = sources(folder)
        missing = {id: path for id, path in files.items() if not is_same(made.get(id, ()), path)}
        skipped: dict[str, str] = {}
        done = len(files) - len(missing)
        report(done, len(files))
        if pool is None:
            parts = _here(missing, folder, extractor, batch_size, shard_size, workers)
        else:
            parts = _elsewhere(missing, folder, extractor, batch_size, shard_size, pool)
        for number, unread in parts:
            skipped |= unread
            done += number + len(unread)
            report(done, len(files))
        # Of images that this call was not about, what was known remains.
        before = {id: why for id, why in read_skipped(folder).items() if id not in files}
        write_skipped(folder, before | skipped)
        removed = remove_others(folder, files.keys()) if prune else 0
    others = 0 if prune else len(made.keys() - files.keys())
    extracted, kept = len(missing) - len(skipped), len(files) - len(missing)
    return ExtractionResult(extracted, kept, skipped, others, removed)


def _here(
    files: Mapping[str, Path],
    folder: Path,
    extractor: Extractor,
    batch_size: int,
    shard_size: int,
    workers: int | None,
) -> Iterator[Made]:
    """Makes graphs in threads, and a shard whenever there are enough of them."""
    pending: list[tuple[Graph, Source]] = []
    numbers = count(next_number(folder))

    def work(
        batch: Sequence[tuple[str, Path]],
    ) -> tuple[list[tuple[Graph, Source]], dict[str, str]]:
        return _graphs(extractor, batch)

    def flush(least: int) -> None:
        while len(pending) >= least:
            _write(folder, next(numbers), pending[:shard_size])
            del pending[:shard_size]

    try:
        batches = _batches(files.items(), batch_size)
        for graphs, unread in in_threads(work, batches, workers or os.cpu_count() or 1):
            pending += graphs
            flush(shard_size)
            yield len(graphs), unread
    finally:
        flush(1)  # what is done is kept, also of a call that is interrupted


def _elsewhere(
    files: Mapping[str, Path],
    folder: Path,
    extractor: Extractor,
    batch_size: int,
    shard_size: int,
    pool: Pool,
) -> Iterator[Made]:
    """Has the workers of a pool write the shards."""
    if extractor.options is None:
        raise ValueError("pool: workers open an extractor by its options: use open_extractor")
    options = json.dumps(extractor.options)
    first = next_number(folder)
    shards = (
        _Shard(batch, folder.absolute(), first + k, options, extractor.fingerprint, batch_size)
        for k, batch in enumerate(_batches(files.items(), shard_size))
    )
    return pool.run(_make_shard, shards)


@dataclass(frozen=True)
class _Shard:
    """Images whose graphs become one shard of a folder."""

    files: Sequence[tuple[str, Path]]
    folder: Path
    number: int
    options: str
    fingerprint: Mapping[str, str]
    batch_size: int


def _make_shard(shard: _Shard) -> Made:
    extractor = _open(shard.options)
    for part, known in shard.fingerprint.items():
        if extractor.fingerprint.get(part) != known:
            raise ValueError(
                f"a worker has another extractor: {part} {extractor.fingerprint.get(part)!r}, not "
                f"{known!r}"
            )
    made: list[tuple[Graph, Source]] = []
    skipped: dict[str, str] = {}
    for batch in _batches(((id, path.absolute()) for id, path in shard.files), shard.batch_size):
        graphs, unread = _graphs(extractor, batch)
        made += graphs
        skipped |= unread
    if made:
        _write(shard.folder, shard.number, made)
    return len(made), skipped


@lru_cache(maxsize=1)
def _open(options: str) -> Extractor:
    """The extractor of a worker, which makes many shards."""
    return open_extractor(**parse_json(options, "options of the extractor"))


def _graphs(
    extractor: Extractor, batch: Sequence[tuple[str, Path]]
) -> tuple[list[tuple[Graph, Source]], dict[str, str]]:
    found = {id: source_of(path) for id, path in batch}  # before they are read
    photos, unread = _read(batch)
    graphs = extractor(photos) if photos else []
    return [(graph, found[graph.record.id]) for graph in graphs], unread


def _write(folder: Path, number: int, made: Sequence[tuple[Graph, Source]]) -> None:
    graphs, states = zip(*made, strict=True)
    write_shard(folder / f"{number:06d}.json", graphs, states)


def _header(extractor: Extractor) -> dict[str, Any]:
    return {
        "fingerprint": extractor.fingerprint,
        "options": extractor.options,
        "dim": extractor.features.dim,
        "labels": extractor.labels,
    }


def _read(batch: Sequence[tuple[str, Path]]) -> tuple[list[Photo], dict[str, str]]:
    """The photos that can be read, and why the others cannot."""
    photos, unread = [], {}
    for id, path in batch:
        try:
            photos.append(read_photo(path, id, at_most=AT_MOST))
        except (ImageError, OSError) as error:
            unread[id] = str(error)
    return photos, unread


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
