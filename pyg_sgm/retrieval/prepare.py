"""Gives data its graphs: of images that came as files alone, and of captions."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pyg_sgm.data import ImageRecord, Ragged, Spans
from pyg_sgm.datasets import Labels, SceneGraphDataset
from pyg_sgm.text import parse_texts
from pyg_sgm.vision import Extractor, extract, open_extractor, open_graphs, read_photo
from pyg_sgm.vision.description import open_described
from pyg_sgm.vision.extraction import AT_MOST
from pyg_sgm.vision.store import HEADER, SKIPPED, read_header

Progress = Callable[[int, int], None]


def only_pixels(dataset: SceneGraphDataset) -> bool:
    """Whether there are images, and all have a file and none an object."""
    images = dataset.images
    return bool(images) and all(i.file is not None and not i.objects for i in images)


def with_graphs(
    dataset: SceneGraphDataset,
    folder: str | os.PathLike[str] | None = None,
    extractor: Extractor | None = None,
    progress: Progress | None = None,
) -> SceneGraphDataset:
    """The dataset itself if any of its images has objects or no file, else the same with graphs
    and region features from the pixels.

    Images that cannot be read are left out with their texts, and a warning says how many.

    Args:
        dataset: Any dataset.
        folder: Graph folder that is read and added to, see :func:`pyg_sgm.vision.extract`: images
            that it holds are not extracted again, unless their files have changed.
            (default: :obj:`None`, graphs and features are held in memory)
        extractor: What makes the graphs. (default: what made those of the folder; for a new one
            :func:`pyg_sgm.vision.open_extractor` without arguments)
        progress: Called with the number of images done and that of all. (default: :obj:`None`)

    Raises:
        ValueError: If no image can be read, or the folder holds graphs of another extractor.
        ImportError: If what the extractor needs is not installed.
    """
    if not only_pixels(dataset):
        return dataset
    files = {image.id: image.file for image in dataset.images if image.file is not None}
    extractor = extractor or extractor_of(folder)
    if folder is None:
        records, features, skipped = graphs_in_memory(files, extractor, progress)
        listed = ""
    else:
        skipped = extract(files, folder, extractor, progress=progress).skipped
        records, features = open_graphs(folder)
        listed = f"; all are in {Path(folder) / SKIPPED}"
    if skipped:
        one, why = next(iter(skipped.items()))
        message = (
            f"{len(skipped)} of {len(files)} images cannot be read and are left out, such as "
            f"{one!r} ({why}){listed}"
        )
        if len(skipped) == len(files):
            raise ValueError(message)
        warnings.warn(message, stacklevel=2)
    kept = [i for i, image in enumerate(dataset.images) if image.id not in skipped]
    rest = dataset.select_images(kept)
    row_of = {record.id: row for row, record in enumerate(records)}
    rows = [row_of[image.id] for image in rest.images]
    return SceneGraphDataset(
        [replace(records[row], file=files[records[row].id]) for row in rows],
        rest.texts,
        rest.image_of_text,
        _labels(rest.labels, extractor),
        {node: ragged.select(torch.tensor(rows)) for node, ragged in features.items()},
    )


def with_parses(
    dataset: SceneGraphDataset, cache: str | os.PathLike[str] | None = None
) -> SceneGraphDataset:
    """The dataset itself if any of its texts has a graph, else the same with parsed captions.

    Args:
        dataset: Any dataset.
        cache: File of parses that is read and added to; see :func:`pyg_sgm.text.parse_texts`.
            (default: none)
    """
    if any(text.objects for text in dataset.texts):
        return dataset
    return SceneGraphDataset(
        dataset.images,
        parse_texts(dataset.texts, cache),
        dataset.image_of_text,
        dataset.labels,
        dataset.features,
    )


def graphs_in_memory(
    files: Mapping[str, Path], extractor: Extractor, progress: Progress | None = None
) -> tuple[list[ImageRecord], dict[str, Ragged], Mapping[str, str]]:
    """Graphs, region features, and why images have none, of a few images."""
    records: list[ImageRecord] = []
    parts: dict[str, list[np.ndarray]] = {"object": [], "relation": []}
    skipped: dict[str, str] = {}
    names = list(files)
    for start in range(0, len(names), 8):
        photos = []
        for name in names[start : start + 8]:
            try:
                photos.append(read_photo(files[name], name, at_most=AT_MOST))
            except (ValueError, OSError) as error:
                skipped[name] = str(error)
        for graph in extractor(photos) if photos else ():
            records.append(replace(graph.record, size=graph.size, file=files[graph.record.id]))
            for node, rows in parts.items():
                # As precise as a graph folder, so that scores do not depend on where graphs are.
                rows.append(graph.features[node].astype(np.float16))
        if progress is not None:
            progress(len(records) + len(skipped), len(files))
    features = {}
    for node, arrays in parts.items():
        count = torch.tensor([len(array) for array in arrays], dtype=torch.long)
        stacked = np.concatenate([np.zeros((0, extractor.features.dim), np.float16), *arrays])
        features[node] = Ragged(torch.from_numpy(stacked).float(), Spans.packed(count))
    return records, features, skipped


def extractor_of(folder: str | os.PathLike[str] | None) -> Extractor:
    """What made the graphs of a folder; the default one, if there are none."""
    if folder is None or not (Path(folder) / HEADER).exists():
        return open_extractor()
    return open_described(read_header(Path(folder)), os.fspath(folder))


def file_dataset(
    paths: Sequence[str | os.PathLike[str]], extractor: Extractor
) -> SceneGraphDataset:
    """The graphs of image files, without texts, in the order of the files.

    Raises:
        ValueError: Naming the file, if one cannot be read.
    """
    files = {os.fspath(path): Path(path) for path in paths}
    if len(files) < len(paths):
        raise ValueError("images: a file occurs twice")
    records, features, skipped = graphs_in_memory(files, extractor)
    if skipped:
        raise ValueError(next(iter(skipped.values())))
    return SceneGraphDataset(records, [], [], features=features)


def _labels(labels: Labels, extractor: Extractor) -> Labels:
    """What the dataset knows beforehand, and what the extractor may find."""
    return replace(
        labels,
        objects=[*labels.objects, *extractor.labels["object"]],
        predicates=[*labels.predicates, *extractor.labels["relation"]],
    )
