"""``pyg-sgm probe``"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from pyg_sgm.cli._app import Data, Run, console, open_run, write_json
from pyg_sgm.datasets import open_dataset
from pyg_sgm.retrieval import Probe, probe_relations, with_parses
from pyg_sgm.training.run_folder import PARSES


def probe(
    run: Run,
    *,
    data: Data,
    split: str = "test",
    dev_every: int = 0,
    seed: int = 0,
    json: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """Print how often a true caption scores higher with its image than the same caption with
    subject and object swapped, another predicate, or another attribute.

    Chance is 50 %; a tie counts half, and a model that sees a bag of words ties on every swap. The
    column "another image" scores the same captions with an image that is not theirs: what is above
    50 % there, the captions give away by themselves.

    Parameters
    ----------
    split
        Split of the data.
    dev_every
        If not 0, only the images that training with the same value keeps for choosing weights.
    seed
        Of the edits.
    json
        File for the results of every kind: accuracy and elsewhere (another image), in percent, and
        the number of cases.
    """
    matcher = open_run(run)
    dataset = with_parses(open_dataset(data, split), run / PARSES)
    if dev_every:
        dataset = dataset.split_every(dev_every)[1]
    probes = probe_relations(matcher, dataset, seed)
    console.print(_table(probes, f"{dataset}"))
    if json is not None:
        results = {
            one.kind: {
                "accuracy": one.accuracy,
                "elsewhere": one.elsewhere,
                "cases": len(one.cases),
            }
            for one in probes
        }
        write_json(json, {**results, "chance": 50.0, "seed": seed})


def _table(probes: list[Probe], title: str) -> Table:
    table = Table(title=title, caption="chance: 50.0", title_justify="left")
    table.add_column("the false caption", no_wrap=True)
    for column in ("true one first, %", "another image, %", "cases"):
        table.add_column(column, justify="right")
    table.add_column("for example")
    for one in probes:
        shares = ("-" if n is None else f"{n:.1f}" for n in (one.accuracy, one.elsewhere))
        example = one.cases[0][1].caption if one.cases else ""
        table.add_row(one.kind.replace("_", " "), *shares, f"{len(one.cases):,}", example)
    return table
