"""``pyg-sgm calibrate``"""

from dataclasses import asdict

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

CHANCES = (0.5, 0.2, 0.1, 0.05, 0.01)


def calibrate(
    run: Run,
    *,
    data: KnownData = None,
    split: str | None = None,
    dev_every: int | None = None,
    pixels: PixelFlags = None,
    seed: int = 0,
    json: JsonFile = None,
) -> None:
    """Measure what the scores of a trained model are worth, as chances that a text was written for
    an image, and from which similarity on a phrase is there; kept in the run, so that searches tell
    it. Training does the same with what it holds out.

    Parameters
    ----------
    split
        Split of the data. [default: what the training held out, if --data is not given, else test]
    dev_every
        If not 0, only the images that training with the same value keeps for choosing weights.
    seed
        Of the choice of images, if there are more than 1,000.
    json
        File of the calibration, which is also calibration.json in the run; "-" prints it instead of
        the table.
    """
    from pyg_sgm.training.run_dir import CALIBRATION

    check_out(json)
    matcher = open_run(run, pixels)
    dataset, name = open_part(data, split, dev_every, run, pixels, matcher)
    calibration = matcher.calibrate(dataset, seed)
    calibration.save(run / CALIBRATION)
    if json is not None:
        write_json(json, asdict(calibration))
    if is_stdout(json):
        return
    table = Table(title=f"Scores, by {name}", title_justify="left")
    for column in ("chance", "from the score"):
        table.add_column(column, justify="right")
    for chance in CHANCES:
        if chance < calibration.ceiling:
            table.add_row(f"{chance:.0%}", f"{calibration.score_at(chance):.3f}")
    console.print(table)
    error = f"{calibration.error:.3f}, of the first ten answers, by halves"
    console.print(f"Calibration error {error}; largest chance {calibration.ceiling:.0%}")
    if calibration.word is not None:
        least = [f"words below {calibration.word:.3f}"]
        if calibration.triplet is not None:
            least.append(f"triplets below {calibration.triplet:.3f}")
        console.print(f"Missing are {' and '.join(least)}")
    console.print(f"The calibration is in {run / CALIBRATION}", markup=False, highlight=False)
