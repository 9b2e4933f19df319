"""Data as the commands name them."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pyg_sgm.cli._app import TextEncoderName, count_up
from pyg_sgm.io import counted, is_there, to_path

if TYPE_CHECKING:
    from pyg_sgm.data import TextRecord
    from pyg_sgm.datasets import SceneGraphDataset
    from pyg_sgm.retrieval import SceneGraphMatcher


@dataclass(frozen=True)
class Networks:
    """Flags that name networks, which a run or an index opens by itself only if they are
    shipped."""

    detector: Annotated[
        str | None,
        Parameter(
            help="What finds the objects of photos: grid, onnx:FILE, torchvision:NAME, "
            "file:FILE,name=NAME, or several joined by +. [default: what made the graphs that are "
            "there, else grid]"
        ),
    ] = None
    backbone: Annotated[
        str | None,
        Parameter(
            help="What sees photos, as pyg-sgm graphs takes it. [default: what made the graphs "
            "that are there, else efficientnet_lite0]"
        ),
    ] = None
    text_encoder: TextEncoderName = None


@dataclass(frozen=True)
class Pixels(Networks):
    """Flags of commands on data, which may be files of images."""

    captions: Annotated[
        Path | None,
        Parameter(help="CSV file of image,caption for data without, such as images:FOLDER."),
    ] = None
    graphs: Annotated[
        str | None,
        Parameter(
            help="Folder of the graphs of images that are files, or its address, as pyg-sgm graphs "
            "makes it; what it lacks is added. [default: that of the training, graphs.sg in the "
            "run; of other data a folder of their own beside it]"
        ),
    ] = None
    strict: Annotated[
        bool,
        Parameter(
            negative="", help="Stop at a record that cannot be used, instead of leaving it out."
        ),
    ] = False


NetworkFlags = Annotated[Networks | None, Parameter(name="*")]
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
    dataset = open_records(data, split, run, pixels, captioned)
    return give_graphs(dataset, run, pixels, matcher, data)


def open_part(
    data: str | None,
    split: str | None,
    dev_every: int | None,
    run: Path,
    pixels: Pixels | None,
    matcher: SceneGraphMatcher,
    others: Sequence[Path] = (),
) -> tuple[SceneGraphDataset, str]:
    """A split of a dataset, or what is held out of it, and what to call it in a table, which says
    how many images the run was trained on, or any of other runs.

    Without any flag it is what the training held out, by the names of the images.
    """
    from pyg_sgm.training.run_dir import HELD_OUT, HELD_OUT_IMAGES, read_run

    asked = read_run(run)
    known = asked.get(HELD_OUT) if (data, split, dev_every) == (None, None, None) else None
    if known is not None:
        split, dev_every = known["split"], known["dev_every"]
    dataset = open_records(data, split or "test", run, pixels)
    title = ", held out in training" if known else ""
    if known is None or asked.get(HELD_OUT_IMAGES) is None:  # version 0.1 did not write the names
        dataset = dataset.split_every(dev_every)[1] if dev_every else dataset
    else:
        dataset = _held_out(dataset, known, asked[HELD_OUT_IMAGES])
    dataset = give_graphs(dataset, run, pixels, matcher, data)
    if not title:
        name, split = data_name(data, pixels, run), split or "test"
        counts = [(run, trained_on(dataset, data, split, run))]
        counts += [(other, trained_on(dataset, name, split, other)) for other in others]
        for one, seen in counts:
            if seen:
                title += f", {seen:,} of the images trained on" + (f" by {one}" if others else "")
    return dataset, size_of(dataset) + title


def check_held_out(runs: Sequence[Path]) -> None:
    """Raises a ValueError unless the same images were held out in all runs."""
    from pyg_sgm.training.run_dir import HELD_OUT_IMAGES, read_run

    held_out = [read_run(run).get(HELD_OUT_IMAGES) for run in runs]
    for run, images in zip(runs, held_out, strict=True):
        if images != held_out[0]:
            raise ValueError(
                f"{run}: its training held out other images than that of {runs[0]}: say what to "
                "evaluate on, by --data, --split or --dev-every"
            )


def open_records(
    data: str | None, split: str, run: Path, pixels: Pixels | None, captioned: bool = True
) -> SceneGraphDataset:
    """A dataset as it is on the disk."""
    strict = pixels is not None and pixels.strict
    return _opened(data_name(data, pixels, run), split, strict, captioned)


def give_graphs(
    dataset: SceneGraphDataset,
    run: Path,
    pixels: Pixels | None,
    matcher: SceneGraphMatcher,
    data: str | None = None,
) -> SceneGraphDataset:
    """The same with graphs of its images and parsed captions, which are kept beside the run."""
    from pyg_sgm.retrieval import with_parses
    from pyg_sgm.training.run_dir import PARSES

    return with_parses(make_graphs(dataset, run, pixels, matcher, data), run / PARSES)


def _held_out(
    dataset: SceneGraphDataset, known: dict[str, int], images: list[str]
) -> SceneGraphDataset:
    """The images that a training held out; data that are no longer those of the training are
    told."""
    place = {id: i for i, id in enumerate(dataset.image_ids)}
    there = [place[id] for id in images if id in place]
    if not there:
        raise ValueError(
            "none of the images that the training held out is in the data: give --data"
        )
    gone = [id for id in images if id not in place]
    if gone:
        warnings.warn(
            f"{len(gone)} of {len(images)} images that the training held out are no longer in the "
            f"data, such as {gone[0]!r}; the others are taken",
            stacklevel=2,
        )
    before = known.get("num_images", len(dataset))
    if before != len(dataset.images):
        warnings.warn(
            f"the data had {before} images in training and have {len(dataset.images)} now; those "
            "that were held out then are taken",
            stacklevel=2,
        )
    return dataset.select_images(there)


def known_split(data: str | None, split: str | None, run: Path) -> str:
    """The split that is asked for, else the one of which the training held something out."""
    from pyg_sgm.training.run_dir import HELD_OUT, read_run

    known = read_run(run).get(HELD_OUT) if data is None and split is None else None
    return known["split"] if known else split or "test"


def data_name(data: str | None, pixels: Pixels | None, run: Path) -> str:
    """The dataset that the flags name, else that of the training."""
    from pyg_sgm.training.run_dir import SOURCE, read_run

    captions = None if pixels is None else pixels.captions
    if data is None:
        if captions is not None:
            raise ValueError("--captions without --data")
        known: str | None = read_run(run).get(SOURCE)
        if known is None:
            raise ValueError(f"{run} does not say what it was trained on: give --data")
        return known
    return _with_captions(data, captions)


def open_captioned(data: str, split: str, captions: Path | None) -> SceneGraphDataset:
    """A dataset with captions, which may come from a file of their own."""
    return _opened(_with_captions(data, captions), split)


def _opened(
    name: str, split: str, strict: bool = False, captioned: bool = True
) -> SceneGraphDataset:
    from pyg_sgm.datasets import open_dataset

    dataset = open_dataset(name, split, strict=strict)
    if captioned and not dataset.texts:
        raise ValueError(f"{name} has no captions: give --captions")
    return dataset


def _with_captions(data: str, captions: Path | None) -> str:
    return data if captions is None else f"{data},captions={captions}"


def make_graphs(
    dataset: SceneGraphDataset,
    run: Path,
    pixels: Pixels | None,
    matcher: SceneGraphMatcher,
    data: str | None = None,
) -> SceneGraphDataset:
    """The same with graphs of its images, if they are files alone.

    They are made by the extractor of the matcher, or one that does not know of any is given it:
    that of ``--detector``, else of the graph folder.

    Args:
        dataset (SceneGraphDataset): The data.
        run (Path): The run, which keeps the graphs.
        pixels (Pixels): Flags.
        matcher (SceneGraphMatcher): The matcher of the run.
        data (str, optional): What ``--data`` names. (default: :obj:`None`, the data of the
            training)
    """
    from pyg_sgm.retrieval import with_graphs
    from pyg_sgm.retrieval.prepare import needs_graph

    if not any(needs_graph(image) for image in dataset.images):
        return dataset
    pixels = pixels or Pixels()
    folder = to_path(pixels.graphs) if pixels.graphs else _graph_folder(run, data)
    set_extractor(matcher, f"{run}", pixels, folder)
    extractor = matcher.extractor
    with count_up("images to graphs") as progress:
        return with_graphs(dataset, folder, extractor, progress)


def set_extractor(
    matcher: SceneGraphMatcher,
    where: str,
    networks: Networks | None,
    folder: Path | None = None,
) -> None:
    """Gives the matcher of a run or an index its extractor with the names of detector and backbone
    that flags give; and one that has none that of a folder of graphs, or any."""
    from pyg_sgm.retrieval.prepare import extractor_of
    from pyg_sgm.vision.description import open_described

    networks = networks or Networks()
    asked = {"detector": networks.detector, "backbone": networks.backbone}
    given = {name: value for name, value in asked.items() if value is not None}
    if matcher.made_by is None:
        if given or folder is not None:
            matcher.extractor = extractor_of(folder, given)
    elif given:
        matcher.extractor = open_described(matcher.made_by, where, given)


def _graph_folder(run: Path, data: str | None) -> Path:
    """Where the graphs of the training are, or those of other data: files of both may have the same
    names."""
    from pyg_sgm.training.run_dir import GRAPHS, SHARED, read_run

    if data is not None and not _is_source(data, run):
        return run / f"graphs-{hashlib.sha256(_photos(data).encode()).hexdigest()[:8]}.sg"
    shared = read_run(run).get(SHARED)
    if shared is None:
        return run / GRAPHS
    if not is_there(to_path(shared)):
        raise ValueError(f"{shared}: the graphs of the training have moved: give --graphs")
    return to_path(shared)


def _is_source(data: str, run: Path) -> bool:
    """Whether the images are those of the data that a run was trained on."""
    from pyg_sgm.training.run_dir import SOURCE, read_run

    source = read_run(run).get(SOURCE)
    return source is not None and _photos(data) == _photos(source)


def _photos(data: str) -> str:
    """What names the images of a dataset, by names that hold in any folder."""
    from pyg_sgm.datasets.registry import with_full_paths

    full = re.sub(r",captions=.*?(?=,\w+=|$)", "", with_full_paths(data))
    # A file of captions calls images as they are called in their folder, whatever it says of them.
    return re.sub(r"^(coco|captions|factual):.*(?=,images=)", r"\1:", full)


def trained_on(dataset: SceneGraphDataset, data: str | None, split: str, run: Path) -> int | None:
    """How many images of a split a run was trained on; none of other data. :obj:`None`, if the run
    does not say what it was trained on, or that is no longer there."""
    from pyg_sgm.datasets import open_dataset
    from pyg_sgm.datasets.registry import with_full_paths
    from pyg_sgm.training.run_dir import HELD_OUT, HELD_OUT_IMAGES, SOURCE, SPLIT, read_run

    asked = read_run(run)
    if data is not None and asked.get(SOURCE) is not None and not _is_source(data, run):
        return 0
    held = asked.get(HELD_OUT) or {}
    # Version 0.1 named the split only where it held out a part of it.
    trained = asked.get(SPLIT, held.get("split") if held.get("dev_every") else None)
    if asked.get(SOURCE) is None or trained is None:
        return None
    # Another file of captions may name other images of the same photos.
    same = trained == split and (data is None or with_full_paths(data) == asked[SOURCE])
    try:
        whole = dataset if same else open_dataset(asked[SOURCE], trained)
    except FileNotFoundError:  # the data of the training have moved
        return None
    seen = set(whole.image_ids)
    if asked.get(HELD_OUT_IMAGES) is not None:
        seen -= set(asked[HELD_OUT_IMAGES])
    elif held.get("dev_every"):
        seen -= set(whole.split_every(held["dev_every"])[1].image_ids)
    return sum(image.has_graph and image.id in seen for image in dataset.images)


def size_of(dataset: SceneGraphDataset) -> str:
    """How many images and texts there are, as the title of a table; those of images that cannot be
    read do not count."""
    from pyg_sgm.retrieval.prepare import with_known_images

    known = with_known_images(dataset)
    unread = len(dataset.images) - len(known.images)
    left_out = f", {counted(unread, 'image')} that cannot be read" if unread else ""
    images, texts = counted(len(known.images), "image"), counted(len(known.texts), "text")
    return f"{images}, {texts}{left_out}"


def find_text(text: str, *datasets: SceneGraphDataset) -> TextRecord:
    """A caption of the data with its graph there, else a parsed text, which has a word."""
    from pyg_sgm.text import parse

    for dataset in datasets:
        for record in dataset.texts:
            if record.caption == text and record.has_graph:
                return record
    parsed = parse(text)
    if not parsed.words:
        raise ValueError(f"--text: {text!r} has no word")
    return parsed.to_record()


def image_index(image: str, dataset: SceneGraphDataset) -> int:
    """Position of an image by its name."""
    if image not in dataset.image_ids:
        some = ", ".join(dataset.image_ids[:3])
        raise ValueError(
            f"--image: no {image!r} among {counted(len(dataset.images), 'image')}: {some}, ..."
        )
    return dataset.image_ids.index(image)
