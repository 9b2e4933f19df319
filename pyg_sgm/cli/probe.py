"""``pyg-sgm probe``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from pyg_sgm.cli._app import (
    JsonFile,
    KnownData,
    Run,
    check_out,
    console,
    is_stdout,
    open_run,
    write_json,
)
from pyg_sgm.cli._data import PixelFlags, open_part

if TYPE_CHECKING:
    from pyg_sgm.evaluation import Probe


def probe(
    run: Run,
    *,
    data: KnownData = None,
    split: str | None = None,
    dev_every: int | None = None,
    pixels: PixelFlags = None,
    seed: int = 0,
    json: JsonFile = None,
) -> None:
    """Print how much more often a true caption scores higher than a false one with its own image
    than with the other images.

    The false captions are made by rule from the true ones: subject and object swapped (anywhere, or
    only where either could do it to the other, as the training captions tell), another predicate,
    attribute or number, a short true caption with one wrong detail, an object that is not there.
    Some sound odd; what that gives away, the column "other images" tells, which scores the same
    captions with every image that is not theirs. Chance is 50 %, a tie counts half, and a model
    that sees a bag of words ties on every swap.

    Parameters
    ----------
    split
        Split of the data. [default: what the training held out, if --data is not given, else test]
    dev_every
        If not 0, only the images that training with the same value keeps for choosing weights.
    seed
        Of the edits.
    json
        File for the results of every kind, - for the standard output: margin, half of its 95 %
        interval, accuracy and control (other images), as fractions, and the number of cases.
    """
    from pyg_sgm.evaluation import probe_relations
    from pyg_sgm.retrieval import with_parses

    check_out(json)
    matcher = open_run(run, pixels)
    dataset, name = open_part(data, split, dev_every, run, pixels, matcher)
    probes = probe_relations(matcher, with_parses(dataset), seed, training_pairs(run))
    if json is not None:
        results = {one.kind: one.to_dict() for one in probes}
        write_json(json, {**results, "chance": 0.5, "unit": "fraction", "seed": seed})
    if is_stdout(json):
        return
    console.print(_table(probes, name))
    for one in probes:
        for true, false in one.cases[:1]:
            console.print(f"{_name(one)}: {true.caption} / {false.caption}", markup=False)


def training_pairs(run: Path) -> frozenset[tuple[str, str]] | None:
    """The reversible pairs of the captions that a run was trained on; :obj:`None` if these are no
    longer there."""
    from pyg_sgm.datasets import open_dataset
    from pyg_sgm.retrieval import with_parses
    from pyg_sgm.text import reversible_pairs
    from pyg_sgm.training.run_dir import HELD_OUT_IMAGES, PARSES, SOURCE, SPLIT, read_run

    asked = read_run(run)
    if asked.get(SOURCE) is None or asked.get(SPLIT) is None:
        return None
    try:
        data = open_dataset(asked[SOURCE], asked[SPLIT])
    except (OSError, ValueError):
        return None
    held_out = set(asked.get(HELD_OUT_IMAGES) or ())
    trained = [i for i, id in enumerate(data.image_ids) if id not in held_out]
    return reversible_pairs(with_parses(data.select_images(trained), run / PARSES).texts)


def _table(probes: list[Probe], title: str) -> Table:
    table = Table(title=title, caption="chance: margin 0.0, own image 50.0", title_justify="left")
    table.add_column("the false caption", no_wrap=True)
    for column in ("margin, %", "own image, %", "other images, %", "cases"):
        table.add_column(column, justify="right")
    for one in probes:
        margin = "-"
        if one.margin is not None:
            margin = f"{100 * one.margin:.1f}"
            if one.interval is not None:
                margin += f" ± {100 * one.interval:.1f}"
        shares = ("-" if n is None else f"{100 * n:.1f}" for n in (one.accuracy, one.control))
        table.add_row(_name(one), margin, *shares, f"{len(one.cases):,}")
    return table


def _name(probe: Probe) -> str:
    return probe.kind.replace("_", " ")
