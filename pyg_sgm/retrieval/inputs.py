"""What users hand in, as encoded graphs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch_geometric.data import HeteroData

from pyg_sgm.data import (
    GraphCollection,
    ImageRecord,
    TextRecord,
    Vocabularies,
    pack_images,
    pack_texts,
)
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.models import Encoding
from pyg_sgm.retrieval.prepare import with_parses
from pyg_sgm.text import parse_batch


@dataclass(frozen=True)
class EncodedImages:
    """Images after :meth:`SceneGraphMatcher.encode_images`, in the order they were given.

    Args:
        ids: Name of each image.
        encoding: What the model makes of them.
    """

    ids: Sequence[str]
    encoding: Encoding

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class EncodedTexts:
    """Texts after :meth:`SceneGraphMatcher.encode_texts`, in the order they were given.

    Args:
        ids: Name of each text.
        encoding: What the model makes of them.
    """

    ids: Sequence[str]
    encoding: Encoding

    def __len__(self) -> int:
        return len(self.ids)


Images: TypeAlias = (
    EncodedImages
    | SceneGraphDataset
    | GraphCollection
    | Sequence[HeteroData]
    | Sequence[ImageRecord]
    | Sequence[str | os.PathLike[str]]
)
Texts: TypeAlias = (
    EncodedTexts
    | SceneGraphDataset
    | GraphCollection
    | str
    | Sequence[str]
    | Sequence[TextRecord]
    | Sequence[HeteroData]
)


def image_graphs(images: Any, vocabularies: Vocabularies) -> GraphCollection:
    """Image graphs of anything in :data:`Images` that is not yet encoded."""
    if isinstance(images, SceneGraphDataset):
        return pack_images(images.images, vocabularies, images.features)
    if isinstance(images, GraphCollection):
        return images
    if isinstance(images, (ImageRecord, HeteroData)):
        images = [images]
    images = list(images)
    if images and all(isinstance(image, ImageRecord) for image in images):
        return pack_images(images, vocabularies)
    if images and all(isinstance(image, HeteroData) for image in images):
        return GraphCollection.from_graphs(images)
    raise ValueError("images: expected a dataset, or image graphs or records, at least one")


def text_graphs(texts: Any, vocabularies: Vocabularies) -> GraphCollection:
    """Text graphs of anything in :data:`Texts` that is not yet encoded."""
    if isinstance(texts, SceneGraphDataset):
        return pack_texts(with_parses(texts).texts, vocabularies.words)
    if isinstance(texts, GraphCollection):
        return texts
    if isinstance(texts, (str, TextRecord, HeteroData)):
        texts = [texts]
    texts = list(texts)
    if texts and all(isinstance(text, HeteroData) for text in texts):
        return GraphCollection.from_graphs(texts)
    parses = iter(parse_batch([text for text in texts if isinstance(text, str)]))
    records = [next(parses).to_record(text) if isinstance(text, str) else text for text in texts]
    if records and all(isinstance(record, TextRecord) for record in records):
        return pack_texts(records, vocabularies.words)
    raise ValueError("texts: expected a dataset, captions, or text graphs or records, at least one")
