"""``pyg-sgm search``"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from pyg_sgm.cli._app import (
    JsonFile,
    KnownData,
    check_out,
    console,
    is_stdout,
    open_run,
    print_title,
    write_json,
)
from pyg_sgm.cli._data import (
    PixelFlags,
    Pixels,
    find_text,
    image_index,
    known_split,
    open_data,
    trained_on,
)
from pyg_sgm.cli._search_index import InIndex, search_index
from pyg_sgm.io import counted, is_uri, printable, to_path

if TYPE_CHECKING:
    from pyg_sgm.data import ImageRecord, TextRecord
    from pyg_sgm.datasets import SceneGraphDataset
    from pyg_sgm.retrieval import Candidate

    Query: TypeAlias = TextRecord | ImageRecord


def search(
    run: Annotated[
        str, Parameter(help="Folder of a training run or of a saved matcher; or index.")
    ],
    *query: str,
    data: KnownData = None,
    text: Annotated[list[str] | None, Parameter(negative="")] = None,
    image: Annotated[list[str] | None, Parameter(negative="")] = None,
    similar_to: Annotated[list[str] | None, Parameter(negative="")] = None,
    split: str | None = None,
    pixels: PixelFlags = None,
    top: int = 5,
    json: JsonFile = None,
    out: Path | None = None,
    in_index: Annotated[InIndex | None, Parameter(name="*")] = None,
) -> None:
    """Show the best images for texts, the best captions for images, or images like an image; in an
    index, such as search photos.idx "a man on a horse", or in a dataset.

    What belongs to the query is marked. A text that is no caption of the data is compared with the
    first text: which images its edit moved.

    Parameters
    ----------
    query
        Texts that images of an index are searched for.
    text
        Search images for a text; may be given several times. If it is a caption of the data, it has
        the graph it has there, else it is parsed.
    image
        Search captions for an image, by its name in the data; may be given several times.
    similar_to
        Search images like an image, by its name in the data or its file; may be given several
        times.
    split
        Split of the data. [default: test, or the one of which the training held something out]
    top
        Answers per query.
    json
        File of the answers as JSON; "-" prints it instead of the tables.
    out
        File of a picture of the same, such as sheet.png.
    """
    from pyg_sgm.index.reading import is_index

    if top < 1:
        raise ValueError(f"--top: must be at least 1, got {top}")
    check_out(json)
    if is_uri(run) or is_index(run):
        flags: dict[str, Any] = {"--data": data, "--split": split, "--image": image, "--out": out}
        given = pixels or Pixels()
        flags |= {"--captions": given.captions, "--graphs": given.graphs}
        wrong = [flag for flag, value in flags.items() if value is not None]
        if wrong:
            raise ValueError(f"{wrong[0]}: not in an index")
        sentences, photos = [*query, *(text or ())], similar_to or []
        inside = in_index or InIndex()
        if not sentences and not photos and inside.query_file is None:
            raise ValueError('give a query, such as "a man on a horse", or --similar-to')
        search_index(run, sentences, photos, top, inside, json, given)
        return
    if query:
        raise ValueError(f"{run} is no index; in a dataset, give queries with --text")
    if in_index is not None:
        asked = next(name for name, value in vars(in_index).items() if value is not None)
        raise ValueError(f"--{asked.replace('_', '-')}: only in an index, and {run} is none")
    _search_dataset(Path(run), data, text, image, similar_to, split, pixels, top, json, out)


def _search_dataset(
    run: Path,
    data: str | None,
    text: list[str] | None,
    image: list[str] | None,
    similar_to: list[str] | None,
    split: str | None,
    pixels: PixelFlags,
    top: int,
    json: Path | None,
    out: Path | None,
) -> None:
    from pyg_sgm.retrieval import search_images, search_similar, search_texts

    if sum(queries is not None for queries in (text, image, similar_to)) != 1:
        raise ValueError("give --text, --image or --similar-to, and only one of them")
    if out is not None:
        from pyg_sgm.viz import check_picture

        check_picture(out)
    matcher = open_run(run, pixels)
    split = known_split(data, split, run)
    dataset = open_data(data, split, run, pixels, matcher, captioned=image is not None)
    queries: list[Query]
    if text is not None:
        texts = [find_text(one, dataset) for one in text]
        queries = [*texts]
        found = search_images(matcher, texts, dataset, top)
    elif similar_to is not None:
        images = [_pictured(one, dataset) for one in similar_to]
        queries = [*images]
        found = search_similar(matcher, images, dataset, top)
    else:
        chosen = [image_index(one, dataset) for one in image or ()]
        images = [dataset.images[i] for i in chosen]
        queries = [*images]
        found = search_texts(matcher, chosen, dataset, top)
    captions = None if image is None else dataset.captions
    searched = _searched(
        dataset, captions is not None, split, trained_on(dataset, data, split, run)
    )
    if not is_stdout(json):
        for query, one in zip(queries, found, strict=True):
            print_title(_title(query))
            console.print(_table(one, captions))
        console.print(_said(searched), highlight=False, markup=False)
    if json is not None:
        rows = [_row(*one, captions) for one in zip(queries, found, strict=True)]
        write_json(json, {"searched": searched, "queries": rows})
    if out is not None:
        from pyg_sgm.viz import draw_found_images, draw_found_texts

        if image is None:
            draw_found_images(queries, found, dataset, out)
        else:
            draw_found_texts(images, found, dataset, out)
        if not is_stdout(json):
            console.print(f"The picture is in {out}", markup=False)


def _searched(
    dataset: SceneGraphDataset, captions: bool, split: str, trained: int | None
) -> dict[str, Any]:
    """What was searched, fit for JSON."""
    images = sum(image.has_graph for image in dataset.images)
    counts = {"images": images, "captions": len(dataset.texts)} if captions else {"images": images}
    return {**counts, "split": split, "trained_on": trained}


def _said(searched: dict[str, Any]) -> str:
    """The same as a line."""
    captions, trained = searched.get("captions"), searched["trained_on"]
    what = f"{counted(searched['images'], 'image')} of the split {searched['split']}"
    what = what if captions is None else f"{counted(captions, 'caption')} of {what}"
    if trained is None:
        return f"Searched {what}"
    seen = "none" if trained == 0 else "all" if trained == searched["images"] else f"{trained:,}"
    return f"Searched {what}; the model was trained on {seen} of these"


def _pictured(name: str, dataset: SceneGraphDataset) -> ImageRecord:
    """An image of the data by its name, else a file."""
    from pyg_sgm.data import image_record

    if name in dataset.image_ids:
        return dataset.images[image_index(name, dataset)]
    file = to_path(name)
    if not file.is_file():
        raise ValueError(f"--similar-to: {name!r} is no file, and no image of the data")
    for image in dataset.images:
        if image.file is not None and _is_same(image.file, file):
            return image
    return image_record(id=name, file=file)


def _is_same(file: Path, other: Path) -> bool:
    if is_uri(file) or is_uri(other):
        return str(file) == str(other)
    return os.path.samefile(file, other)


def _table(found: Sequence[Candidate], captions: Sequence[str] | None) -> Table:
    from pyg_sgm.retrieval.search import in_order

    shown = in_order(found)
    own = f"its own is at {found[-1].rank:,}" if len(shown) < len(found) else None
    table = Table(caption=own)
    table.add_column("", justify="right")
    table.add_column("image" if captions is None else "caption", overflow="fold")
    table.add_column("score", justify="right")
    compared = any(one.previous_rank is not None for one in shown)
    if compared:
        table.add_column("place for the first text", justify="right")
    for one in shown:
        name = escape(printable(one.id if captions is None else captions[one.index]))
        cells = [f"{one.rank}", f"* {name}" if one.relevant else name, f"{one.score:.3f}"]
        if compared:
            cells.append(f"{one.previous_rank:,}")
        table.add_row(*cells, style="bold green" if one.relevant else "")
    return table


def _title(query: Query) -> str:
    """A text with its graph, the name of an image."""
    from pyg_sgm.data import ImageRecord
    from pyg_sgm.retrieval.search import graph_phrases

    if isinstance(query, ImageRecord):
        return printable(query.id)
    return "\n".join([query.caption, " | ".join(graph_phrases(query)) or "(no graph)"])


def _row(
    query: Query, found: Sequence[Candidate], captions: Sequence[str] | None
) -> dict[str, Any]:
    """A query with its answers, fit for JSON."""
    from pyg_sgm.data import ImageRecord
    from pyg_sgm.retrieval.search import graph_phrases

    answers = [
        asdict(one) | ({} if captions is None else {"caption": captions[one.index]})
        for one in found
    ]
    if isinstance(query, ImageRecord):
        return {"image": query.id, "answers": answers}
    return {"text": query.caption, "graph": graph_phrases(query), "answers": answers}
