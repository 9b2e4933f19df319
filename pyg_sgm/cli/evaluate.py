"""``pyg-sgm evaluate``"""

from typing import Any, Literal

from pyg_sgm.cli._app import (
    JsonFile,
    KnownData,
    Run,
    check_out,
    console,
    is_stdout,
    open_pool,
    open_run,
    write_json,
)
from pyg_sgm.cli._data import PixelFlags, check_held_out, open_part


def evaluate(
    run: Run,
    *others: Run,
    data: KnownData = None,
    split: str | None = None,
    dev_every: int | None = None,
    pixels: PixelFlags = None,
    folds: int = 1,
    rerank: Literal["distraction"] | None = None,
    gamma: float = 4e-3,
    top: int = 10,
    ray: str | None = None,
    json: JsonFile = None,
) -> None:
    """Print recall and median rank of a trained model in both directions, or of the sum of the
    scores of several.

    Parameters
    ----------
    others
        Further runs on the same data, whose scores are added.
    split
        Split of the data. [default: what the training held out, if --data is not given, else test]
    dev_every
        If not 0, only the images that training with the same value keeps for choosing weights.
    folds
        Number of parts of consecutive images that are evaluated by themselves and averaged, such as
        5 for the 1K protocol of COCO. Of one run, also the first part alone is printed, which some
        papers report.
    rerank
        Re-rank the first of every query by distraction, and print both results.
    gamma
        Weight of the distraction score.
    top
        How many of every query are re-ranked.
    ray
        Address of a Ray cluster whose workers encode and score, for collections that are too large
        for one machine; auto finds the cluster of this machine, local starts one. They see the
        folder beside the run, where encodings lie meanwhile, by the same name. [default: this
        process]
    json
        File for the metrics, - for the standard output: i2t and t2i with r1, r5, r10, medr, and
        rsum; recalls are fractions, as "unit" says. Of a re-ranked result, with those of the first
        ranking under "first"; of folds, with the first one under "first_fold".
    """
    from pyg_sgm.cli._metrics import metrics_table
    from pyg_sgm.metrics.retrieval import RetrievalMetrics, mean_metrics
    from pyg_sgm.retrieval.ensemble import evaluate_sum

    check_out(json)
    if folds < 1:
        raise ValueError(f"--folds must be at least 1, got {folds}")
    if folds > 1 and rerank is not None:
        raise ValueError("--folds and --rerank exclude each other")
    if others and rerank is not None:
        raise ValueError("--rerank takes one run")
    if ray is not None and (others or folds > 1 or rerank is not None):
        raise ValueError("--ray takes one run, without --folds and --rerank")
    pool = open_pool(ray)
    matcher = open_run(run, pixels)
    dataset, name = open_part(data, split, dev_every, run, pixels, matcher, others)
    metrics: dict[str, Any]
    parts: list[RetrievalMetrics] = []
    if others:
        if {data, split, dev_every} == {None}:
            check_held_out([run, *others])
        first = evaluate_sum(
            [matcher, *(open_run(other, pixels) for other in others)], dataset, folds
        )
        name += f", sum of {1 + len(others)} runs"
        metrics = {**first}
    elif folds > 1:
        parts = matcher.evaluate_folds(dataset, folds)
        first = mean_metrics(parts)
        name += f", mean of {folds} folds"
        metrics = {**first, "first_fold": parts[0]}
    elif rerank is None:
        first = matcher.evaluate(dataset, pool=pool, folder=run.absolute().parent)
        metrics = {**first}
    else:
        first, reranked = matcher.evaluate_reranked(dataset, top, gamma)
        metrics = {**reranked, "first": first}
    if json is not None:
        write_json(json, {**metrics, "unit": "fraction"})
    if is_stdout(json):
        return
    console.print(metrics_table(first, name))
    if parts:
        console.print(metrics_table(parts[0], "the first fold alone"))
    if rerank is not None:
        console.print(metrics_table(reranked, f"{name}, re-ranked by {rerank}"))
