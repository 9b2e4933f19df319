import json

import pytest

from pyg_sgm.data import text_record
from pyg_sgm.text import parse, parse_texts


def test_parses_are_read_back(tmp_path, monkeypatch):
    cache = tmp_path / "run" / "parses.jsonl"
    captions = ["two dogs chase a cat", "", "a dog \u2603", "two dogs chase a cat"]
    texts = [text_record(caption, id=str(i)) for i, caption in enumerate(captions)]
    first = parse_texts(texts, cache)
    assert [text.id for text in first] == ["0", "1", "2", "3"]
    assert first[0] == parse(captions[0]).to_record("0")
    # All captions are known now: nothing is left for the parser.
    monkeypatch.setattr("pyg_sgm.text.cache.parse_batch", lambda captions, backend: captions and 1)
    assert parse_texts(texts, cache) == first


def test_new_captions_are_added(tmp_path):
    cache = tmp_path / "parses.jsonl"
    parse_texts([text_record("a dog")], cache)
    parse_texts([text_record("a cat")], cache)
    rows = [json.loads(line) for line in cache.read_text().splitlines()]
    assert [row.get("caption") for row in rows] == [None, "a dog", "a cat"]


def test_a_cache_of_another_backend_is_replaced(tmp_path):
    cache = tmp_path / "parses.jsonl"
    cache.write_text('{"format": "pyg_sgm parses 2", "backend": "rules"}\nnever read\n')
    parse_texts([text_record("a dog")], cache)
    assert "learned" in cache.read_text()


def test_parses_of_version_0_1_are_kept(tmp_path, monkeypatch):
    """What a run was trained on stays, whatever the parser would say today."""
    row = {
        "caption": "a man without a hat", "words": ["a", "man", "without", "a", "hat"],
        "objects": ["man", "hat"], "attributes": [], "relations": [[0, "wear", 1]],
        "object_spans": [[1], [4]], "attribute_spans": [], "relation_spans": [[2]],
    }  # fmt: skip
    cache = tmp_path / "parses.jsonl"
    header = {"format": "pyg_sgm parses 1", "backend": "learned"}
    cache.write_text(json.dumps(header) + "\n" + json.dumps(row) + "\n")
    texts = [text_record(row["caption"]), text_record("a dog")]
    assert parse_texts(texts, cache)[0].relations == ((0, "wear", 1),)
    assert parse_texts(texts, cache)[0].relations == ((0, "wear", 1),)  # also written anew


def test_an_empty_file_becomes_a_cache(tmp_path):
    cache = tmp_path / "parses.jsonl"
    cache.touch()
    parse_texts([text_record("a dog")], cache)
    assert len(cache.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "content",
    ['{"name": "my-app", "version": "1.0"}', "[1, 2]", '"text"', "image,caption\n1.jpg,a dog\n",
     '{"format": "pyg_sgm parses 9", "backend": "learned"}'],
)  # fmt: skip
def test_files_of_other_programs_are_left_alone(tmp_path, content):
    other = tmp_path / "package.json"
    other.write_text(content)
    with pytest.raises(ValueError, match=r"package.json: line 1"):
        parse_texts([text_record("a dog")], other)
    assert other.read_text() == content
    assert list(tmp_path.iterdir()) == [other]


GOOD = {
    "caption": "a big dog", "words": ["a", "big", "dog"], "objects": ["dog"],
    "attributes": [[0, "big"]], "relations": [], "object_spans": [[2]], "attribute_spans": [[1]],
    "relation_spans": [], "exclusions": [["dog", "black"]],
}  # fmt: skip


def write_cache(path, row):
    header = {"format": "pyg_sgm parses 2", "backend": "learned"}
    path.write_text(json.dumps(header) + "\n" + json.dumps(row) + "\n")


def test_a_row_is_a_parse(tmp_path, monkeypatch):
    write_cache(tmp_path / "parses.jsonl", GOOD)
    monkeypatch.setattr("pyg_sgm.text.cache.parse_batch", lambda captions, backend: captions and 1)
    record = parse_texts([text_record("a big dog")], tmp_path / "parses.jsonl")[0]
    assert record.attributes == ((0, "big"),)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("caption", 7), ("caption", None), ("words", "a dog"), ("words", [1]), ("objects", [None]),
        ("objects", {}), ("attributes", [[1, "big"]]), ("attributes", [["big", 0]]),
        ("attributes", [[0]]), ("attributes", [[True, "big"]]), ("relations", [[0, "on", 1]]),
        ("relations", [[0, "on"]]), ("object_spans", []), ("object_spans", [[3]]),
        ("object_spans", [["2"]]), ("object_spans", [2]), ("attribute_spans", [[1], [1]]),
        ("exclusions", [[]]), ("exclusions", ["dog"]), ("exclusions", [["a", 1]]),
    ],
)  # fmt: skip
def test_a_row_with_a_wrong_field_is_named(tmp_path, field, value):
    cache = tmp_path / "parses.jsonl"
    write_cache(cache, {**GOOD, field: value})
    before = cache.read_bytes()
    with pytest.raises(ValueError, match=f"parses.jsonl: line 2: {field}"):
        parse_texts([text_record("a dog")], cache)
    assert cache.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "message"), [('{"caption"', "line 2"), ("[1]", "line 2: this is no parse")]
)
def test_a_broken_cache_is_named(tmp_path, line, message):
    cache = tmp_path / "parses.jsonl"
    cache.write_text('{"format": "pyg_sgm parses 2", "backend": "learned"}\n' + line)
    with pytest.raises(ValueError, match=message):
        parse_texts([text_record("a dog")], cache)


def test_leftovers_of_killed_runs_are_removed(tmp_path):
    (tmp_path / "parses.jsonl.4711.tmp").write_text("half")
    (tmp_path / "parses.jsonl.mine.tmp").write_text("not ours")
    parse_texts([text_record("a dog")], tmp_path / "parses.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "parses.jsonl",
        "parses.jsonl.mine.tmp",
    ]


def test_any_string_is_kept(tmp_path, monkeypatch):
    captions = ["a dog\u2028on a mat", "a cat\x85", "caf\u00e9\x0c\r\n"]
    texts = [text_record(caption) for caption in captions]
    first = parse_texts(texts, tmp_path / "parses.jsonl")
    assert len((tmp_path / "parses.jsonl").read_text().splitlines()) == 4
    monkeypatch.setattr("pyg_sgm.text.cache.parse_batch", lambda captions, backend: captions and 1)
    assert parse_texts(texts, tmp_path / "parses.jsonl") == first
