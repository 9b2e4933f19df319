import gzip
import pickle
from pathlib import Path

import pytest
import torch

from pyg_sgm.data import (
    Vocabularies,
    Vocabulary,
    add_word_vectors,
    read_word_vectors,
    word_vectors,
)


def write(path: Path, text: str) -> Path:
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz"])
def test_glove_and_word2vec(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "2 3\ndog 1 2 3\nin. of 0 0.5 -1e-1 \ndog 9 9 9\n")
    words, vectors = read_word_vectors(path)
    assert words == ["dog", "in. of"]
    assert torch.allclose(vectors, torch.tensor([[1.0, 2, 3], [0, 0.5, -0.1]]))
    assert read_word_vectors(path, {"dog"})[0] == ["dog"]
    words, vectors = read_word_vectors(path, {"absent"})
    assert words == []
    assert vectors.shape == (0, 3)


def test_label_is_mean_of_its_known_words(tmp_path: Path) -> None:
    path = write(tmp_path / "v.txt", "in 1 0\nfront 0 1\nt-shirt 5 5\n")
    vocabulary = Vocabulary(["in front of", "t-shirt", "zebra", "in-door"])
    vectors, found = word_vectors(vocabulary, path)
    assert found.tolist() == [False, True, True, False, True]
    expected = torch.tensor([[0, 0], [0.5, 0.5], [5, 5], [0, 0], [1, 0]])
    assert torch.equal(vectors, expected)


def test_all_words_of_the_file_become_known(tmp_path: Path) -> None:
    path = write(tmp_path / "v.txt", "cat 1 0\ndog 0 1\n")
    words, objects = Vocabulary(["dog", "emu"]), Vocabulary(["cat dog"])
    four = Vocabularies(words, objects, Vocabulary([]), Vocabulary(["x"]))
    known, vectors = add_word_vectors(four, path)
    assert known.words.words == ("<unk>", "cat", "dog", "emu")
    assert (known.objects, known.predicates) == (objects, Vocabulary([]))
    assert vectors["words"][0].tolist() == [[0, 0], [1, 0], [0, 1], [0, 0]]
    assert vectors["words"][1].tolist() == [False, True, True, False]
    assert vectors["objects"][0][1].tolist() == [0.5, 0.5]
    for name, part in vars(known).items():
        assert all(map(torch.equal, vectors[name], word_vectors(part, path)))


@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz"])
def test_byte_order_marks_and_decomposed_words(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "\ufeffcat 1 0\nnin\u0303o 0 1\n")
    assert read_word_vectors(path)[0] == ["cat", "ni\u00f1o"]
    assert word_vectors(Vocabulary(["cat"]), path)[1].tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog 1 2\ncat 1\n", "line 2"),
        ("dog 1 2\ncat 1 x\n", "line 2"),
        ("dog 1 nan\n", "not finite"),
        ("", "no word vectors"),
        ("dog\n", "line 1"),
        ("dog 1 1e39\n", "not finite"),
        ("dog" + " 1" * (1 << 19) + "\n", "line 1: longer than"),
    ],
)
def test_bad_lines(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read_word_vectors(write(tmp_path / "v.txt", text))
    assert "v.txt" in str(error.value)


def test_cut_short_and_pickled(tmp_path: Path) -> None:
    whole = write(tmp_path / "v.txt.gz", "".join(f"w{i} {i} {i * 7}\n" for i in range(5000)))
    (tmp_path / "cut.txt.gz").write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"cut\.txt\.gz: cut short"):
        read_word_vectors(tmp_path / "cut.txt.gz")
    (tmp_path / "p.txt").write_bytes(pickle.dumps({"a": [1.0]}))
    with pytest.raises(ValueError, match=r"p\.txt"):
        read_word_vectors(tmp_path / "p.txt")
    with pytest.raises(FileNotFoundError):
        read_word_vectors(tmp_path / "absent.txt")
