"""Data as the commands name them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pyg_sgm.cli._app import count_up
from pyg_sgm.data import TextRecord
from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.retrieval import SceneGraphMatcher, with_graphs, with_parses
from pyg_sgm.retrieval.prepare import extractor_of, needs_graph
from pyg_sgm.text import parse
from pyg_sgm.training.run_dir import GRAPHS, HELD_OUT, PARSES, SHARED, SOURCE, read_run
from pyg_sgm.vision import open_extractor
from pyg_sgm.vision.description import open_described


@dataclass(frozen=True)
class Pixels:
    """Flags of commands on data that may be files of images."""

    captions: Annotated[
        Path | None,
        Parameter(help="CSV file of image,caption for data without, such as images:FOLDER."),
    ] = None
    graphs: Annotated[
        Path | None,
        Parameter(
            help="Folder of the graphs of images that are files, as pyg-sgm graphs makes it; what "
            "it lacks is added. [default: that of the training, graphs.sg in the run]"
        ),
    ] = None
    detector: Annotated[
        str | None,
        Parameter(
            help="What finds their objects: grid, onnx:FILE, torchvision:NAME, file:FILE, or "
            "several joined by +. [default: what made the graphs that are there, else grid]"
        ),
    ] = None


PixelFlags = Annotated[Pixels | None, Parameter(name="*")]


def open_data(
    data: str | None,
    split: str,
    run: Path,
    pixels: Pixels | None,
    matcher: SceneGraphMatcher,
    captioned: bool = True,
) -> SceneGraphDataset:
    """A dataset with graphs of its images and parsed captions, which are kept beside the run."""
    name = data_name(data, pixels, run)
    dataset = open_dataset(name, split)
    if captioned and not dataset.texts:
        raise ValueError(f"{name} has no captions: give --captions")
    return with_parses(make_graphs(dataset, run, pixels, matcher), run / PARSES)


def open_part(
    data: str | None,
    split: str | None,
    dev_every: int | None,
    run: Path,
    pixels: Pixels | None,
    matcher: SceneGraphMatcher,
) -> tuple[SceneGraphDataset, str]:
    """A split of a dataset, or what is held out of it, and what to call it in a table.

    Without any flag it is what the training held out.
    """
    known = _held_out(run) if (data, split, dev_every) == (None, None, None) else None
    split, dev_every = known or (split or "test", dev_every or 0)
    dataset = open_data(data, split, run, pixels, matcher)
    if dev_every:
        dataset = dataset.split_every(dev_every)[1]
    return dataset, size_of(dataset) + (", held out in training" if known else "")


def known_split(data: str | None, split: str | None, run: Path) -> str:
    """The split that is asked for, else the one of which the training held something out."""
    known = _held_out(run) if data is None and split is None else None
    return known[0] if known else split or "test"


def data_name(data: str | None, pixels: Pixels | None, run: Path) -> str:
    """The dataset that the flags name, else that of the training."""
    captions = None if pixels is None else pixels.captions
    if data is None:
        if captions is not None:
            raise ValueError("--captions without --data")
        known = read_run(run).get(SOURCE)
        if known is None:
            raise ValueError(f"{run} does not say what it was trained on: give --data")
        return known
    return data if captions is None else f"{data},captions={captions}"


def make_graphs(
    dataset: SceneGraphDataset, run: Path, pixels: Pixels | None, matcher: SceneGraphMatcher
) -> SceneGraphDataset:
    """The same with graphs of its images, if they are files alone.

    They are made by the extractor of the matcher, or one that does not know of any is given it:
    that of ``--detector``, else of the graph folder.
    """
    if not any(needs_graph(image) for image in dataset.images):
        return dataset
    pixels = pixels or Pixels()
    folder = pixels.graphs or _graph_folder(run)
    if matcher.made_by is None:
        asked = pixels.detector
        matcher.extractor = extractor_of(folder) if asked is None else open_extractor(asked)
    elif pixels.detector is not None:
        matcher.extractor = open_described(matcher.made_by, f"{run}", pixels.detector)
    extractor = matcher.extractor
    with count_up("images to graphs") as progress:
        return with_graphs(dataset, folder, extractor, progress)


def _graph_folder(run: Path) -> Path:
    """Where the graphs of the training were."""
    shared = read_run(run).get(SHARED)
    if shared is None:
        return run / GRAPHS
    if not Path(shared).is_dir():
        raise ValueError(f"{shared}: the graphs of the training have moved: give --graphs")
    return Path(shared)


def _held_out(run: Path) -> tuple[str, int] | None:
    """Split, and which part of it (0 for all)."""
    known = read_run(run).get(HELD_OUT)
    return None if known is None else (known["split"], known["dev_every"])


def size_of(dataset: SceneGraphDataset) -> str:
    """How many images and texts there are, as the title of a table."""
    return f"{len(dataset.images):,} images, {len(dataset.texts):,} texts"


def find_text(text: str, *datasets: SceneGraphDataset) -> TextRecord:
    """A caption of the data with its graph there, else a parsed text."""
    for dataset in datasets:
        for record in dataset.texts:
            if record.caption == text and record.has_graph:
                return record
    return parse(text).to_record()


def image_index(image: str, dataset: SceneGraphDataset) -> int:
    """Position of an image by its name."""
    if image not in dataset.image_ids:
        some = ", ".join(dataset.image_ids[:3])
        raise ValueError(f"--image: no {image!r} among {len(dataset.images)} images: {some}, ...")
    return dataset.image_ids.index(image)
