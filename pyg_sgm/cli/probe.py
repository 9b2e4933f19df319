"""``pyg-sgm probe``"""

from __future__ import annotations

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
    """Print how often a true caption scores higher with its image than the same caption with
    subject and object swapped, another predicate, or another attribute.

    Chance is 50 %; a tie counts half, and a model that sees a bag of words ties on every swap. The
    column "another image" scores the same captions with an image that is not theirs: what is above
    50 % there, the captions give away by themselves.

    Parameters
    ----------
    split
        Split of the data. [default: what the training held out, if --data is not given, else test]
    dev_every
        If not 0, only the images that training with the same value keeps for choosing weights.
    seed
        Of the edits.
    json
        File for the results of every kind, - for the standard output: accuracy and control
        (another image), as fractions, and the number of cases.
    """
    from pyg_sgm.evaluation import probe_relations
    from pyg_sgm.retrieval import with_parses

    check_out(json)
    matcher = open_run(run)
    dataset, name = open_part(data, split, dev_every, run, pixels, matcher)
    probes = probe_relations(matcher, with_parses(dataset), seed)
    if json is not None:
        results = {one.kind: one.to_dict() for one in probes}
        write_json(json, {**results, "chance": 0.5, "unit": "fraction", "seed": seed})
    if is_stdout(json):
        return
    console.print(_table(probes, name))
    for one in probes:
        for true, false in one.cases[:1]:
            console.print(f"{_name(one)}: {true.caption} / {false.caption}", markup=False)


def _table(probes: list[Probe], title: str) -> Table:
    table = Table(title=title, caption="chance: 50.0", title_justify="left")
    table.add_column("the false caption", no_wrap=True)
    for column in ("true one first, %", "another image, %", "cases"):
        table.add_column(column, justify="right")
    for one in probes:
        shares = ("-" if n is None else f"{100 * n:.1f}" for n in (one.accuracy, one.control))
        table.add_row(_name(one), *shares, f"{len(one.cases):,}")
    return table


def _name(probe: Probe) -> str:
    return probe.kind.replace("_", " ")
