"""Vectors of the words of many texts, computed once and memory-mapped afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import Ragged, Rows, Spans, TextRecord, open_npy
from pyg_sgm.data.features import FolderRows
from pyg_sgm.io import atomic_write, read_json, write_json
from pyg_sgm.text.encoder import TextEncoder

HEADER = "vectors.json"
FORMAT = "pyg_sgm word vectors 1"
TEXTS_PER_SHARD = 4096


def word_features(
    texts: Sequence[TextRecord],
    encoder: TextEncoder,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Ragged:
    """Features of the words of every text, rounded to float16.

    Args:
        texts (sequence of TextRecord): Texts, with or without graphs.
        encoder (TextEncoder): What reads them.
        folder (path, optional): Folder of vectors that is read and added to: texts that it holds
            are not read again. Vectors of another encoder in it are replaced. (default:
            :obj:`None`, held in memory)
        progress (callable, optional): Called with the number of texts done and that of all.
            (default: :obj:`None`)

    Returns:
        Ragged: Rows ``[num_words, width]``, float32 when read, one span per text.

    Raises:
        ValueError: Naming the file, if one of the folder is cut short or not of it.
    """
    words = [tuple(text.words) for text in texts]
    distinct = list(dict.fromkeys(words))
    rows: Rows
    if folder is None:
        rows, spans_of = _in_memory(distinct, encoder, progress)
    else:
        rows, spans_of = _in_folder(distinct, encoder, Path(folder), progress)
    spans = torch.tensor([spans_of[text] for text in words], dtype=torch.long).reshape(-1, 2)
    return Ragged(rows, Spans(spans[:, 0], spans[:, 1]))


Words = tuple[str, ...]
Places = dict[Words, tuple[int, int]]  # first row and number of rows of a text


def _in_memory(
    texts: Sequence[Words], encoder: TextEncoder, progress: Callable[[int, int], None] | None
) -> tuple[Tensor, Places]:
    parts = [torch.zeros(0, encoder.width)]
    places: Places = {}
    start = 0
    for first in range(0, len(texts), TEXTS_PER_SHARD):
        shard = texts[first : first + TEXTS_PER_SHARD]
        parts.append(encoder(shard).half().float())  # as precise as a folder
        start = _place(shard, start, places)
        if progress is not None:
            progress(len(places), len(texts))
    return torch.cat(parts), places


def _in_folder(
    texts: Sequence[Words],
    encoder: TextEncoder,
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> tuple[FolderRows, Places]:
    folder.mkdir(parents=True, exist_ok=True)
    header = {"format": FORMAT, "encoder": encoder.name, "fingerprint": encoder.fingerprint}
    path = folder / HEADER
    if not path.exists() or read_json(path, dict) != header:
        for old in sorted(folder.glob("[0-9]*.json")):  # first what makes a shard known
            old.unlink()
        write_json(path, header)
    places: Places = {}
    shards: list[Path] = []
    ptr = [0]
    next_number = 0
    for listed in sorted(folder.glob("[0-9]*.json")):
        known = _read_texts(listed)
        rows = listed.with_suffix(".npy")
        end = _place(known, ptr[-1], places)
        if open_npy(rows).shape != (end - ptr[-1], encoder.width):
            raise ValueError(f"{rows}: not the vectors of the texts in {listed.name}")
        shards.append(rows)
        ptr.append(end)
        next_number = int(listed.stem) + 1  # there may be gaps
    missing = [text for text in texts if text not in places]
    for number, first in enumerate(range(0, len(missing), TEXTS_PER_SHARD), next_number):
        shard = missing[first : first + TEXTS_PER_SHARD]
        rows = folder / f"{number:05d}.npy"
        value = encoder(shard).half().numpy()
        with atomic_write(rows) as temporary, temporary.open("wb") as file:
            np.save(file, value)
        write_json(rows.with_suffix(".json"), [list(words) for words in shard])
        ptr.append(_place(shard, ptr[-1], places))
        shards.append(rows)
        if progress is not None:
            progress(first + len(shard), len(missing))
    return FolderRows(shards, torch.tensor(ptr), encoder.width), places


def _place(texts: Sequence[Words], start: int, places: Places) -> int:
    """Notes where the rows of texts lie, one text after another; returns where they end."""
    for words in texts:
        places[words] = (start, len(words))
        start += len(words)
    return start


def _read_texts(path: Path) -> list[Words]:
    texts = read_json(path, list)
    for number, words in enumerate(texts):
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{path}: text {number}: expected a list of words")
    return [tuple(words) for words in texts]
