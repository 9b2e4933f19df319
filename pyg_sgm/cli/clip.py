"""``pyg-sgm clip``"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pyg_sgm.cli._app import (
    Data,
    JsonFile,
    check_out,
    console,
    count_up,
    is_stdout,
    messages,
    write_json,
)
from pyg_sgm.cli._candidates import write_candidates
from pyg_sgm.cli._data import open_captioned

if TYPE_CHECKING:
    from torch import Tensor

    from pyg_sgm.datasets import SceneGraphDataset
    from pyg_sgm.vision import Photo


def clip(
    model: Annotated[
        str, Parameter(help="hf:NAME of transformers, or open_clip:MODEL/PRETRAINED.")
    ],
    *,
    data: Data,
    split: str = "test",
    captions: Path | None = None,
    top: int = 100,
    out: Path | None = None,
    json: JsonFile = None,
) -> None:
    """Print recall and median rank of a model of two towers such as CLIP or SigLIP, and write the
    best images of every caption with their scores, as candidates for rerank.

    Parameters
    ----------
    split
        Split of the data.
    captions
        CSV file of image,caption for data without, such as images:FOLDER.
    top
        How many images of every caption are written.
    out
        File of the candidates, with the columns query, id, score and relevant: CSV, or JSON if it
        ends in .json; "-" prints it.
    json
        File for the metrics, as evaluate has them; "-" prints it.
    """
    import torch

    from pyg_sgm.cli._metrics import metrics_table
    from pyg_sgm.io import counted
    from pyg_sgm.metrics.retrieval import retrieval_metrics
    from pyg_sgm.vision import open_towers

    check_out(out)
    check_out(json)
    if top < 1:
        raise ValueError(f"--top must be at least 1, got {top}")
    dataset = open_captioned(data, split, captions)
    towers = open_towers(model).to("cuda" if torch.cuda.is_available() else "cpu")
    known: list[int] = []
    with count_up("images") as progress:
        images = towers.encode_images(_photos(dataset, known, progress))
    dataset = dataset.select_images(known)
    texts = towers.encode_texts(text.caption for text in dataset.texts)
    scores = (images @ texts.T).cpu()
    metrics = retrieval_metrics(scores, dataset.image_of_text)
    if json is not None:
        write_json(json, {**metrics, "unit": "fraction"})
    if out is not None:
        write_candidates(out, _candidates(dataset, scores, top))
    if not is_stdout(out) and not is_stdout(json):
        sizes = counted(len(known), "image"), counted(len(dataset.texts), "text")
        console.print(metrics_table(metrics, f"{', '.join(sizes)}, {model}"))
        if out is not None:
            console.print(f"The candidates are in {out}", markup=False, highlight=False)


def _photos(
    dataset: SceneGraphDataset, known: list[int], progress: Callable[[int, int], None]
) -> Iterator[Photo]:
    """The photos of the data that can be read, whose positions are added to ``known``."""
    from pyg_sgm.vision import ImageError, read_photo

    for i, image in enumerate(dataset.images):
        progress(i + 1, len(dataset.images))
        if image.file is None:
            raise ValueError(f"image {image.id!r} has no file of its pixels")
        try:
            photo = read_photo(image.file)
        except (ImageError, FileNotFoundError) as error:
            messages.print(f"left out: {error}", markup=False, highlight=False)
            continue
        known.append(i)
        yield photo
    if not known:
        raise ValueError("none of the images can be read")


def _candidates(
    dataset: SceneGraphDataset, scores: Tensor, top: int
) -> list[dict[str, str | float | int]]:
    """The best images of every distinct caption."""
    own: dict[str, set[int]] = {}
    column: dict[str, int] = {}
    of_text = dataset.image_of_text.tolist()
    for place, (text, image) in enumerate(zip(dataset.texts, of_text, strict=True)):
        own.setdefault(text.caption, set()).add(image)
        column.setdefault(text.caption, place)
    value, index = scores.topk(min(top, len(scores)), dim=0)
    return [
        {
            "query": query,
            "id": dataset.image_ids[image],
            "score": score,
            "relevant": int(image in own[query]),
        }
        for query, place in column.items()
        for image, score in zip(index[:, place].tolist(), value[:, place].tolist(), strict=True)
    ]
