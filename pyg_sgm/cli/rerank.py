"""``pyg-sgm rerank``"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter
from rich.table import Table

from pyg_sgm.cli._app import KnownData, check_out, console, is_stdout, open_run
from pyg_sgm.cli._candidates import Candidates, read_candidates, write_candidates
from pyg_sgm.cli._data import PixelFlags, known_split, open_data, trained_on
from pyg_sgm.cli.index import open_index
from pyg_sgm.io import counted

if TYPE_CHECKING:
    from torch import Tensor

    from pyg_sgm.retrieval import SceneGraphMatcher

Scores: TypeAlias = "dict[str, Tensor]"
PLACES = (1, 5, 10)


def rerank(
    run: Annotated[
        str, Parameter(help="Folder of a training run or of a saved matcher; or index.")
    ],
    candidates: Path,
    *,
    out: Path | None = None,
    weight: float | None = None,
    fit: Annotated[bool, Parameter(negative="")] = False,
    data: KnownData = None,
    split: str | None = None,
    pixels: PixelFlags = None,
) -> None:
    """Put images that something else has found for sentences in order, by their scores here and
    there.

    Parameters
    ----------
    candidates
        CSV file with the columns query, id and perhaps score and relevant (0 or 1), or a JSON list
        of objects with these; ids are names of the index or of the data.
    out
        File of the new order, CSV, or JSON if it ends in .json; "-" prints it. What cannot be
        scored comes last and has no score.
    weight
        Weight of the scores that the candidates come with, brought to the spread of those here: at
        1 both say as much, at 0 they do not count. [default: what --fit left in the run, else 1]
    fit
        Find the weight that puts those that are relevant first, keep it in the run, and print
        recalls before and after, each half of them by a weight of the other half. Relevant is what
        the candidates say, else the image that a query is a caption of in the data; use other data
        than trained on.
    split
        Split of the data. [default: test, or the one of which the training held something out]
    """
    from pyg_sgm.index.reading import is_index
    from pyg_sgm.io import is_uri
    from pyg_sgm.retrieval import prior_part

    check_out(out)
    if out is None and not fit:
        raise ValueError("give --out, or --fit")
    found = read_candidates(candidates)
    if is_uri(run) or is_index(run):
        if data is not None or split is not None:
            raise ValueError("--data, --split: not with an index")
        matcher, folder, scores = _by_index(run, found, pixels)
    else:
        folder = Path(run)
        matcher = open_run(folder, pixels)
        scores = _by_run(matcher, folder, found, data, split, pixels, fit)
    if fit:
        weight = _fitted(found, scores, out)
        _keep(weight, matcher, folder, out)
    elif weight is None:
        weight = matcher.prior_weight
    rows = []
    for query, group in found.items():
        total = scores[query]
        if group.prior:
            total = total + prior_part(total, _tensor(group.prior), weight)
        order = total.argsort(descending=True, stable=True).tolist()
        came = list(range(len(group.ids)))
        if group.prior:
            came = _tensor(group.prior).argsort(descending=True, stable=True).tolist()
        previous = {i: rank for rank, i in enumerate(came, 1)}
        rows += [
            {
                "query": query,
                "id": group.ids[i],
                "score": float(total[i]) if total[i].isfinite() else None,
                "rank": rank,
                "previous_rank": previous[i],
            }
            for rank, i in enumerate(order, 1)
        ]
    if out is not None:
        write_candidates(out, rows)
        if not is_stdout(out):
            console.print(f"The new order is in {out}", markup=False, highlight=False)


def _keep(weight: float, matcher: SceneGraphMatcher, run: Path | None, out: Path | None) -> None:
    """Leaves the weight in the run, if there is one here."""
    from pyg_sgm.retrieval.reranking import PriorWeight
    from pyg_sgm.training.run_dir import RERANK

    if run is not None and run.is_dir():
        PriorWeight(matcher.fingerprint, weight).save(run / RERANK)
        if not is_stdout(out):
            console.print(f"It is kept in {run / RERANK}", markup=False, highlight=False)


def _by_index(
    uri: str, found: dict[str, Candidates], pixels: PixelFlags
) -> tuple[SceneGraphMatcher, Path | None, Scores]:
    """The matcher of an index, its run, and scores of the rows."""
    import torch

    index = open_index(uri, networks=pixels)
    there, absent = set(index.ids), set()
    scores = {}
    for query, group in found.items():
        absent |= set(group.ids) - there
        known = [id for id in group.ids if id in there]
        of_id = {hit.id: hit.score for hit in index.rerank(query, known).hits}
        scores[query] = torch.tensor([of_id.get(id, -torch.inf) for id in group.ids])
    if absent:
        warnings.warn(
            f"{counted(len(absent), 'candidate')} not in the index, such as {min(absent)!r}: "
            "they come last",
            stacklevel=2,
        )
    run = index.info()["run"]
    return index.matcher, None if run is None else Path(run), scores


def _by_run(
    matcher: SceneGraphMatcher,
    run: Path,
    found: dict[str, Candidates],
    data: str | None,
    split: str | None,
    pixels: PixelFlags,
    fit: bool,
) -> Scores:
    """Scores of images of the data; says which candidates are relevant, if nothing does."""
    import torch

    from pyg_sgm.retrieval import EncodedImages, encode_queries
    from pyg_sgm.retrieval.encoded_query import score_query

    split = known_split(data, split, run)
    dataset = open_data(data, split, run, pixels, matcher, captioned=False)
    place = {id: i for i, id in enumerate(dataset.image_ids)}
    for group in found.values():
        unknown = [id for id in group.ids if id not in place]
        if unknown:
            raise ValueError(f"no image {unknown[0]!r} among the {len(place)} of the data")
    captions = {text.caption: text for text in dataset.texts if text.has_graph}
    queries = encode_queries(matcher, [captions.get(query, query) for query in found])
    chosen = sorted({place[id] for group in found.values() for id in group.ids})
    images = matcher.encode_images(dataset.select_images(chosen))
    if fit and (seen := trained_on(dataset.select_images(chosen), data, split, run)):
        warnings.warn(
            f"--fit: the model was trained on {seen:,} of {counted(len(chosen), 'image')}, so that "
            "its scores look better than they are: give other data",
            stacklevel=2,
        )
    row = {id: i for i, id in enumerate(images.ids)}
    row_of_known = torch.full((len(images),), -1)
    row_of_known[images.known] = torch.arange(len(images.known))
    own = _own_images(dataset)
    scores = {}
    for (query, group), encoded in zip(found.items(), queries, strict=True):
        rows = torch.tensor([row[id] for id in group.ids])
        known = row_of_known[rows]
        some = EncodedImages(
            group.ids,
            images.encoding.select(known[known >= 0]),
            (known >= 0).nonzero()[:, 0],
            images.fingerprint,
        )
        scores[query] = score_query(matcher, some, encoded)
        if not group.relevant and query in own:
            group.relevant = [id in own[query] for id in group.ids]
    return scores


def _own_images(dataset: Any) -> dict[str, set[str]]:
    """Images of every caption."""
    own: dict[str, set[str]] = {}
    for text, image in zip(dataset.texts, dataset.image_of_text.tolist(), strict=True):
        own.setdefault(text.caption, set()).add(dataset.image_ids[image])
    return own


def _fitted(found: dict[str, Candidates], scores: Scores, out: Path | None) -> float:
    """The weight of all, after a table of recalls by the weights of halves."""
    from pyg_sgm.retrieval import fit_weight, prior_part
    from pyg_sgm.retrieval.reranking import first_rank

    known = [query for query, group in found.items() if group.relevant]
    if not known:
        raise ValueError("--fit: nothing says which candidates are relevant")
    if not all(found[query].prior for query in known):
        raise ValueError("--fit: the candidates come without scores, so there is nothing to weigh")
    # Captions of one image stay together.
    groups = sorted({_relevant(found[query]) for query in known})
    half = {name: number % 2 for number, name in enumerate(groups)}
    sides = [[q for q in known if half[_relevant(found[q])] == side] for side in (0, 1)]

    def fit(queries: list[str]) -> float:
        return fit_weight(
            [scores[query] for query in queries],
            [_tensor(found[query].prior) for query in queries],
            [_tensor(found[query].relevant).bool() for query in queries],
        )

    def ranks(queries: list[str], total: Callable[[str], Tensor]) -> list[float]:
        """Places of the first relevant, infinite where it is not among the candidates."""
        return [
            first_rank(total(q), _tensor(found[q].relevant).bool())
            if any(found[q].relevant)
            else float("inf")
            for q in queries
        ]

    def mixed(weight: float) -> Callable[[str], Tensor]:
        return lambda q: scores[q] + prior_part(scores[q], _tensor(found[q].prior), weight)

    weight = fit(known)
    if is_stdout(out):
        return weight
    after = [
        rank
        for queries, others in (sides, sides[::-1])
        if queries and others
        for rank in ranks(queries, mixed(fit(others)))
    ]
    table = Table(title=f"{len(known):,} queries", title_justify="left")
    for column in ("", *(f"R@{k}" for k in PLACES)):
        table.add_column(column, justify="right" if column else "left")
    for name, places in (
        ("as they came", ranks(known, lambda q: _tensor(found[q].prior))),
        ("by scores here", ranks(known, scores.__getitem__)),
        ("by both", after),
    ):
        if places:
            shares = [sum(place <= k for place in places) / len(places) for k in PLACES]
            table.add_row(name, *(f"{100 * share:.1f}" for share in shares))
    console.print(table)
    console.print(f"The best weight is {weight:.3g}", highlight=False)
    return weight


def _relevant(group: Candidates) -> str:
    """What stands for the image of a query: its first relevant candidate."""
    return next((id for id, own in zip(group.ids, group.relevant, strict=True) if own), "")


def _tensor(values: list[Any]) -> Tensor:
    import torch

    return torch.tensor(values, dtype=torch.float64)
