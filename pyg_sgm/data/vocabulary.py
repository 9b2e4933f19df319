"""Words and labels to indices and back."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from pyg_sgm.data.words import is_unicode
from pyg_sgm.data.words import tokenize as tokenize  # its old place
from pyg_sgm.io import read_json, write_text

UNKNOWN = "<unk>"


class Vocabulary:
    """Maps words (or whole labels) to indices; index 0 is the unknown word ``<unk>``.

    Args:
        words (list of str): The known words in order, without ``<unk>``.

    Raises:
        ValueError: If a word occurs twice or is not a string of Unicode text.

    Example:
        >>> v = Vocabulary(["dog", "cat"])
        >>> len(v), v["cat"], v["emu"], v.word(1), "emu" in v
        (3, 2, 0, 'dog', False)
        >>> v.encode(["cat", "emu"])
        tensor([2, 0])
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = [UNKNOWN, *words]
        for word in self._words:
            if not isinstance(word, str):
                raise ValueError(f"vocabulary: {word!r} is not a string")
            if not is_unicode(word):
                raise ValueError(f"vocabulary: {word!r} is not Unicode text")
        self._index = {word: i for i, word in enumerate(self._words)}
        if len(self._index) < len(self._words):
            twice = [word for word, n in Counter(self._words).items() if n > 1]
            raise ValueError(f"vocabulary: words that occur twice: {twice[:5]}")

    @classmethod
    def build(cls, tokens: Iterable[str], min_count: int = 1) -> "Vocabulary":
        """Collects the distinct tokens that occur at least ``min_count`` times (default: ``1``).

        They are sorted, so that equal token counts give equal vocabularies.

        Args:
            tokens (list of str): The tokens, with repeats.
            min_count (int, optional): How often a token must occur. (default: :obj:`1`)
        """
        counts = Counter(tokens)
        counts.pop(UNKNOWN, None)
        return cls(sorted(word for word, n in counts.items() if n >= min_count))

    @property
    def words(self) -> tuple[str, ...]:
        """All words in order of their index, ``<unk>`` first."""
        return tuple(self._words)

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, word: object) -> bool:
        return word in self._index

    def __getitem__(self, word: str) -> int:
        return self._index.get(word, 0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._words == other._words

    def __hash__(self) -> int:
        return hash(tuple(self._words))

    def word(self, index: int) -> str:
        """The word at an index.

        Args:
            index (int): The index.
        """
        return self._words[index]

    def encode(self, words: Sequence[str]) -> Tensor:
        """Indices of words, ``[len(words)]``; 0 where a word is unknown.

        Args:
            words (list of str): The words.
        """
        return torch.tensor([self[word] for word in words], dtype=torch.long)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the words as a JSON list.

        Args:
            path (str or PathLike): The file.
        """
        write_text(path, json.dumps(self._words[1:], ensure_ascii=False))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Vocabulary":
        """Reads what :meth:`save` wrote.

        Args:
            path (str or PathLike): The file.

        Raises:
            ValueError: If the file is not a JSON list of distinct strings.
        """
        return _from_list(read_json(path), str(path))

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words)"


@dataclass(frozen=True)
class Vocabularies:
    """The four vocabularies of a dataset.

    Args:
        words (Vocabulary): Words of captions and of the phrases in text graphs.
        objects (Vocabulary): Object labels of image graphs.
        predicates (Vocabulary): Predicate labels of image graphs.
        attributes (Vocabulary): Attribute labels of image graphs.
    """

    words: Vocabulary
    objects: Vocabulary
    predicates: Vocabulary
    attributes: Vocabulary

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes ``vocabularies.json`` into a folder, which is created if it is absent.

        Args:
            folder (str or PathLike): The folder.
        """
        Path(folder).mkdir(parents=True, exist_ok=True)
        lists = {f.name: list(getattr(self, f.name).words[1:]) for f in fields(self)}
        write_text(Path(folder) / "vocabularies.json", json.dumps(lists, ensure_ascii=False))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "Vocabularies":
        """Reads ``vocabularies.json`` from a folder.

        Args:
            folder (str or PathLike): The folder.

        Raises:
            ValueError: If the file is cut short or has another shape.
        """
        path = Path(folder) / "vocabularies.json"
        lists = read_json(path)
        names = [f.name for f in fields(cls)]
        if not isinstance(lists, dict) or sorted(lists) != sorted(names):
            raise ValueError(f"{path}: expected an object with the keys {', '.join(names)}")
        return cls(**{name: _from_list(lists[name], f"{path}: {name}") for name in names})


def _from_list(words: object, where: str) -> Vocabulary:
    if not isinstance(words, list):
        raise ValueError(f"{where}: expected a list of words")
    try:
        return Vocabulary(words)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
