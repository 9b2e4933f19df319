"""From photos to graphs, and from many files to a folder of graphs."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, permutations
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.data import image_record
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.io import locked
from pyg_sgm.vision._shards import Graph, Source, next_number, write_shard
from pyg_sgm.vision._sources import is_same, source_of
from pyg_sgm.vision._threads import in_threads
from pyg_sgm.vision.detectors.base import Detections, Detector
from pyg_sgm.vision.detectors.merge import prominence
from pyg_sgm.vision.fingerprint import check_same
from pyg_sgm.vision.images import ImageError, Photo, read_photo
from pyg_sgm.vision.region_features import RegionFeatures, union_boxes
from pyg_sgm.vision.relations.head import Relation, RelationHead
from pyg_sgm.vision.store import (
    make_folder,
    read_skipped,
    remove_others,
    sources,
    write_skipped,
)

AT_MOST = 832  # pixels of the longer side: twice what a detector of 416 looks at
Attributes = Callable[[np.ndarray, np.ndarray], Sequence[Sequence[tuple[str, float]]]]
_MOST_PAIRED = 32  # objects, of which all ordered pairs are relations
T = TypeVar("T")


class Extractor:
    """Turns images into scene graphs with region features.

    Args:
        detector (Detector): What finds the objects.
        features (RegionFeatures): What their boxes, and the union boxes of relations, are described
            with.
        relations (RelationHead, optional): What finds the relations. (default: :obj:`None`, there
            are none)
        attributes (Attributes, optional): What names the attributes of boxes, from pixels uint8
            ``[height, width, 3]`` and boxes ``[num_boxes, 4]`` in ``[0, 1]``: for each box (label,
            confidence), such as :func:`~pyg_sgm.vision.colors.color_attributes`. (default:
            :obj:`None`, there are none)
        max_relations (int, optional): Most relations per image. (default: :obj:`25`)
        pairs (int, optional): If positive, the relations are instead all ordered pairs of so many
            objects, the most prominent (:func:`~pyg_sgm.vision.detectors.prominence`), whatever the
            relation head says: candidates, each with the features of its union box. A pair has the
            head's likeliest predicate and its confidence, or ``<unk>`` and 0 where the head does
            not know the labels. (default: :obj:`0`)
        options (dict, optional): What it can be made from again, kept with its graphs: the
            arguments of :func:`open_extractor`. (default: :obj:`None`)

    Raises:
        ValueError: If the relation head needs region features, or for another number of pairs.
    """

    @renamed_arguments(limit="max_relations")
    def __init__(
        self,
        detector: Detector,
        features: RegionFeatures,
        relations: RelationHead | None = None,
        attributes: Attributes | None = None,
        *,
        max_relations: int = 25,
        pairs: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if relations is not None and relations.network.feature is not None:
            raise ValueError(
                "the relation head needs region features, which are made after the relations, for "
                "their union boxes: give one on labels and boxes"
            )
        self.detector = detector
        self.features = features
        self.relations = relations
        self.attributes = attributes
        self.max_relations = max_relations
        if not 0 <= pairs <= _MOST_PAIRED:
            raise ValueError(f"pairs: expected 0 to {_MOST_PAIRED} objects, got {pairs}")
        self.pairs = pairs
        self.options = options

    @property
    def fingerprint(self) -> dict[str, str]:
        """What its graphs depend on; equal ones give equal graphs."""
        head = "none"
        if self.relations is not None:
            head = f"{self.relations.fingerprint} limit {self.max_relations}"
        made = {
            "detector": self.detector.fingerprint,
            "features": self.features.fingerprint,
            "relations": head,
            "images": f"at most {AT_MOST} pixels",
        }
        if self.pairs:
            made["pairs"] = str(self.pairs)
        if self.attributes is not None:
            made["attributes"] = f"{self.attributes.__module__}.{self.attributes.__qualname__}"
        return made

    @property
    def labels(self) -> dict[str, list[str]]:
        """The labels that its graphs may have."""
        return {
            "object": list(self.detector.labels),
            "relation": [] if self.relations is None else self.relations.predicates,
        }

    def __call__(self, photos: Sequence[Photo]) -> list[Graph]:
        """The graph of each image."""
        found = self.detector(photos)
        relations = [self._relations(objects) for objects in found]
        boxes = [
            np.concatenate(
                [objects.boxes, union_boxes(objects.boxes, [(s, o) for s, _, o, _ in r])]
            )
            for objects, r in zip(found, relations, strict=True)
        ]
        graphs = []
        for photo, objects, r, x in zip(
            photos, found, relations, self.features(photos, boxes), strict=True
        ):
            named = [] if self.attributes is None else self.attributes(photo.pixels, objects.boxes)
            words = [
                (i, word, c)
                for part in (named, objects.names)
                for i, one in enumerate(part)
                for word, c in one
            ]
            record = image_record(
                objects.labels,
                objects.boxes,
                [(s, predicate, o) for s, predicate, o, _ in r],
                [(i, word) for i, word, _ in words],
                scores={
                    "object": objects.scores.tolist(),
                    "relation": [c for *_, c in r],
                    "attribute": [c for *_, c in words],
                },
                id=photo.id,
            )
            count = len(objects.labels)
            graphs.append(Graph(record, photo.size, {"object": x[:count], "relation": x[count:]}))
        return graphs

    def _relations(self, objects: Detections) -> list[Relation]:
        if self.pairs:
            chosen = [
                i
                for i in prominence(objects).argsort()[::-1].tolist()
                if objects.labels[i] != UNKNOWN
            ][: self.pairs]
            chosen.sort()
            best = {(s, o): (p, c) for s, p, o, c in self._predicted(objects, chosen)}
            return [
                (s, predicate, o, confidence)
                for s, o in permutations(chosen, 2)
                for predicate, confidence in [best.get((s, o), (UNKNOWN, 0.0))]
            ]
        return self._predicted(objects, range(len(objects.labels)))

    def _predicted(self, objects: Detections, chosen: Sequence[int]) -> list[Relation]:
        """Relations of the head between some of the objects."""
        if self.relations is None:
            return []
        # One image at a time, so that no relation depends on what else is in the batch.
        (found,) = self.relations.relations(
            [[objects.labels[i] for i in chosen]],
            [objects.boxes[list(chosen)]],
            [objects.scores[list(chosen)]],
            max_relations=len(chosen) ** 2 if self.pairs else self.max_relations,
        )
        return [(chosen[s], predicate, chosen[o], c) for s, predicate, o, c in found]


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
        files (dict): File of each image by its id.
        out (str or PathLike): The folder; it is made if absent.
        extractor (Extractor): What makes the graphs. A folder holds those of one extractor.
        batch_size (int, optional): Images a thread handles at once; the graphs do not depend on it.
            (default: :obj:`8`)
        shard_size (int, optional): Images written at once. (default: :obj:`512`)
        workers (int, optional): Threads that decode images and run the networks side by side;
            meanwhile each of torch's own operations has one thread, in the whole process. (default:
            one per core)
        prune (bool, optional): Whether graphs of images that are not among the files, and those
            that newer ones have replaced, are removed from the folder; what has the folder open
            loses them. (default: :obj:`False`)
        progress (callable, optional): Called with the number of images done and that of all.
            (default: :obj:`None`)

    Raises:
        ValueError: If the folder holds graphs of another extractor, or other files, or a size is
            less than 1; or what a detector from a file raises.
    """
    if batch_size < 1 or shard_size < 1:
        raise ValueError(f"batch_size and shard_size: at least 1, got {batch_size}, {shard_size}")
    if not isinstance(files, Mapping):
        raise ValueError(
            "files: expected the file of each image by its id, such as {'1.jpg': 'photos/1.jpg'}, "
            f"got {type(files).__name__}"
        )
    folder = Path(out)
    header = make_folder(folder, lambda: _header(extractor))
    check_same(header.get("fingerprint"), extractor, f"{folder}")
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
        pending: list[tuple[Graph, Source]] = []
        done = len(files) - len(missing)
        number = next_number(folder)

        def work(
            batch: Sequence[tuple[str, Path]],
        ) -> tuple[list[tuple[Graph, Source]], dict[str, str]]:
            found = {id: source_of(path) for id, path in batch}  # before they are read
            photos, unread = _read(batch)
            graphs = extractor(photos) if photos else []
            return [(graph, found[graph.record.id]) for graph in graphs], unread

        def flush(least: int) -> None:
            nonlocal number
            while len(pending) >= least:
                part = pending[:shard_size]
                del pending[:shard_size]
                path = folder / f"{number:06d}.json"
                write_shard(path, [graph for graph, _ in part], [source for _, source in part])
                number += 1

        report(done, len(files))
        try:
            batches = _batches(missing.items(), batch_size)
            for graphs, unread in in_threads(work, batches, workers or os.cpu_count() or 1):
                pending += graphs
                skipped |= unread
                done += len(graphs) + len(unread)
                flush(shard_size)
                report(done, len(files))
        finally:
            flush(1)  # what is done is kept, also of a call that is interrupted
        # Of images that this call was not about, what was known remains.
        before = {id: why for id, why in read_skipped(folder).items() if id not in files}
        write_skipped(folder, before | skipped)
        removed = remove_others(folder, files.keys()) if prune else 0
    others = 0 if prune else len(made.keys() - files.keys())
    extracted, kept = len(missing) - len(skipped), len(files) - len(missing)
    return ExtractionResult(extracted, kept, skipped, others, removed)


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
