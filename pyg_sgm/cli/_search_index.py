"""``pyg-sgm search`` in an index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from pyg_sgm.cli._app import console, is_stdout, print_title, write_json
from pyg_sgm.cli._data import Networks, set_extractor
from pyg_sgm.cli.index import open_index
from pyg_sgm.io import printable, to_path

if TYPE_CHECKING:
    from pyg_sgm.index import SceneGraphIndex, SearchResult
    from pyg_sgm.retrieval import Query


@dataclass(frozen=True)
class InIndex:
    """Flags of searches in an index."""

    where: Annotated[
        str | None, Parameter(help='Condition on its metadata in SQL, such as "year > 2020".')
    ] = None
    threshold: Annotated[float | None, Parameter(help="Least score.")] = None
    probability: Annotated[
        float | None,
        Parameter(help="Least chance that text and image belong together, of a calibrated run."),
    ] = None
    exclude: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help='What must not be there, such as "hat"; several times for more.',
        ),
    ] = None
    weight: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="How much a word counts, such as horse=2, in the texts that have it; several "
            "times for more.",
        ),
    ] = None
    query_file: Annotated[
        Path | None, Parameter(help="JSON file of a query: texts, images, exclude, weights.")
    ] = None
    ray: Annotated[
        str | None,
        Parameter(
            help="Address of a Ray cluster whose workers search its shards, or auto, or local."
        ),
    ] = None


def search_index(
    uri: str,
    sentences: list[str],
    photos: list[str],
    top: int,
    flags: InIndex,
    json: Path | None,
    networks: Networks,
) -> None:
    """Shows the best images of an index for sentences, for photos, and for the query of a file."""
    from pyg_sgm.io import read_json
    from pyg_sgm.retrieval import Query

    file = flags.query_file
    weights = _weights(flags.weight or [])
    queries = [Query.of(sentence) for sentence in sentences]
    queries += [] if file is None else [Query.from_json(read_json(file))]
    queries = [_weighed(query, weights) for query in queries]
    unused = [w for w in weights if not any(w in query.weights for query in queries)]
    if unused:
        raise ValueError(f"--weight: {unused[0]!r} is no word of a text")
    index = open_index(uri, ray=flags.ray, networks=networks)
    set_extractor(index.matcher, uri, networks)
    queries += [Query.of(_photo(name, index)) for name in photos]
    queries = [Query.of(query, exclude=flags.exclude or []) for query in queries]
    titles = [*sentences, *([] if file is None else [str(file)]), *photos]
    found = index.search_many(
        queries,
        top,
        where=flags.where,
        threshold=flags.threshold,
        probability=flags.probability,
    )
    if not is_stdout(json):
        for title, query, result in zip(titles, queries, found, strict=True):
            print_title("\n".join([printable(title), *_graphs(query)]))
            console.print(_table(result))
            console.print(_said(result), highlight=False, markup=False)
    if json is not None:
        rows = [
            {"query": title, **result.to_dict()}
            for title, result in zip(titles, found, strict=True)
        ]
        write_json(json, {"index": uri, "queries": rows})


def _weighed(query: Query, weights: dict[str, float]) -> Query:
    """The query with the weights of those words that it has."""
    from pyg_sgm.retrieval import Query
    from pyg_sgm.retrieval.query import word_forms

    words = {form for text in query.texts for word in text.words for form in word_forms(word)}
    return Query.of(query, weights={word: w for word, w in weights.items() if word in words})


def _weights(pairs: list[str]) -> dict[str, float]:
    weights = {}
    for pair in pairs:
        word, _, factor = pair.rpartition("=")
        try:
            weights[word.lower()] = float(factor)
        except ValueError as error:
            raise ValueError(f"--weight: expected WORD=FACTOR, got {pair!r}") from error
    return weights


def _photo(name: str, index: SceneGraphIndex) -> Any:
    """An image of the index by its name, else a file."""
    if name in index:
        return index.record(name)
    file = to_path(name)
    if not file.is_file():
        raise ValueError(f"--similar-to: {name!r} is no file, and no image of the index")
    return file


def _graphs(query: Query) -> list[str]:
    from pyg_sgm.retrieval.search import graph_phrases

    lines = [" | ".join(graph_phrases(text)) or "(no graph)" for text in query.texts]
    return lines + ["without " + " | ".join(graph_phrases(text)) for text in query.exclude]


def _table(result: SearchResult) -> Table:
    table = Table()
    table.add_column("", justify="right")
    table.add_column("image", overflow="fold")
    table.add_column("score", justify="right")
    chances = any(hit.probability is not None for hit in result.hits)
    if chances:
        table.add_column("chance", justify="right")
    levels = list(dict.fromkeys(name for hit in result.hits for name in hit.levels))
    for name in levels if len(levels) > 1 else []:
        table.add_column(name, justify="right")
    lacking = any(hit.missing for hit in result.hits)
    if lacking:
        table.add_column("missing", overflow="fold")
    for hit in result.hits:
        chance = [f"{hit.probability or 0:.0%}"] if chances else []
        missing = [escape(printable(", ".join(hit.missing)))] if lacking else []
        parts = [f"{hit.levels.get(name, 0):.3f}" for name in levels] if len(levels) > 1 else []
        table.add_row(
            f"{hit.rank}", escape(printable(hit.id)), f"{hit.score:.3f}", *chance, *parts, *missing
        )
    return table


def _said(result: SearchResult) -> str:
    proved = "proved to be the best" if result.certified else "not proved to be the best"
    return (
        f"Searched {result.num_images:,} images, {result.num_scored:,} of them scored in full; "
        f"{proved}"
    )
