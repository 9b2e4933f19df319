"""Graphs of a few images, files or pixels, held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord, Ragged, Spans
from pyg_sgm.io import is_path
from pyg_sgm.vision import Extractor, Photo, read_photo, to_photo
from pyg_sgm.vision.extraction import AT_MOST

if TYPE_CHECKING:
    from PIL.Image import Image

Progress: TypeAlias = Callable[[int, int], None]
Pixels: TypeAlias = "Path | Image | np.ndarray"
NODES = ("object", "relation")  # that have region features
BATCH = 8


def graphs_in_memory(
    sources: Mapping[str, Pixels], extractor: Extractor, progress: Progress | None = None
) -> tuple[list[ImageRecord], dict[str, Ragged], Mapping[str, str]]:
    """Graphs, region features, and why images have none, of a few images.

    Args:
        sources (dict): File, image of Pillow, or array of each image by its id.
        extractor (Extractor): What makes the graphs.
        progress (Progress, optional): See :func:`with_graphs`. (default: :obj:`None`)
    """
    records: list[ImageRecord] = []
    parts: dict[str, list[np.ndarray]] = {node: [] for node in NODES}
    skipped: dict[str, str] = {}
    names = list(sources)
    for start in range(0, len(names), BATCH):
        photos = []
        for name in names[start : start + BATCH]:
            try:
                photos.append(open_photo(sources[name], name))
            except (ValueError, OSError) as error:
                skipped[name] = str(error)
        with outside_autocast():
            graphs = extractor(photos) if photos else []
        for graph in graphs:
            source = sources[graph.record.id]
            file = source if is_path(source) else None
            records.append(replace(graph.record, size=graph.size, file=file))
            for node, rows in parts.items():
                # As precise as a graph folder, so that scores do not depend on where graphs are.
                rows.append(graph.features[node].astype(np.float16))
        if progress is not None:
            progress(len(records) + len(skipped), len(sources))
    dim = extractor.features.dim
    features = {
        node: packed([torch.from_numpy(array).float() for array in arrays], dim)
        for node, arrays in parts.items()
    }
    return records, features, skipped


def open_photo(source: Pixels, name: str) -> Photo:
    """The photo of a file, or of pixels."""
    if is_path(source):
        return read_photo(source, name, at_most=AT_MOST)
    return to_photo(source, name, at_most=AT_MOST)  # type: ignore[arg-type]  # no path


def packed(parts: Sequence[Tensor], dim: int) -> Ragged:
    """One tensor for each image, in one storage."""
    count = torch.tensor([len(part) for part in parts], dtype=torch.long)
    return Ragged(torch.cat([torch.zeros(0, dim), *parts]), Spans.packed(count))


@contextmanager
def outside_autocast() -> Iterator[None]:
    """Parsers and extractors keep their precision, whatever a caller asks of the matcher."""
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield
