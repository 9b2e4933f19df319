"""``pyg-sgm search`` in an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from pyg_sgm.cli._app import console, is_stdout, print_title, write_json
from pyg_sgm.io import printable

if TYPE_CHECKING:
    from pyg_sgm.index import SceneGraphIndex, SearchResult
    from pyg_sgm.retrieval import Query


def search_index(
    uri: str,
    sentences: list[str],
    photos: list[str],
    top: int,
    where: str | None,
    threshold: float | None,
    json: Path | None,
) -> None:
    """Shows the best images of an index for sentences, and for photos."""
    from pyg_sgm.index import SceneGraphIndex
    from pyg_sgm.retrieval import Query

    index = SceneGraphIndex.open(uri)
    queries = [Query.of(sentence) for sentence in sentences]
    queries += [Query.of(_photo(name, index)) for name in photos]
    titles = [*sentences, *photos]
    found = index.search_many(queries, top, where=where, threshold=threshold)
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


def _photo(name: str, index: SceneGraphIndex) -> Any:
    """An image of the index by its name, else a file."""
    if name in index:
        return index.record(name)
    if not Path(name).is_file():
        raise ValueError(f"--similar-to: {name!r} is no file, and no image of the index")
    return Path(name)


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
