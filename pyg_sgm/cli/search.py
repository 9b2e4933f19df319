"""``pyg-sgm rank``"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from pyg_sgm.cli._app import KnownData, Run, console, open_run
from pyg_sgm.cli._data import PixelFlags, find_text, image_index, known_split, open_data
from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.retrieval import Answer, Answered, answer_images, answer_texts
from pyg_sgm.retrieval.search import graph_phrases


def rank(
    run: Run,
    *,
    data: KnownData = None,
    text: Annotated[list[str] | None, Parameter(negative="")] = None,
    image: Annotated[list[str] | None, Parameter(negative="")] = None,
    split: str | None = None,
    pixels: PixelFlags = None,
    top: int = 5,
    out: Path | None = None,
) -> None:
    """Show the best images of texts, or the best captions of images.

    What belongs to the query is marked. A text that is no caption of the data is compared with the
    first text: which images its edit moved.

    Parameters
    ----------
    text
        A text; may be given several times. If it is a caption of the data, it has the graph it has
        there, else it is parsed.
    image
        Name of an image in the data instead; may be given several times.
    split
        Split of the data. [default: test, or the one of which the training held something out]
    top
        How many answers a query.
    out
        File of a picture of the same, such as sheet.png.
    """
    if (text is None) == (image is None):
        raise ValueError("give --text, or --image")
    if top < 1:
        raise ValueError(f"--top: must be at least 1, got {top}")
    matcher = open_run(run)
    split = known_split(data, split, run)
    dataset = open_data(data, split, run, pixels, matcher, captioned=text is None)
    if text is not None:
        found = answer_texts(matcher, dataset, [find_text(one, dataset) for one in text], top)
    else:
        chosen = [image_index(one, dataset) for one in image or ()]
        found = answer_images(matcher, dataset, chosen, top)
    for one in found:
        console.print(_table(one))
    if out is not None:
        from pyg_sgm.viz import draw_answers

        draw_answers(found, out)
        console.print(f"The picture is in {out}", markup=False)


def _table(found: Answered) -> Table:
    query = found.query
    texts = isinstance(query, TextRecord)
    hidden = found.truth is not None and found.truth > len(found.answers)
    truth = f"its own is at {found.truth:,}" if hidden else None
    table = Table(title=escape(_name(query)), caption=truth, title_justify="left")
    table.add_column("", justify="right")
    table.add_column("image" if texts else "caption")
    table.add_column("score", justify="right")
    compared = any(answer.before is not None for answer in found.answers)
    if compared:
        table.add_column("place for the first text", justify="right")
    for answer in found.answers:
        cells = [f"{answer.rank}", escape(_answer(answer)), f"{answer.score:.3f}"]
        if compared:
            cells.append(f"{answer.before:,}")
        table.add_row(*cells, style="bold green" if answer.right else "")
    return table


def _name(query: ImageRecord | TextRecord) -> str:
    """A text with its graph, the name of an image."""
    if isinstance(query, ImageRecord):
        return query.id
    return "\n".join([query.caption, " | ".join(graph_phrases(query)) or "(no graph)"])


def _answer(answer: Answer) -> str:
    record = answer.record
    name = record.id if isinstance(record, ImageRecord) else record.caption
    return f"* {name}" if answer.right else name
