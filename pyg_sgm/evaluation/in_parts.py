"""Evaluation by a pool of workers, of collections whose encodings no one machine holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file
from torch import Tensor

from pyg_sgm.data import GraphCollection, PairedGraphs, Ragged, Spans
from pyg_sgm.distributed import Pool
from pyg_sgm.evaluation._evaluate import score, score_pairs
from pyg_sgm.evaluation.encode import encode_images, encode_texts
from pyg_sgm.io import write_tensors
from pyg_sgm.metrics.retrieval import RetrievalMetrics, metrics_of_ranks
from pyg_sgm.models import Encoding, Matcher, SavedModel, encoding_types, load_model, save_model
from pyg_sgm.models.arrays import arrays_of, encoding_of_arrays
from pyg_sgm.ops import RankCounter

IMAGES_PER_PART = 512


def evaluate_in_parts(
    saved: SavedModel,
    graphs: PairedGraphs,
    pool: Pool,
    folder: Path,
    images_per_part: int = IMAGES_PER_PART,
) -> RetrievalMetrics:
    """The recalls of :func:`evaluate`, by the workers of a pool: they encode parts of the images
    with their texts, then compare a part of the images with all texts, part by part. A worker holds
    the encodings of a part of both, this process the ranks alone.

    Args:
        saved (SavedModel): The model.
        graphs (PairedGraphs): Images and texts; every image has a text.
        pool (Pool): The workers.
        folder (Path): A folder that they see by the same name, where encodings lie meanwhile.
        images_per_part (int, optional): Images of a part. (default: :obj:`512`)

    Raises:
        ValueError: As :func:`evaluate`.
    """
    count = len(graphs.images)
    parts = list(torch.arange(count).split(images_per_part))
    # Texts of one part lie side by side.
    order = graphs.image_of_text.argsort(stable=True)
    image_of_text = graphs.image_of_text[order]
    ends = torch.searchsorted(image_of_text, torch.tensor([int(part[-1]) for part in parts]) + 1)
    first_text = [0, *ends.tolist()]
    with TemporaryDirectory(dir=folder, prefix="evaluation.") as place:
        home = Path(place).absolute()
        save_model(home / "model", saved)

        def encodings() -> Iterator[_ToEncode]:
            for k, part in enumerate(parts):
                mine = slice(first_text[k], first_text[k + 1])
                yield _ToEncode(
                    home,
                    k,
                    _alone(graphs.images.select(part)),
                    _alone(graphs.texts.select(order[mine])),
                    image_of_text[mine] - part[0],
                )

        truth = torch.empty(len(order))
        for k, values in pool.run(_encode, encodings()):
            truth[first_text[k] : first_text[k + 1]] = values
        counter = RankCounter(truth, image_of_text, count)
        first_image = [int(part[0]) for part in parts]
        rows = (_ToCount(home, k, first_image, first_text, count) for k in range(len(parts)))
        for k, image_ranks, text_ranks in pool.run(_count, rows, truth, image_of_text):
            counter.image_ranks[parts[k]] = image_ranks
            counter.text_ranks += text_ranks - 1
    return metrics_of_ranks(counter.image_ranks, counter.text_ranks)


@dataclass(frozen=True)
class _ToEncode:
    """A part of the images, with their texts."""

    home: Path
    number: int
    images: GraphCollection
    texts: GraphCollection
    image_of_text: Tensor


def _encode(task: _ToEncode) -> tuple[int, Tensor]:
    """Writes the encodings of a part; gives the score of each text with its image."""
    model = _model(task.home)
    image, text = encode_images(model, task.images), encode_texts(model, task.texts)
    write_tensors(_file(task.home, "images", task.number), arrays_of(image.to("cpu")))
    write_tensors(_file(task.home, "texts", task.number), arrays_of(text.to("cpu")))
    return task.number, score_pairs(model, image, text, task.image_of_text)


@dataclass(frozen=True)
class _ToCount:
    """A part of the images, to be compared with all texts."""

    home: Path
    number: int
    first_image: list[int]
    first_text: list[int]
    num_images: int


def _count(task: _ToCount, truth: Tensor, image_of_text: Tensor) -> tuple[int, Tensor, Tensor]:
    """Ranks of the images of a part, and what its images add to the ranks of all texts."""
    model = _model(task.home)
    of_images, of_texts = encoding_types(model)
    image = _read(_file(task.home, "images", task.number), of_images, model)
    counter = RankCounter(truth, image_of_text, task.num_images)
    start = task.first_image[task.number]
    for number, first_text in enumerate(task.first_text[:-1]):
        text = _read(_file(task.home, "texts", number), of_texts, model)
        counter.add(score(model, image, text), start, first_text)
    return task.number, counter.image_ranks[start : start + len(image)], counter.text_ranks


@lru_cache(maxsize=1)
def _model(home: Path) -> Matcher:
    """The model of a worker, which does many tasks."""
    model = load_model(home / "model").model
    return model.to("cuda") if torch.cuda.is_available() else model


def _read(path: Path, kind: type[Encoding], model: Matcher) -> Encoding:
    encoding = encoding_of_arrays(load_file(path), kind, str(path))
    return encoding.to(next(model.parameters()).device)


def _file(home: Path, side: str, number: int) -> Path:
    return home / f"{side}-{number:06d}.safetensors"


def _alone(graphs: GraphCollection) -> GraphCollection:
    """The collection with no more than its own rows, to be sent; what is read from files when it is
    asked for stays there."""
    own: dict[int, tuple[Tensor, Spans]] = {}
    fields = {}
    for key, field in graphs.fields.items():
        rows, spans = field.rows, field.spans
        if isinstance(rows, Tensor):
            if id(spans) not in own:
                own[id(spans)] = spans.rows(), Spans.packed(spans.count)
            index, spans = own[id(spans)]
            rows = rows[index]
        fields[key] = Ragged(rows, spans)
    return GraphCollection(graphs.ids, graphs.num_nodes, fields, graphs.sizes)
