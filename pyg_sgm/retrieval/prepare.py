"""Gives data its graphs: of images that came as pixels, and of captions."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord, Ragged, Spans
from pyg_sgm.datasets import Labels, SceneGraphDataset
from pyg_sgm.io import counted, is_there, to_path
from pyg_sgm.retrieval.in_memory import (
    Pixels,
    Progress,
    graphs_in_memory,
    open_photo,
    outside_autocast,
    packed,
)
from pyg_sgm.text import parse_texts
from pyg_sgm.vision import (
    AttributeHead,
    Extractor,
    extract,
    open_extractor,
    open_graphs,
    union_boxes,
)
from pyg_sgm.vision.description import open_described
from pyg_sgm.vision.store import HEADER, SKIPPED, read_header


def needs_graph(image: ImageRecord) -> bool:
    """Whether an image has no graph yet and has a file to make one from."""
    return not image.has_graph and image.file is not None


def with_graphs(
    dataset: SceneGraphDataset,
    folder: str | os.PathLike[str] | None = None,
    extractor: Extractor | None = None,
    progress: Progress | None = None,
) -> SceneGraphDataset:
    """The same dataset with graphs and region features for those images that are files and have
    no graph; the dataset itself if there is none.

    Images that cannot be read keep their places, without a graph and without a file, and a warning
    counts them. :func:`with_known_images` leaves them out.

    Args:
        dataset (SceneGraphDataset): Any dataset. Its other images keep their graphs; where those
            came without region features, these are taken from the file at the boxes of the graph.
        folder (str or PathLike, optional): Graph folder, or its URI, that is read and added to, see
            :func:`pyg_sgm.vision.extract`: images that it holds are not extracted again, unless
            their files have changed. (default: :obj:`None`, graphs and features are held in memory)
        extractor (Extractor, optional): What makes the graphs. (default: what made those of the
            folder; for a new one :func:`pyg_sgm.vision.open_extractor` without arguments)
        progress (Progress, optional): Called with the number of images done and that of all.
            (default: :obj:`None`)

    Raises:
        ValueError: If no image can be read, the folder holds graphs of another extractor, or an
            image came with a graph that the others' features do not fit.
        ImportError: If what the extractor needs is not installed.
    """
    if not any(map(needs_graph, dataset.images)):
        return dataset
    dataset, skipped = graphs_and_skipped(
        dataset, folder, extractor or extractor_of(folder), progress
    )
    listed = "" if folder is None else f"; all are listed in {to_path(folder) / SKIPPED}"
    warn_of_skipped(skipped, len(dataset.images), listed)
    return dataset


def graphs_and_skipped(
    dataset: SceneGraphDataset,
    folder: str | os.PathLike[str] | None,
    extractor: Extractor,
    progress: Progress | None = None,
) -> tuple[SceneGraphDataset, Mapping[str, str]]:
    """What :func:`with_graphs` gives, also if no image can be read; and why images have none.

    Args:
        dataset (SceneGraphDataset): See there.
        folder (str or PathLike, optional): See there.
        extractor (Extractor): See there.
        progress (Progress, optional): See there. (default: :obj:`None`)
    """
    files = {image.id: image.file for image in dataset.images if needs_graph(image) and image.file}
    if folder is None:
        records, features, skipped = graphs_in_memory(files, extractor, progress)
    else:
        with outside_autocast():
            skipped = extract(files, folder, extractor, progress=progress).skipped
    if len(skipped) == len(files):
        images = [replace(i, file=None) if needs_graph(i) else i for i in dataset.images]
        return dataset.replace(images=images), skipped
    if folder is not None:
        records, features = open_graphs(folder)
    images, features = _merged(
        dataset.images, dataset.features, (records, features), files.keys() - skipped, extractor
    )
    known = _labels(dataset.labels, extractor)
    return dataset.replace(images=images, labels=known, features=features), skipped


def images_with_graphs(
    images: Sequence[ImageRecord], pixels: Mapping[str, Pixels], extractor: Extractor
) -> tuple[list[ImageRecord], dict[str, Ragged]]:
    """Images with graphs, and their region features, in memory; see :func:`with_graphs`.

    Args:
        images (list of ImageRecord): The images, in any order; an image may occur several times.
        pixels (dict): File, image of Pillow, or array of those without a graph, by their ids.
        extractor (Extractor): What makes the graphs.

    Raises:
        ValueError: As :func:`with_graphs`.
    """
    records, features, skipped = graphs_in_memory(pixels, extractor)
    warn_of_skipped(skipped, len(pixels) + sum(image.has_graph for image in images))
    return _merged(images, {}, (records, features), pixels.keys() - skipped, extractor)


def with_attributes(
    images: Sequence[ImageRecord], features: Mapping[str, Ragged], head: AttributeHead
) -> Sequence[ImageRecord]:
    """Images with the attributes that a head names; as they are, if they came without region
    features.

    Args:
        images (list of ImageRecord): Images, with graphs or without.
        features (dict): Their region features by node type.
        head (AttributeHead): What names attributes.
    """
    return head.name(images, features["object"]) if "object" in features else images


def with_parses(
    dataset: SceneGraphDataset, cache: str | os.PathLike[str] | None = None
) -> SceneGraphDataset:
    """The same dataset with parses of those captions that have no graph; the dataset itself if
    there is none.

    Args:
        dataset (SceneGraphDataset): Any dataset.
        cache (str or PathLike, optional): File of parses that is read and added to; see
            :func:`pyg_sgm.text.parse_texts`. (default: :obj:`None`)
    """
    plain = [text for text in dataset.texts if not text.has_graph]
    if not plain:
        return dataset
    with outside_autocast():
        parses = iter(parse_texts(plain, cache))
    return dataset.replace(
        texts=[text if text.has_graph else next(parses) for text in dataset.texts]
    )


def with_known_images(dataset: SceneGraphDataset) -> SceneGraphDataset:
    """The dataset without the images whose graphs are not known, such as those that could not be
    read, and without their texts.

    Args:
        dataset (SceneGraphDataset): Any dataset, after :func:`with_graphs`.

    Raises:
        ValueError: If no image is left.
    """
    known = [i for i, image in enumerate(dataset.images) if image.has_graph]
    if len(known) == len(dataset.images):
        return dataset
    if not known:
        raise ValueError(f"none of {counted(len(dataset.images), 'image')} has a graph")
    return dataset.select_images(known)


def check_captioned(dataset: SceneGraphDataset) -> None:
    """Raises a ValueError unless it is a dataset with captions.

    Args:
        dataset (SceneGraphDataset): What a user gave.
    """
    if not isinstance(dataset, SceneGraphDataset):
        raise ValueError(f"expected a SceneGraphDataset, got {type(dataset).__name__}")
    if not dataset.texts:
        raise ValueError("the dataset has no captions")


def warn_of_skipped(skipped: Mapping[str, str], count: int, listed: str = "") -> None:
    """One warning that counts images that cannot be read and names the first.

    Raises:
        ValueError: If no image can be read.
    """
    if not skipped:
        return
    (one, why), *more = skipped.items()
    if len(skipped) == count:
        raise ValueError(
            why if not more else f"none of {counted(count, 'image')} can be read: {why}{listed}"
        )
    some = ", ".join(repr(id) for id, _ in more[:4]) + (", ..." if len(more) > 4 else "")
    message = f"{len(skipped)} of {count} images cannot be read and match nothing: {one!r} ({why})"
    warnings.warn(f"{message}{', ' + some if some else ''}{listed}", stacklevel=3)


def extractor_of(
    folder: str | os.PathLike[str] | None, given: Mapping[str, Any] | None = None
) -> Extractor:
    """What made the graphs of a folder, with the names of detector and backbone that are given; the
    default one with these, if there are no graphs."""
    if folder is None or not is_there(to_path(folder) / HEADER):
        return open_extractor(**(given or {}))
    return open_described(read_header(to_path(folder)), f"{folder}", given)


def _merged(
    images: Sequence[ImageRecord],
    features: Mapping[str, Ragged],
    made: tuple[Sequence[ImageRecord], Mapping[str, Ragged]],
    names: Collection[str],
    extractor: Extractor,
) -> tuple[list[ImageRecord], dict[str, Ragged]]:
    """Images with their graphs and region features in the order they were given.

    Args:
        images (list of ImageRecord): The images.
        features (dict): Region features of those that came with graphs.
        made (tuple): Graphs and region features that were made, or kept in a folder, in any order.
        names (list of str): The images that take theirs from there.
        extractor (Extractor): What made them.
    """
    records, extracted = made
    row_of = {record.id: row for row, record in enumerate(records)}
    # Row of every image among the extracted ones; -1 for the others.
    rows = [
        row_of[image.id] if not image.has_graph and image.id in names else -1 for image in images
    ]
    merged = []
    for image, row in zip(images, rows, strict=True):
        if row >= 0:
            merged.append(replace(records[row], file=image.file))
        else:  # one that cannot be read has nothing to make a graph from
            merged.append(image if image.has_graph else replace(image, file=None))
    own = [i for i, image in enumerate(images) if image.has_graph]
    if not own:  # nothing is read: the storage may be a large folder
        index = torch.tensor(rows)
        known, index = index >= 0, index.clamp(min=0)
        return merged, {
            node: Ragged(part.rows, Spans(part.spans.start[index], part.spans.count[index] * known))
            for node, part in extracted.items()
        }
    dim = extractor.features.dim
    each = {node: [_of_one(part, row) for row in rows] for node, part in extracted.items()}
    for i in own:
        if features:
            mine = {node: _of_one(part, i) for node, part in features.items()}
        else:
            mine = _at_boxes(images[i], extractor)
        for node, parts in each.items():
            parts[i] = mine.get(node, parts[i])
            if parts[i].size(1) != dim:
                raise ValueError(
                    f"image {images[i].id!r}: {node}.x: {parts[i].size(1)} region features, those "
                    f"of images that are files have {dim}"
                )
    return merged, {node: packed(parts, dim) for node, parts in each.items()}


def _at_boxes(image: ImageRecord, extractor: Extractor) -> dict[str, Tensor]:
    """Region features of an image that came with a graph and without them."""
    if image.file is None or image.boxes is None:
        lacks = "file" if image.file is None else "boxes"
        raise ValueError(
            f"image {image.id!r}: its graph came without region features, which other images have, "
            f"and without {lacks} to take them from"
        )
    unions = union_boxes(image.boxes, [(s, o) for s, _, o in image.relations])
    photo = open_photo(image.file, image.id)
    (x,) = extractor.features([photo], [np.concatenate([image.boxes, unions])])
    both = torch.from_numpy(x.astype(np.float16)).float()
    count = len(image.objects)
    return {"object": both[:count], "relation": both[count:]}


def _of_one(part: Ragged, row: int) -> Tensor:
    """The features of one image, none for row -1."""
    if row < 0:
        return torch.zeros(0, part.rows.shape[1])
    return part.rows[part.select(torch.tensor([row])).spans.rows()]


def _labels(labels: Labels, extractor: Extractor) -> Labels:
    """What the dataset knows beforehand, and what the extractor may find."""
    return replace(
        labels,
        objects=[*labels.objects, *extractor.labels["object"]],
        predicates=[*labels.predicates, *extractor.labels["relation"]],
    )
