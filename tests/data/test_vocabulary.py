import json
from pathlib import Path

import pytest

from pyg_sgm.data import Vocabularies, Vocabulary, tokenize


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("", []),
        ("...!?", []),
        ("A man's long-haired dog.", ["a", "man", "'s", "long-haired", "dog"]),
        ("the boys' 2 balls; don't!", ["the", "boys", "2", "balls", "don't"]),
        ("El nin\u0303o y la nin\u0303a", ["el", "ni\u00f1o", "y", "la", "ni\u00f1a"]),
        ("\u0e19\u0e49\u0e33 \u0e0a\u0e32", ["\u0e19\u0e49\u0e33", "\u0e0a\u0e32"]),
        ("x\u0330 - \u0330y", ["x\u0330", "y"]),  # marks that no letter has composed
        ("rock\u2019n\u2019roll café", ["rock'n'roll", "café"]),
    ],
)
def test_tokenize(caption: str, words: list[str]) -> None:
    assert tokenize(caption) == words


def test_build_counts_and_sorts() -> None:
    vocabulary = Vocabulary.build(["b", "a", "b", "c", "<unk>"], min_count=2)
    assert vocabulary.words == ("<unk>", "b")
    assert vocabulary["a"] == 0
    assert Vocabulary.build([]).words == ("<unk>",)


def test_words_must_be_distinct_strings() -> None:
    with pytest.raises(ValueError, match="twice"):
        Vocabulary(["a", "a"])
    with pytest.raises(ValueError, match="not a string"):
        Vocabulary(["a", 3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="not Unicode"):
        Vocabulary(["a", "\ud800"])


def test_save_and_load(tmp_path: Path) -> None:
    vocabulary = Vocabulary(["dog", "café"])
    vocabulary.save(tmp_path / "words.json")
    assert Vocabulary.load(tmp_path / "words.json") == vocabulary
    four = Vocabularies(vocabulary, Vocabulary(["x"]), Vocabulary([]), Vocabulary(["y"]))
    four.save(tmp_path / "new")
    assert Vocabularies.load(tmp_path / "new") == four
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["vocabularies.json"]


@pytest.mark.parametrize(
    "content", ["", '["a"', '{"a": 1}', '["a", "a"]', "[1]", "\x80\x04", "[" * 9999, '["\\ud800"]']
)
def test_bad_vocabulary_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "words.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"words\.json"):
        Vocabulary.load(path)


def test_bad_vocabularies_file(tmp_path: Path) -> None:
    path = tmp_path / "vocabularies.json"
    for value in (
        {"words": []},
        [],
        {k: 1 for k in ("words", "objects", "predicates", "attributes")},
    ):
        path.write_text(json.dumps(value))
        with pytest.raises(ValueError, match=r"vocabularies\.json"):
            Vocabularies.load(tmp_path)
