"""``pyg-sgm explain``"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from pyg_sgm.cli._app import (
    JsonFile,
    KnownData,
    Run,
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
    make_graphs,
    open_records,
    set_extractor,
)

if TYPE_CHECKING:
    from pyg_sgm.data import TextRecord
    from pyg_sgm.datasets import SceneGraphDataset
    from pyg_sgm.retrieval import Attention, Explanation, SceneGraphMatcher


def explain(
    run: Run,
    *,
    image: str,
    text: Annotated[list[str], Parameter(negative="")],
    data: KnownData = None,
    split: str | None = None,
    pixels: PixelFlags = None,
    triplet: Annotated[list[str] | None, Parameter(negative="")] = None,
    image_file: Path | None = None,
    json: JsonFile = None,
    out: Path | None = None,
) -> None:
    """Show which word matched which object, and which triplet which relation; for HOAD, which node
    of the text attends to which of the image; for models that compare graphs as wholes, the score.

    Parameters
    ----------
    image
        Name of the image in the data; or a file, which then needs no data.
    text
        A caption; may be given several times, then the scores are compared first. If it is one of
        the data, it has the triplets it has there, else it is parsed.
    split
        Split of the data. [default: test, or the one of which the training held something out]
    triplet
        A triplet of the caption, as "man,ride,horse", instead of parsing it; may be given several
        times.
    image_file
        The pixels, to draw the match on. [default: the file that the data names, if any]
    json
        File of the same as JSON, a list with an object for each text; "-" prints it instead of the
        tables.
    out
        File of the picture, such as match.png.
    """
    from pyg_sgm.retrieval import Attention

    if (triplet or out is not None) and len(text) > 1:
        raise ValueError("--triplet and --out are for one text, give one --text")
    check_out(json)
    if out is not None:
        from pyg_sgm.viz import check_picture

        check_picture(out)
    matcher = open_run(run, pixels)
    one, *known = _image(image, data, split, run, pixels, matcher)
    texts = [_text(each, triplet or [], *known) for each in text]
    found = [matcher.explain(one, each) for each in texts]
    if json is not None:
        write_json(json, [one.to_dict() | _worth(one, matcher) for one in found])
    if not is_stdout(json):
        if len(found) > 1:
            _print_scores(image, found)
        for explanation in found:
            if isinstance(explanation, Attention):
                _print_attention(explanation)
            else:
                _print_explanation(explanation, matcher.name)
            _print_worth(_worth(explanation, matcher))
    if out is not None:
        if isinstance(explanation, Attention):
            from pyg_sgm.viz import draw_attention

            draw_attention(explanation, out, image_file)
        else:
            from pyg_sgm.viz import draw_match

            draw_match(explanation, out, image_file)
        if not is_stdout(json):
            console.print(f"The picture is in {out}", markup=False)


def _image(
    image: str,
    data: str | None,
    split: str | None,
    run: Path,
    pixels: Pixels | None,
    matcher: SceneGraphMatcher,
) -> list[SceneGraphDataset]:
    """A dataset of the one image, then all data whose captions are known."""
    from pyg_sgm.data import image_record
    from pyg_sgm.datasets import SceneGraphDataset

    if data is None and Path(image).is_file():
        set_extractor(matcher, f"{run}", pixels)
        return [SceneGraphDataset([image_record(id=image, file=image)], [], [])]
    dataset = open_records(data, known_split(data, split, run), run, pixels, captioned=False)
    one = dataset.select_images([image_index(image, dataset)])
    one = make_graphs(one, run, pixels, matcher, data)
    return [one, one, dataset]


def _text(text: str, triplets: Sequence[str], *known: SceneGraphDataset) -> TextRecord:
    if not triplets:
        return find_text(text, *known)
    relations = []
    for triplet in triplets:
        parts = [part.strip() for part in triplet.split(",")]
        if len(parts) != 3 or not all(parts):
            raise ValueError(f'--triplet: expected "subject,predicate,object", got {triplet!r}')
        relations.append((parts[0], parts[1], parts[2]))
    from pyg_sgm.data import text_record

    return text_record(text, relations=relations)


def _worth(one: Explanation | Attention, matcher: SceneGraphMatcher) -> dict[str, Any]:
    """The chance of a score and the missing phrases, if the run is calibrated."""
    known = matcher.calibration
    if known is None:
        return {}
    return {"probability": known.probability(one.score), "missing": known.missing(one)}


def _print_worth(worth: dict[str, Any]) -> None:
    if worth:
        missing = f"; missing: {', '.join(worth['missing'])}" if worth["missing"] else ""
        console.print(f"chance {worth['probability']:.1%}{missing}", markup=False, highlight=False)


def _print_scores(image: str, found: Sequence[Explanation | Attention]) -> None:
    print_title(image)
    table = Table()
    table.add_column("text", overflow="fold")
    table.add_column("score", justify="right")
    for one in sorted(found, key=lambda one: -one.score):
        table.add_row(escape(one.text.caption), f"{one.score:.3f}")
    console.print(table)


def _print_explanation(explanation: Explanation, model: str) -> None:
    if not explanation.matches:
        print_title(explanation.text.caption)
        console.print(f"score {explanation.score:.3f}", highlight=False)
        if set(explanation.levels) == {"global"}:
            console.print(f"{model} compares graphs as wholes: nothing local to show")
        return
    print_title(explanation.text.caption)
    table = Table()
    for column in ("word or triplet", "object or relation"):
        table.add_column(column, overflow="fold")
    for column in ("similarity", "weight", "adds"):
        table.add_column(column, justify="right")
    level = ""
    for match in explanation.matches:
        if match.level == "reverse":  # one row per object, of little use to a reader
            continue
        if level and match.level != level:
            table.add_section()
        level = match.level
        numbers = (match.similarity, match.weight, match.contribution)
        names = (escape(match.text_name), escape(match.image_name))
        table.add_row(*names, *(f"{number:.3f}" for number in numbers))
    console.print(table)
    console.print(explanation.sum_of_levels(digits=3))


def _print_attention(attention: Attention) -> None:
    """Where every node of the text looks first, and the nodes of the image with most votes."""
    print_title(attention.text.caption)
    table = Table()
    for column in ("node of the text", "looks at"):
        table.add_column(column, overflow="fold")
    for column in ("attention", "weight"):
        table.add_column(column, justify="right")
    for node, row, weight in zip(
        attention.text_nodes, attention.weights, attention.text_weights.tolist(), strict=True
    ):
        best = int(row.argmax()) if row.numel() and float(row.max()) > 0 else None
        name = "nothing" if best is None else attention.image_nodes[best].name
        value = 0.0 if best is None else float(row[best])
        table.add_row(escape(node.name), escape(name), f"{value:.3f}", f"{weight:.3f}")
    console.print(table)
    console.print(f"score {attention.score:.3f}, distraction {attention.image_distraction:.3f}")
