"""Pre-trained word vectors from GloVe and word2vec text files."""

import gzip
import os
import re
import zlib
from collections.abc import Collection
from dataclasses import replace
from typing import IO

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data.vocabulary import Vocabularies, Vocabulary
from pyg_sgm.data.words import nfc

_LONGEST = 1 << 20  # characters of a line


def read_word_vectors(
    path: str | os.PathLike[str], words: Collection[str] | None = None
) -> tuple[list[str], Tensor]:
    """Reads a text file of one word and its floats per line, optionally gzipped.

    A word2vec header line (number of words, dimension) is skipped. Of a word that occurs twice
    the first vector is kept.

    Args:
        path (str or PathLike): The file, gzipped if its name ends in ``.gz``.
        words (list of str, optional): If given, only these words are read. (default: :obj:`None`)

    Returns:
        The words and their vectors, ``[len(words), dim]`` float32.

    Raises:
        ValueError: With file and line, if the file is cut short, is not text, is empty, or a line
            has another number of floats than the first, or a float that is not finite.
    """
    found: dict[str, np.ndarray] = {}
    dim = 0
    number = 0
    try:
        with _open_text(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST), ""), start=1):
                if len(line) == _LONGEST:
                    raise ValueError(f"longer than {_LONGEST} characters")
                fields = line.rstrip("\r\n ").split(" ")
                if number == 1 and len(fields) == 2 and all(map(str.isdigit, fields)):
                    continue
                dim = dim or len(fields) - 1
                # Some GloVe tokens contain spaces.
                word = nfc(" ".join(fields[: len(fields) - dim]))
                if dim == 0 or not word:
                    raise ValueError(f"expected a word and {dim or 'some'} floats")
                if word not in found and (words is None or word in words):
                    with np.errstate(over="ignore"):
                        found[word] = np.array(fields[len(fields) - dim :], dtype=np.float32)
                    if not np.isfinite(found[word]).all():
                        raise ValueError(f"the vector of {word!r} is not finite")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: cut short or not gzip, after line {number}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file (pickles and binaries are not read)") from error
    except ValueError as error:
        raise ValueError(f"{path}: line {number}: {error}") from error
    if dim == 0:
        raise ValueError(f"{path}: holds no word vectors")
    vectors = np.stack(list(found.values())) if found else np.zeros((0, dim), np.float32)
    return list(found), torch.from_numpy(vectors)


def word_vectors(vocabulary: Vocabulary, path: str | os.PathLike[str]) -> tuple[Tensor, Tensor]:
    """Initial vectors for a vocabulary.

    A label of several words (``in front of``, ``t-shirt``) that is not in the file as it is gets
    the mean of those of its words that are.

    Args:
        vocabulary (Vocabulary): Words or labels.
        path (str or PathLike): A file for :func:`read_word_vectors`.

    Returns:
        Vectors ``[len(vocabulary), dim]`` float32, zero where nothing was found, and a mask
        ``[len(vocabulary)]`` of the rows that were found.
    """
    wanted = {word for label in vocabulary.words for word in (label, *_parts(label))}
    return _look_up(vocabulary, *read_word_vectors(path, wanted))


def add_word_vectors(
    vocabularies: Vocabularies, path: str | os.PathLike[str]
) -> tuple[Vocabularies, dict[str, tuple[Tensor, Tensor]]]:
    """Vocabularies whose words include all those of a file of word vectors.

    Args:
        vocabularies (Vocabularies): Those of a dataset.
        path (str or PathLike): A file for :func:`read_word_vectors`.

    Returns:
        The vocabularies, and what :func:`word_vectors` gives for each,
        ``{"words" | "objects" | "predicates" | "attributes": (vectors, found)}``.

    Raises:
        ValueError: See :func:`read_word_vectors`.
    """
    words, table = read_word_vectors(path)
    known = Vocabulary.build((*vocabularies.words.words, *words))
    vocabularies = replace(vocabularies, words=known)
    return vocabularies, {
        name: _look_up(part, words, table) for name, part in vars(vocabularies).items()
    }


def _look_up(vocabulary: Vocabulary, words: list[str], table: Tensor) -> tuple[Tensor, Tensor]:
    row = {word: i for i, word in enumerate(words)}
    vectors = torch.zeros(len(vocabulary), table.size(1))
    found = torch.zeros(len(vocabulary), dtype=torch.bool)
    for i, label in enumerate(vocabulary.words[1:], start=1):
        rows = [row[label]] if label in row else [row[w] for w in _parts(label) if w in row]
        if rows:
            vectors[i] = table[rows].mean(dim=0)
            found[i] = True
    return vectors, found


def _parts(label: str) -> list[str]:
    return [part for part in re.split(r"[\s_-]+", label) if part]


def _open_text(path: str | os.PathLike[str]) -> IO[str]:
    # A byte order mark is no part of the first word.
    if os.fspath(path).endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")
    return open(path, encoding="utf-8-sig", newline="\n")
