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


def test_a_cache_of_another_backend_is_made_anew(tmp_path):
    cache = tmp_path / "parses.jsonl"
    cache.write_text('{"format": "pyg_sgm parses 1", "backend": "rules"}\nnever read\n')
    parse_texts([text_record("a dog")], cache)
    assert "learned" in cache.read_text()


@pytest.mark.parametrize(
    ("line", "message"), [('{"caption"', "line 2: cut short"), ("[1]", "line 2 is no parse")]
)
def test_a_broken_cache_is_named(tmp_path, line, message):
    cache = tmp_path / "parses.jsonl"
    cache.write_text('{"format": "pyg_sgm parses 1", "backend": "learned"}\n' + line)
    with pytest.raises(ValueError, match=message):
        parse_texts([text_record("a dog")], cache)
