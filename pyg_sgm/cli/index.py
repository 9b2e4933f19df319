"""``pyg-sgm index``"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from pyg_sgm.cli._app import (
    JsonFile,
    Run,
    TextEncoderName,
    check_out,
    console,
    count_up,
    is_stdout,
    open_run,
    set_text_encoder,
    write_json,
)
from pyg_sgm.cli._data import Networks, PixelFlags

if TYPE_CHECKING:
    from pyg_sgm.datasets import SceneGraphDataset
    from pyg_sgm.index import Added, SceneGraphIndex
    from pyg_sgm.retrieval import SceneGraphMatcher

Index = Annotated[str, Parameter(help="Folder of the index, or its address, such as s3://...")]
IndexRun = Annotated[
    Path | None, Parameter(help="Run to open it with. [default: that which it was built with]")
]
SameData = Annotated[
    str | None,
    Parameter(help="Dataset whose images are taken instead of photos, as train takes it."),
]
Split = Annotated[str, Parameter(help="Split of the dataset.")]
Ray = Annotated[
    str | None,
    Parameter(
        help="Address of a Ray cluster whose workers do the work, of an index in shards; auto finds"
        " the cluster of this machine, local starts one. They see the index and the photos by the"
        " same names. [default: this process]"
    ),
]
Metadata = Annotated[
    Path | None,
    Parameter(help="CSV file with a column image; the others can be filtered by and are shown."),
]


def build(
    index: Index,
    *photos: str,
    run: Run,
    data: SameData = None,
    split: Split = "test",
    pixels: PixelFlags = None,
    metadata: Metadata = None,
    dtype: Literal["float16", "float32"] | None = None,
    shards: int | None = None,
    ray: Ray = None,
    json: JsonFile = None,
) -> None:
    """Make an index of photos, or of a dataset.

    A call that was broken off goes on where it stopped, as does one on an index that is there.

    Parameters
    ----------
    photos
        Folders, or their addresses, whose photos are known by their paths within them; files, and
        files .txt that list photos.
    dtype
        Type of the encoded nodes that are kept. [default: float16]
    shards
        Number of indices that the photos are spread over, which answer as one. [default: one index]
    json
        File of what was done as JSON; "-" prints it.
    """
    from pyg_sgm.index import SceneGraphIndex
    from pyg_sgm.index.reading import is_index

    check_out(json)
    matcher = open_run(run, pixels)
    images = _images(photos, data, split, run, pixels, matcher)
    if is_index(index):
        found = SceneGraphIndex.open(index, matcher, ray=ray)
        there = found.info()
        for flag, asked, own in (
            ("--dtype", dtype, there["dtype"]),
            ("--shards", shards, there.get("shards")),
        ):
            if asked not in (None, own):
                has = "one index" if own is None else own
                raise ValueError(f"{flag} {asked}: {index} is there, and has {has}")
    else:
        options: dict[str, Any] = {"run": run, "shards": shards, "ray": ray}
        found = SceneGraphIndex.create(index, matcher, dtype=dtype or "float16", **options)
    _add(found, images, metadata, json)


def add(
    index: Index,
    *photos: str,
    run: IndexRun = None,
    data: SameData = None,
    split: Split = "test",
    pixels: PixelFlags = None,
    metadata: Metadata = None,
    ray: Ray = None,
    json: JsonFile = None,
) -> None:
    """Add photos to an index; those that are there and have not changed are passed over.

    Parameters
    ----------
    photos
        Folders, or their addresses, whose photos are known by their paths within them; files, and
        files .txt that list photos.
    json
        File of what was done as JSON; "-" prints it.
    """
    check_out(json)
    found = open_index(index, run, ray, pixels)
    folder = Path(found.info()["run"] or "") if run is None else run
    _add(found, _images(photos, data, split, folder, pixels, found.matcher), metadata, json)


def remove(
    index: Index,
    *ids: str,
    run: IndexRun = None,
    text_encoder: TextEncoderName = None,
    json: JsonFile = None,
) -> None:
    """Remove photos from an index.

    Parameters
    ----------
    ids
        Names of the photos.
    json
        File of what was done as JSON; "-" prints it.
    """
    check_out(json)
    if not ids:
        raise ValueError("give the names of photos")
    found = open_index(index, run, networks=Networks(text_encoder=text_encoder))
    unknown = [id for id in ids if id not in found]
    done = {"removed": found.remove(ids), "unknown": unknown, "num_images": len(found)}
    lines = [f"{done['removed']} photos removed, {done['num_images']} are left"]
    lines += [f"not in the index: {', '.join(unknown)}"] if unknown else []
    _tell(done, lines, json)


def info(index: Index, *, run: IndexRun = None, json: JsonFile = None) -> None:
    """Say what an index holds and what made it.

    Parameters
    ----------
    json
        File of the same as JSON; "-" prints it.
    """
    check_out(json)
    found = open_index(index, run).info()
    _tell(found, [f"{name}: {_short(value)}" for name, value in found.items()], json)


def optimize(index: Index, *, run: IndexRun = None, text_encoder: TextEncoderName = None) -> None:
    """Join the small files of an index, and remove versions older than an hour."""
    found = open_index(index, run, networks=Networks(text_encoder=text_encoder))
    found.optimize()
    numbers = found.info()
    _say(f"{numbers['versions']} versions, {numbers['fragments']} fragments, {_size(numbers)}")


def rebuild(
    index: Index,
    *photos: str,
    run: Run,
    data: SameData = None,
    split: Split = "test",
    pixels: PixelFlags = None,
    ray: Ray = None,
    json: JsonFile = None,
) -> None:
    """Make an index fit a run: what another one has encoded is encoded again.

    Searches find the old photos until it is done. With the run that an index was built with, files
    that are damaged are written anew.

    Parameters
    ----------
    photos
        Folders and files of its photos. [default: where they were when they were added]
    json
        File of what the index holds then as JSON; "-" prints it.
    """
    from pyg_sgm.index import SceneGraphIndex

    check_out(json)
    matcher = open_run(run, pixels)
    images = None
    if photos or data is not None:
        images = _images(photos, data, split, run, pixels, matcher)
    with _kept(index), count_up("photos to rows") as progress:
        found = SceneGraphIndex.rebuild(index, matcher, images, run=run, progress=progress, ray=ray)
    done = found.info()
    _tell(done, [f"{done['num_images']} photos in {index}"], json)


def verify(index: Index, *, run: IndexRun = None, json: JsonFile = None) -> None:
    """Read every byte of an index, and say which files are damaged.

    Parameters
    ----------
    json
        File of the damages as JSON; "-" prints it.
    """
    check_out(json)
    wrong = open_index(index, run).verify()
    _tell({"damaged": wrong}, wrong or [f"{index}: all is well"], json)
    if wrong:
        raise ValueError(f"{index}: {len(wrong)} damages; `pyg-sgm index rebuild` mends segments")


def export(index: Index, out: Path, *, run: IndexRun = None) -> None:
    """Write the rows of an index to a file for another store.

    Parameters
    ----------
    out
        A file .parquet (names, graphs, metadata, nodes as lists) or .npz (names and nodes).
    """
    check_out(out)
    count = open_index(index, run).export(out)
    _say(f"{count} photos written: {out}")


def open_index(
    index: str,
    run: Path | None = None,
    ray: str | None = None,
    networks: Networks | None = None,
) -> SceneGraphIndex:
    """An index with its matcher, and the text encoder that flags name."""
    from pyg_sgm.index import SceneGraphIndex

    found = SceneGraphIndex.open(index, None if run is None else open_run(run), ray=ray)
    set_text_encoder(found.matcher, networks)
    return found


def _images(
    photos: tuple[str, ...],
    data: str | None,
    split: str,
    run: Path,
    pixels: PixelFlags,
    matcher: SceneGraphMatcher,
) -> SceneGraphDataset:
    """The images that flags name, with graphs where there is a folder for them."""
    from pyg_sgm.cli._data import make_graphs, open_records, set_extractor
    from pyg_sgm.index.adding import dataset_of
    from pyg_sgm.io import is_there, to_path
    from pyg_sgm.retrieval import with_graphs

    if (data is None) == (not photos):
        raise ValueError("give photos, or --data, and only one of them")
    if data is not None:
        dataset = open_records(data, split, run, pixels, captioned=False)
        return make_graphs(dataset, run, pixels, matcher, data)
    for path in photos:
        if not is_there(to_path(path)):
            raise FileNotFoundError(f"{path}: there is no such file or folder")
    parts = [dataset_of(path).images for path in photos]
    dataset = dataset_of([image for part in parts for image in part])
    set_extractor(matcher, f"{run}", pixels)
    if pixels is not None and pixels.graphs is not None:
        with count_up("photos to graphs") as progress:
            return with_graphs(dataset, pixels.graphs, matcher.extractor, progress)
    return dataset


def _add(
    index: SceneGraphIndex, images: SceneGraphDataset, metadata: Path | None, json: Path | None
) -> None:
    rows = None if metadata is None else _read_metadata(metadata, images)
    with _kept(index.uri), count_up("photos to rows") as progress:
        done: Added = index.add(images, rows, progress)
    lines = [f"{done.added} photos added, {done.replaced} replaced, {done.unchanged} unchanged"]
    lines += (
        [f"{len(done.skipped)} cannot be read: {', '.join(done.skipped)}"] if done.skipped else []
    )
    lines.append(f"{len(index)} photos in {index.uri}")
    _tell({**asdict(done), "num_images": len(index)}, lines, json)


@contextmanager
def _kept(index: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"stopped; {index} keeps what is done, and the same command goes on"
        ) from stop


def _read_metadata(path: Path, images: SceneGraphDataset) -> dict[str, dict[str, Any]]:
    """Values by name, by the id of their image."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(path)
        names = table.column_names
        texts = csv.read_csv(
            path, convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: not CSV: {error}") from error
    if "image" not in names:
        raise ValueError(f"{path}: there is no column image, only {', '.join(names)}")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"{path}: two columns are named {twice[0]}")
    for i, name in enumerate(names):
        # 00501 is no number.
        if name == "image" or (
            pa.types.is_integer(table[name].type)
            and any(text[:1] == "0" and text != "0" for text in texts[name].to_pylist())
        ):
            table = table.set_column(i, name, texts[name])
    rows: dict[str, dict[str, Any]] = {}
    for row in table.to_pylist():
        image = row.pop("image")
        if image in rows:
            raise ValueError(f"{path}: two rows name the image {image!r}")
        # An empty cell of text is read as text.
        rows[image] = {name: value for name, value in row.items() if value not in (None, "")}
    others = list(rows.keys() - set(images.image_ids))
    if len(others) == len(rows):
        raise ValueError(f"{path}: names none of the images, such as {images.image_ids[0]!r}")
    if others:
        warnings.warn(
            f"{path}: {len(others)} of {len(rows)} rows name none of the images, such as "
            f"{min(others)!r}",
            stacklevel=2,
        )
    return rows


def _tell(value: dict[str, Any], lines: list[str], json: Path | None) -> None:
    if not is_stdout(json):
        for line in lines:
            _say(line)
    if json is not None:
        write_json(json, value)


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False)


def _size(numbers: dict[str, Any]) -> str:
    return f"{(numbers['bytes'] + numbers['segment_bytes']) / 2**20:,.0f} MiB"


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {kind}" for name, kind in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
