"""The rules parser on captions with graphs written by hand."""

import sys

import pytest

from pyg_sgm.text import parse, parse_batch
from pyg_sgm.text.rules import load_pipeline
from tests.helpers.captions import CAPTIONS, MISREAD

pytest.importorskip("spacy")


@pytest.fixture(scope="module")
def parsed():
    return {p.caption: p for p in parse_batch([caption for caption, _ in CAPTIONS], "rules")}


@pytest.mark.parametrize(("caption", "graph"), CAPTIONS)
def test_constructions(parsed, caption, graph):
    assert str(parsed[caption]).replace("\n", "; ") == graph


@pytest.mark.xfail(reason="the tree of the small English pipeline is wrong here")
@pytest.mark.parametrize(("caption", "graph"), MISREAD)
def test_constructions_known_to_be_misread(caption, graph):
    assert str(parse(caption, "rules")).replace("\n", "; ") == graph


def test_spans_name_the_words_of_every_node(parsed):
    p = parsed["a boy stands on the left side of the road"]
    written = [[p.words[at] for at in span] for span in (*p.object_spans, *p.relation_spans)]
    assert written == [["boy"], ["road"], ["stands", "on", "the", "left", "side", "of"]]
    p = parsed["a man in a dark blue shirt"]
    assert p.attribute_spans == ((4, 5),)


def test_alone_and_in_a_batch_are_the_same(parsed):
    for caption in ("a dog chases a dog", "the cup is full of coffee"):
        assert parse(caption, "rules") == parsed[caption]


def test_no_pipeline_is_an_error_that_names_the_command(monkeypatch):
    import spacy

    load_pipeline.cache_clear()
    monkeypatch.setattr(spacy.util, "is_package", lambda name: False)
    with pytest.raises(ImportError, match="python -m spacy download en_core_web_sm"):
        parse("a dog", "rules")


def test_no_spacy_is_an_error_that_names_the_extra(monkeypatch):
    load_pipeline.cache_clear()
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ImportError, match=r"pyg_sgm\[text\]"):
        parse("a dog", "rules")
