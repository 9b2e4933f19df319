"""What users hand in, as graphs, and what a model makes of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data import (
    GraphCollection,
    ImageRecord,
    Ragged,
    TextRecord,
    Vocabularies,
    image_record,
    pack_images,
    pack_texts,
)
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.io import counted, is_path, to_path
from pyg_sgm.retrieval.encoded import EncodedImages, EncodedTexts
from pyg_sgm.retrieval.in_memory import Pixels, outside_autocast
from pyg_sgm.retrieval.prepare import (
    images_with_graphs,
    needs_graph,
    with_attributes,
    with_graphs,
    with_parses,
)
from pyg_sgm.text import parse_batch
from pyg_sgm.vision import AttributeHead, Extractor

if TYPE_CHECKING:
    from PIL.Image import Image


#: One image: a file (a string is a path), pixels, a record, or a graph.
ImageInput: TypeAlias = "str | os.PathLike[str] | Image | np.ndarray | ImageRecord | HeteroData"
#: One text: a caption (a string), a record, or a graph.
TextInput: TypeAlias = "str | TextRecord | HeteroData"
Images: TypeAlias = (
    "EncodedImages | SceneGraphDataset | GraphCollection | ImageInput | Iterable[ImageInput]"
)
#: Gives the features of the labels of image graphs, by node type.
LabelFeatures: TypeAlias = Callable[[Sequence[ImageRecord]], dict[str, Ragged]]
Texts: TypeAlias = (
    "EncodedTexts | SceneGraphDataset | GraphCollection | TextInput | Iterable[TextInput]"
)


@dataclass(frozen=True)
class ImageGraphs:
    """Images as graphs.

    Args:
        ids (list of str): Name of each image.
        graphs (GraphCollection): The graphs of those whose graphs are known.
        known (Tensor): Their positions among all, ``[num_known]``.
        records (list of ImageRecord, optional): All images in strings; :obj:`None` if they came as
            tensors. (default: :obj:`None`)
    """

    ids: Sequence[str]
    graphs: GraphCollection
    known: Tensor
    records: Sequence[ImageRecord] | None = None


@dataclass(frozen=True)
class TextGraphs:
    """Texts as graphs.

    Args:
        graphs (GraphCollection): The graphs.
        records (list of TextRecord, optional): The same in strings; :obj:`None` if they came as
            tensors. (default: :obj:`None`)
    """

    graphs: GraphCollection
    records: Sequence[TextRecord] | None = None


def image_graphs(
    images: SceneGraphDataset | GraphCollection | ImageInput | Iterable[ImageInput],
    vocabularies: Vocabularies,
    extractor: Callable[[], Extractor],
    attributes: AttributeHead | None = None,
    label_features: LabelFeatures | None = None,
) -> ImageGraphs:
    """Image graphs of anything in :data:`Images` that is not yet encoded.

    Args:
        images (SceneGraphDataset, GraphCollection, ImageInput or list of ImageInput): The images.
        vocabularies (Vocabularies): Those of the model.
        extractor (callable): Gives what makes graphs of pixels; called only if there are any.
        attributes (AttributeHead, optional): Names objects that have region features. (default:
            :obj:`None`)
        label_features (callable, optional): Gives the features of the labels of records. (default:
            :obj:`None`, none)

    Raises:
        ValueError: If they are something else, there is none, or none can be read.
    """

    def packed(records: Sequence[ImageRecord], features: Mapping[str, Ragged]) -> ImageGraphs:
        return _packed(records, features, vocabularies, attributes, label_features)

    if isinstance(images, GraphCollection):
        return ImageGraphs(images.ids, images.check(vocabularies), torch.arange(len(images)))
    if isinstance(images, SceneGraphDataset):
        if any(needs_graph(image) for image in images.images):
            images = with_graphs(images, extractor=extractor())
        return packed(images.images, images.features)
    if is_image(images):
        images = [images]
    items = list(images) if isinstance(images, Iterable) else [images]
    if _all_graphs(items):
        graphs = GraphCollection.from_graphs(items).check(vocabularies)
        return ImageGraphs(graphs.ids, graphs, torch.arange(len(items)))
    for item in items:
        if not is_image(item) or isinstance(item, HeteroData):
            raise ValueError(f"{_EXPECTED_IMAGES}, got {_kinds(items)}")
    if not items:
        raise ValueError(f"{_EXPECTED_IMAGES}, got an empty list")
    records, pixels = _as_records(items)
    if not pixels:
        return packed(records, {})
    return packed(*images_with_graphs(records, pixels, extractor()))


def text_graphs(
    texts: SceneGraphDataset | GraphCollection | TextInput | Iterable[TextInput],
    vocabularies: Vocabularies,
    word_features: Callable[[Sequence[TextRecord]], Ragged] | None = None,
) -> TextGraphs:
    """Text graphs of anything in :data:`Texts` that is not yet encoded.

    Args:
        texts (SceneGraphDataset, GraphCollection, TextInput or list of TextInput): The texts.
        vocabularies (Vocabularies): Those of the model.
        word_features (callable, optional): Gives the features of the words of records. (default:
            :obj:`None`, none)

    Raises:
        ValueError: If they are something else, or there is none.
    """

    def packed(records: Sequence[TextRecord]) -> TextGraphs:
        features = {} if word_features is None else {"word": word_features(records)}
        return TextGraphs(pack_texts(records, vocabularies.words, features), records)

    if isinstance(texts, GraphCollection):
        return TextGraphs(texts.check(vocabularies))
    if isinstance(texts, SceneGraphDataset):
        return packed(with_parses(texts).texts)
    if isinstance(texts, (str, TextRecord, HeteroData)):
        texts = [texts]
    items = list(texts) if isinstance(texts, Iterable) else [texts]
    if _all_graphs(items):
        return TextGraphs(GraphCollection.from_graphs(items).check(vocabularies))
    for item in items:
        if not isinstance(item, (str, TextRecord)):
            raise ValueError(f"{_EXPECTED_TEXTS}, got {_kinds(items)}")
    if not items:
        raise ValueError(f"{_EXPECTED_TEXTS}, got an empty list")
    return packed(_parsed([item for item in items if isinstance(item, (str, TextRecord))]))


_EXPECTED_IMAGES = (
    "images: expected a dataset, a collection, or image files, pixels or records, or graphs alone"
)
_EXPECTED_TEXTS = (
    "texts: expected a dataset, a collection, or captions or text records, or graphs alone"
)


def _packed(
    records: Sequence[ImageRecord],
    features: Mapping[str, Ragged],
    vocabularies: Vocabularies,
    attributes: AttributeHead | None,
    label_features: LabelFeatures | None,
) -> ImageGraphs:
    """The graphs of those images that have one."""
    if attributes is not None:
        records = with_attributes(records, features, attributes)
    ids = [record.id for record in records]
    known = torch.tensor([i for i, record in enumerate(records) if record.has_graph])
    if records and not len(known):
        raise ValueError(
            f"none of {counted(len(records), 'image')} has a graph, such as {ids[0]!r}"
        )
    if len(known) < len(records):
        features = {node: part.select(known) for node, part in features.items()}
    there = [records[i] for i in known.tolist()]
    labels = None if label_features is None else label_features(there)
    graphs = pack_images(there, vocabularies, features, labels)
    return ImageGraphs(ids, graphs, known, records)


def _as_records(items: Sequence[object]) -> tuple[list[ImageRecord], dict[str, Pixels]]:
    """A record for each image, and the pixels of those that have no graph, by their names."""
    records: list[ImageRecord] = []
    pixels: dict[str, Pixels] = {}
    for number, item in enumerate(items):
        source: Pixels | None
        if isinstance(item, ImageRecord):
            record, source = item, item.file if needs_graph(item) else None
        elif isinstance(item, (str, os.PathLike)) or is_path(item):
            record, source = image_record(id=str(item), file=item), to_path(item)
        else:
            name = getattr(item, "filename", "") or f"image {number}"
            record, source = image_record(id=name), item  # type: ignore[assignment]
        if source is not None and not _is_same(pixels.setdefault(record.id, source), source):
            # Two records without an id, or two images of Pillow of one file.
            record = replace(record, id=f"{record.id} (image {number})".lstrip())
            pixels[record.id] = source
        records.append(record)
    return records, pixels


def _is_same(one: Pixels, other: Pixels) -> bool:
    return one is other or (is_path(one) and is_path(other) and one == other)


def _parsed(texts: Sequence[str | TextRecord]) -> list[TextRecord]:
    """A record with a graph for each text."""
    plain = [
        text if isinstance(text, str) else text.caption
        for text in texts
        if isinstance(text, str) or not text.has_graph
    ]
    with outside_autocast():
        parses = iter(parse_batch(plain))
    records = []
    for text in texts:
        if isinstance(text, str):
            records.append(next(parses).to_record(text))
        else:
            records.append(text if text.has_graph else next(parses).to_record(text.id))
    return records


def is_image(item: object) -> TypeGuard[ImageInput]:
    """Whether something is one image; a string is the path of one.

    Args:
        item (any): Anything.
    """
    if isinstance(item, (str, os.PathLike, np.ndarray, ImageRecord, HeteroData)) or is_path(item):
        return True
    pillow = sys.modules.get("PIL.Image")  # without it there are no images of it
    return pillow is not None and isinstance(item, pillow.Image)


def _all_graphs(items: Sequence[object]) -> TypeGuard[Sequence[HeteroData]]:
    return bool(items) and all(isinstance(item, HeteroData) for item in items)


def _kinds(items: Sequence[object]) -> str:
    """The types of what was given, for messages."""
    return ", ".join(sorted({type(item).__name__ for item in items}))
