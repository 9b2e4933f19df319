"""Queries: what users write, what it costs, and what a model makes of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pyg_sgm.data import image_record, text_record
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.models import Matcher, QueryBank
from pyg_sgm.ops import Packed
from pyg_sgm.retrieval import (
    Query,
    SceneGraphMatcher,
    encode_queries,
    encode_query,
    score_query,
)
from pyg_sgm.training import Recipe

DIM = {"dim": 16, "hidden": 16, "embed": 8}
OPTIONS = {**DIM, "weigh_nodes": True, "bidirectional": True, "global_dim": 4}


def world() -> SceneWorld:
    return SceneWorld("train", num_images=8, captions_per_image=2, feature_dim=0)


def trained(model: str = "sgm", **options: object) -> SceneGraphMatcher:
    return SceneGraphMatcher(model, **options).fit(world(), recipe=Recipe(epochs=1), progress=False)


@pytest.fixture(scope="module")
def matcher() -> SceneGraphMatcher:
    return trained(**OPTIONS)


@pytest.mark.parametrize(
    ("sentence", "wanted", "excluded"),
    [
        ("a man without a hat on a beach", ["a man on a beach"], ["hat"]),
        ("no people on the beach", ["the beach"], ["person"]),
        ("there are no people", [], ["person"]),
        ("a dog that is not black", ["a dog that is"], ["black dog"]),
        ("a street with neither cars nor trees", ["a street with"], ["car", "tree"]),
        ("a red car, not a blue one", ["a red car"], ["blue car"]),
        ("a dog chasing a cat", ["a dog chasing a cat"], []),
        ("a no parking sign", ["a no parking sign"], []),
    ],
)
def test_what_a_sentence_denies_is_excluded(
    sentence: str, wanted: list[str], excluded: list[str]
) -> None:
    query = Query.of(sentence)
    assert [text.caption for text in query.texts] == wanted
    assert [text.caption.replace("people", "person") for text in query.exclude] == excluded
    for text in query.texts:  # positions follow the words that are left
        for node, phrases in (("object", text.objects),):
            spans = (text.spans or {})[node]
            for phrase, span in zip(phrases, spans, strict=True):
                assert phrase[:3] in " ".join(text.words[at] for at in span)


def test_forms_of_queries() -> None:
    record = text_record("a dog", objects=["dog"])
    photo = image_record(["dog"], id="photo")
    assert Query.of(record) == Query((record,))
    assert Query.of(photo).images == (photo,)
    assert Query.of(Path("a.jpg")).images == (Path("a.jpg"),)
    assert Query.of(np.zeros((4, 4, 3))).images[0].shape == (4, 4, 3)
    both = Query.of(["a dog", photo, ("man", "ride", "horse"), ("man", "in", "hat")])
    assert [text.caption for text in both.texts] == ["man ride horse in hat", "a dog"]
    assert both.images == (photo,)
    assert Query.of(both) == both
    alone = ("man", "ride", "horse")
    assert Query.of(alone) == Query.of([alone]) == Query.graph([alone])
    assert len(Query.of([*alone]).texts) == 3
    assert Query.of({"texts": ["a dog"]}).texts[0].caption == "a dog"
    more = Query.of("a dog", exclude=["without a hat", ("dog", "black"), ["man", "ride", "horse"]])
    assert [text.caption for text in more.exclude] == ["hat", "black dog", "man ride horse"]
    assert more.exclude[1].attributes == [(0, "black")]


def test_two_objects_of_one_name() -> None:
    text = Query.graph([(0, "chase", 1)], [(1, "black")], ["dog", "dog"]).texts[0]
    assert text.caption == "dog chase black dog"
    assert text.spans == {"object": [[0], [3]], "attribute": [[2]], "relation": [[1]]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "query: expected a sentence.* got an empty list"),
        (7, "query: expected a sentence"),
        ([["a dog", 7]], r"query\[0\]\[1\]: expected a sentence"),
        ({}, "nothing to search for"),
        ({"text": ["a dog"]}, "query: no field 'text'; known: texts"),
        ({"texts": "a dog"}, "query: texts: expected a list"),
        ({"texts": [7]}, r"query: texts\[0\]: expected a sentence or a graph"),
        ({"texts": [{"object": ["a"]}]}, r"query: texts\[0\]: no field 'object'"),
        ({"texts": [{"caption": 7}]}, r"query: texts\[0\]: caption: expected a string"),
        ({"texts": [{"objects": "dog"}]}, r"texts\[0\]: objects: expected a list"),
        ({"texts": [{"objects": ["dog", 3]}]}, r"texts\[0\]': objects: expected a string"),
        ({"texts": [{"objects": ["?"]}]}, r"texts\[0\]': object: the phrase '\?' has no word"),
        ({"texts": [{"objects": []}]}, r"texts\[0\]': the graph is empty"),
        ({"texts": [{"relations": [["a", "b"]]}]}, r"texts\[0\]': relation 0"),
        ({"texts": [{"objects": ["dog"], "attributes": [[1, "old"]]}]}, r"attribute 0: object 1"),
        (
            {"texts": [{"caption": "a dog", "objects": ["dog"], "spans": {"object": [[7]]}}]},
            r"texts\[0\]': spans of object: no word 7",
        ),
        (
            {"texts": [{"caption": "a dog", "objects": ["dog"], "spans": {"object": [7]}}]},
            r"texts\[0\]: spans: object\[0\]: expected a list",
        ),
        (" ?", "' \\?' has no word"),
        ({"images": [7]}, r"query: images\[0\]: expected a path"),
        ({"texts": ["a dog"], "exclude": ["..."]}, r"exclude\[0\]: '...' has no word"),
        ({"texts": ["a dog"], "exclude": [7]}, r"query: exclude\[0\]: expected a sentence"),
        ({"texts": ["a dog"], "exclude": [list("abcd")]}, r"exclude\[0\]: expected one to three"),
        ({"texts": ["a dog"], "weights": {"dog": -1}}, "weights: 'dog': must be at least 0"),
        ({"texts": ["a dog"], "weights": {"dog": "2"}}, "weights: 'dog': expected a number"),
        ({"texts": ["a dog"], "weights": {"dog": float("nan")}}, "weights: 'dog': must be"),
        ({"texts": ["a dog"], "weights": {"cat": 1}}, "weights: 'cat' is no word"),
        ({"texts": ["a dog"], "weights": [1]}, "weights: expected a dict"),
    ],
)
def test_wrong_queries_name_the_field(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Query.of(value)


def test_json(tmp_path: Path) -> None:
    query = Query.of(
        ["a young man rides two horses without a saddle", ("dog", "chase", "cat"), tmp_path],
        exclude=["a red hat"],
        weights={"horse": 2},
    )
    value = json.loads(json.dumps(query.to_json()))
    again = Query.from_json(value)
    assert again.to_json() == value
    assert again.images == (tmp_path,)
    (first, second), (before, _) = again.texts, query.texts
    assert list(first.words) == list(before.words)
    assert first.relations == list(before.relations)
    assert second.spans == {
        node: [list(span) for span in spans] for node, spans in (query.texts[1].spans or {}).items()
    }
    assert Query.from_json(json.loads('"a dog"')) == Query.of("a dog")
    with pytest.raises(ValueError, match="ndarray is no file"):
        Query.of(np.zeros((4, 4, 3))).to_json()


def test_a_mixture_scores_the_mean_minus_its_exclusions(matcher: SceneGraphMatcher) -> None:
    data = world()
    images = matcher.encode_images(data)
    photo = data.images[3]
    query = Query(
        (*Query.of("a dog chasing a cat").texts, *Query.of("a man").texts),
        (photo,),
        (*Query.of("a hat").texts, *Query.of("a tree").texts),
    )
    alone = [matcher.score(images, [text])[:, 0] for text in (*query.texts, *query.exclude)]
    similar = {c.index: c.score for c in matcher.search_similar(photo, images, k=8)}
    expected = [
        (float(alone[0][i]) + float(alone[1][i]) + similar[i]) / 3
        - max(0.0, float(alone[2][i]))
        - max(0.0, float(alone[3][i]))
        for i in range(8)
    ]
    scores = score_query(matcher, images, encode_query(matcher, query))
    torch.testing.assert_close(scores, torch.tensor(expected))
    found = matcher.search_images(query, images, k=8)
    assert [c.index for c in found] == scores.argsort(descending=True).tolist()
    assert found[0].score == pytest.approx(max(expected))


def test_exclusions_cost_what_they_match_without_a_bank(matcher: SceneGraphMatcher) -> None:
    """What a bank takes off says how often something matches, not whether it does."""
    data = world()
    with_bank = trained(**OPTIONS)
    model = with_bank.saved.model
    bank = [with_bank.encode_images(data).encoding, with_bank.encode_texts(data).encoding]
    alone = with_bank.score(data, ["a dog", "hat"]).double()
    with_bank.model = QueryBank(model, *bank)
    wanted = with_bank.score(data, ["a dog"])[:, 0].double()
    assert not torch.allclose(wanted, alone[:, 0])
    query = encode_query(with_bank, Query.of("a dog", exclude="a hat"))
    scores = score_query(with_bank, with_bank.encode_images(data), query)
    expected = wanted - alone[:, 1].clamp(min=0)
    torch.testing.assert_close(scores.double(), expected, atol=1e-5, rtol=0)


def test_exclusions_alone_earn_nothing(matcher: SceneGraphMatcher) -> None:
    """And what cannot be read is not found by them."""
    images = [*world().images[:3], image_record(id="unread", file="nowhere.jpg")]
    images[3] = type(images[3])("unread", (), has_graph=False)
    query = encode_query(matcher, "no dogs")
    scores = score_query(matcher, matcher.encode_images(images), query)
    assert (scores[:3] <= 0).all()
    assert scores[3] == -torch.inf


def test_queries_are_encoded_together(matcher: SceneGraphMatcher) -> None:
    images = matcher.encode_images(world())
    asked = ["a man without a hat", ["a dog", "a cat"], Query.graph([("dog", "chase", "cat")])]
    for one, query in zip(asked, encode_queries(matcher, asked), strict=True):
        alone = score_query(matcher, images, encode_query(matcher, one))
        torch.testing.assert_close(score_query(matcher, images, query), alone)


@pytest.mark.parametrize("options", [OPTIONS, DIM, {**OPTIONS, "variant": "oom-trel"}])
def test_weights_of_words(options: dict[str, object]) -> None:
    """Against a float64 loop over words and triplets."""
    matcher, data = trained(**options), world()
    sentence, weights = "a man riding two horses on a beach", {"horse": 3.0, "ride": 0.5, "a": 0.0}
    text = Query.of(sentence).texts[0]
    factor = [1.0 if w not in ("a", "riding", "horses") else 0.0 for w in text.words]
    factor[text.words.index("riding")], factor[text.words.index("horses")] = 0.5, 3.0
    expected_triplets = []
    for s, predicate, o in text.relations:
        ends = [3.0 if text.objects[end] == "horse" else 1.0 for end in (s, o)]
        expected_triplets.append(ends[0] * ends[1] * (0.5 if predicate == "ride" else 1.0))
    assert 1.5 in expected_triplets
    plain: Any = matcher.encode_texts([text]).encoding
    ((_, encoded),) = encode_query(matcher, Query((text,), weights=weights)).parts
    weighed: Any = encoded.encoding
    wanted = factor + (expected_triplets if options.get("variant") == "oom-trel" else [])
    for weight, nodes, factors, got in (
        (plain.object_weights, plain.objects, wanted, weighed.object_weights),
        (
            plain.relation_weights,
            plain.relations,
            expected_triplets,
            weighed.relation_weights,
        ),
    ):
        if nodes is None:
            assert got is None
            continue
        before = [1 / len(factors)] * len(factors) if weight is None else weight.x.double().tolist()
        product = [w * f for w, f in zip(before, factors, strict=True)]
        assert got.x.tolist() == pytest.approx([p / sum(product) for p in product], abs=1e-6)
    same = encode_query(matcher, Query((text,), weights={"horse": 1.0}))
    torch.testing.assert_close(
        score_query(matcher, matcher.encode_images(data), same),
        matcher.score(data, [text])[:, 0],
    )


def test_a_word_without_weight_does_not_count() -> None:
    """In the levels that weights are of."""
    matcher, data = trained(**DIM, variant="oom"), world()
    images = matcher.encode_images(data)
    query = Query.of("a dog and a cat", weights={"a": 0, "and": 0, "cat": 0})
    scores = score_query(matcher, images, encode_query(matcher, query))
    nodes: Any = images.encoding
    ptr, x = nodes.objects.ptr, nodes.objects.x
    text: Any = matcher.encode_texts(["a dog and a cat"]).encoding
    words = text.objects.x
    best = [float((x[ptr[i] : ptr[i + 1]] @ words[1]).max()) for i in range(8)]
    assert scores.tolist() == pytest.approx(best, abs=1e-5)


def test_all_weights_zero_score_nothing() -> None:
    matcher = trained(**DIM, variant="oom")
    query = Query.of("a dog", weights={"a": 0, "dog": 0})
    scores = score_query(matcher, matcher.encode_images(world()), encode_query(matcher, query))
    assert scores.tolist() == [0.0] * 8


def test_models_without_weights_say_so() -> None:
    matcher = trained("vse", dim=16, embed=8)
    with pytest.raises(ValueError, match="VSE: its words have no weights"):
        matcher.search_images(Query.of("a dog", weights={"dog": 2}), world())
    with pytest.raises(ValueError, match="no weights that could be changed"):
        Matcher.weigh(matcher.model, None, Packed(torch.ones(1), torch.tensor([0, 1])), None)


def test_encodings_of_another_model_are_refused(matcher: SceneGraphMatcher) -> None:
    photo = trained(**{**OPTIONS, "dim": 8}).encode_images(world().images[:1])
    with pytest.raises(ValueError, match="encoded by another model"):
        matcher.search_images(Query(images=(photo,)), world())


def test_a_text_without_a_graph_stays_one() -> None:
    query = Query.of(text_record("A man, without a hat"))
    again = Query.from_json(json.loads(json.dumps(query.to_json())))
    text = replace(again.texts[0], id="")
    assert (text, again.exclude) == (query.texts[0], ())
    graph = Query((text_record("The man's  hat.", objects=["hat"]),))
    assert Query.from_json(graph.to_json()).texts[0].caption == "The man's  hat."


def test_weights_know_words_however_they_are_written() -> None:
    cafe, composed = "Cafe\u0301", "caf\xe9"
    written = (f"a {cafe}", composed), (f"a {composed}", cafe), ("a man's hat", "\u2019s")
    for caption, word in written:
        query = Query.of(caption, weights={word: 2})
        assert set(query.weights) <= set(query.texts[0].words)
        assert Query.from_json({"texts": [caption], "weights": {word: 2}}).weights == query.weights
