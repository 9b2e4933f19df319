"""Rows to segments: what is written is seen when the header names its version."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from pyg_sgm.data import ImageRecord, TextRecord, text_record
from pyg_sgm.evaluation import encode_texts
from pyg_sgm.index.header import Header
from pyg_sgm.index.rows import GRAPH, encoding_of, record_of
from pyg_sgm.index.segment import MOST, Segment, open_segment, write_segment
from pyg_sgm.index.store import Rows, Table
from pyg_sgm.models import Encoding, QueryBank
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.retrieval.inputs import text_graphs

MOST_SEGMENTS = 8  # before they are joined
ALIVE = 0.75  # share of a segment's images that are still there, below which it is written anew
TEXTS = 256  # made of graphs of images, to choose directions by


def cover(
    rows: Rows,
    version: int,
    header: Header,
    folder: Path,
    matcher: SceneGraphMatcher,
    kind: type[Encoding],
    fresh: bool = False,
) -> tuple[str, ...]:
    """Segments that hold all images of some rows; those that are missing are written.

    Args:
        rows (Rows): The rows.
        version (int): Their version.
        header (Header): What made them, and the segments that are there.
        folder (Path): Where segments are.
        matcher (SceneGraphMatcher): What made the rows.
        kind (type): Class of the encoding.
        fresh (bool, optional): Write all of them. (default: :obj:`False`)
    """
    found = rows.read(["position"]).sort_by("position")
    key_of = dict(zip(found["position"].to_pylist(), found["_rowid"].to_pylist(), strict=True))
    kept: dict[str, Segment] = {}
    for name in () if fresh else header.segments:
        with suppress(FileNotFoundError, ValueError):  # a damaged one is written anew
            segment = open_segment(folder / name, kind)
            alive = sum(position in key_of for position in segment.positions.tolist())
            if alive >= ALIVE * len(segment):
                kept[name] = segment
    if len(kept) > MOST_SEGMENTS:
        kept = {name: segment for name, segment in kept.items() if len(segment) > MOST // 2}
    there = {position for segment in kept.values() for position in segment.positions.tolist()}
    new = sorted(key_of.keys() - there)
    like = max(kept.values(), key=len, default=None)
    levels = matcher.saved.model.bound_levels()
    folder.mkdir(exist_ok=True)
    columns = [part.column for part in header.fields]
    for number, start in enumerate(range(0, len(new), MOST)):
        chosen = new[start : start + MOST]
        table = rows.take([key_of[position] for position in chosen], columns)
        encoding = encoding_of(table, header.fields, kind)
        queries = None
        if levels and like is None:
            sample = [key_of[position] for position in chosen[:: max(1, len(chosen) // TEXTS)]]
            graphs = rows.take(sample[:TEXTS], ["id", "path", *GRAPH]).to_pylist()
            queries = _as_texts([record_of(row) for row in graphs], matcher)
        name = _free(folder, f"{version:08d}-{number}")
        write_segment(
            folder / name, torch.tensor(chosen), encoding, header.fields, levels, queries, like
        )
        kept[name] = open_segment(folder / name, kind)
        like = like or kept[name]
    return tuple(kept)


def publish(
    table: Table,
    header: Header,
    folder: Path,
    matcher: SceneGraphMatcher,
    kind: type[Encoding],
    fresh: bool = False,
) -> Header:
    """The header of the newest version of a table, with segments for it.

    Args:
        table (Table): The rows.
        header (Header): The present header.
        folder (Path): Where segments are.
        matcher (SceneGraphMatcher): What made the rows.
        kind (type): Class of the encoding.
        fresh (bool, optional): Write all segments anew. (default: :obj:`False`)
    """
    version = table.version()
    if not version:
        return replace(header, version=0, segments=())
    names = cover(table.at(version), version, header, folder, matcher, kind, fresh)
    return replace(header, version=version, segments=names)


def remove_others(folder: Path, names: Sequence[str]) -> None:
    """Removes segments that the index no longer has. Who has one open keeps it.

    Args:
        folder (Path): Where segments are.
        names (list of str): Those that it has.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in names:
                shutil.rmtree(path, ignore_errors=True)


def _as_texts(records: Sequence[ImageRecord], matcher: SceneGraphMatcher) -> Encoding | None:
    """Graphs of images as texts, encoded: what somebody might search for. What a bank takes off
    them is left out, which takes long and says nothing of directions."""
    texts = [text for text in map(_text, records) if text is not None]
    if not texts:
        return None
    saved = matcher.saved
    model = saved.model.model if isinstance(saved.model, QueryBank) else saved.model
    graphs = text_graphs(texts, saved.vocabularies, matcher._word_features()).graphs
    return encode_texts(model, graphs).to("cpu")


def _text(record: ImageRecord) -> TextRecord | None:
    words = " ".join([*record.objects, *(label for _, label, _ in record.relations)])
    with suppress(ValueError):  # labels such as "???" have no word
        return text_record(words, record.objects, record.attributes, record.relations, id=record.id)
    return None


def _free(folder: Path, name: str) -> str:
    """The name, or one after it that is not taken."""
    number = 0
    while (folder / f"{name}-{number}").exists():
        number += 1
    return f"{name}-{number}"
