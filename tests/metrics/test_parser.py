"""Tuple F1 against figures counted by hand and a plain recount."""

import random
import re

import pytest

from pyg_sgm.metrics.parser import graph_tuples, parser_f1, plain_words


def test_graph_tuples_name_every_object_and_drop_empty_parts():
    graph = {
        "objects": ["A"],
        "attributes": [["b", "red"], ["c", "!"]],
        "relations": [["d", "on", "e"]],
    }
    expected = {("a",), ("b",), ("b", "red"), ("d", "on", "e"), ("d",), ("e",)}
    assert graph_tuples(graph) == expected


def test_figures_counted_by_hand():
    gold = [
        {"relations": [("man", "ride", "horse")], "attributes": [("horse", "brown")]},
        {"objects": ["dog"]},
    ]
    predicted = [
        {"relations": [("man", "on", "horse")], "attributes": [("horse", "brown")]},
        {"objects": ["dog", "cat"]},
    ]
    score = parser_f1(predicted, gold)
    assert (score.objects.hit, score.objects.predicted, score.objects.true) == (3, 4, 3)
    assert score.attributes.f1 == 1
    assert score.relations.f1 == 0
    assert score.all.precision == pytest.approx(4 / 6)
    assert score.all.recall == pytest.approx(4 / 5)
    assert score.all.f1 == pytest.approx(8 / 11)
    assert score.exact == 0


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("Grüne Ma\u0308dchen", "grüne mädchen"),
        ("Собака, кот", "собака кот"),
        ("कुत्ता और कुत्ते", "कुत्ता और कुत्ते"),
        ("the man's T-shirt_2", "the man's t shirt 2"),
        ("❤\ufe0f!", ""),
    ],
)
def test_words_of_any_script(phrase, expected):
    assert plain_words(phrase) == expected


def test_words_of_other_scripts_differ():
    assert parser_f1([{"objects": ["кот"]}], [{"objects": ["собака"]}]).exact == 0


def reference(predicted, gold, normalize):
    """(hit, predicted, true) of all tuples, caption by caption and tuple by tuple."""
    counts = [0, 0, 0]
    for p, g in zip(predicted, gold, strict=True):
        sets = []
        for graph in (p, g):
            seen = []
            for o in graph.get("objects", []):
                seen.append((o,))
            for o, a in graph.get("attributes", []):
                seen += [(o, a), (o,)]
            for s, r, o in graph.get("relations", []):
                seen += [(s, r, o), (s,), (o,)]
            names = [tuple(normalize(part) for part in t) for t in seen]
            sets.append({t for t in names if all(t)})
        counts[0] += len([t for t in sets[0] if t in sets[1]])
        counts[1] += len(sets[0])
        counts[2] += len(sets[1])
    return counts


def test_random_graphs_agree_with_a_plain_recount():
    rng = random.Random(0)
    nouns, verbs = ["man", "Men", "dog", "hot dog"], ["on", "ride", "sit on"]

    def graph():
        return {
            "objects": rng.choices(nouns, k=rng.randrange(3)),
            "attributes": [(rng.choice(nouns), rng.choice("ab")) for _ in range(rng.randrange(3))],
            "relations": [
                (rng.choice(nouns), rng.choice(verbs), rng.choice(nouns))
                for _ in range(rng.randrange(3))
            ],
        }

    def normalize(phrase):
        return re.sub("men$", "man", plain_words(phrase))

    predicted, gold = [graph() for _ in range(200)], [graph() for _ in range(200)]
    score = parser_f1(predicted, gold, normalize)
    counts = [score.all.hit, score.all.predicted, score.all.true]
    assert counts == reference(predicted, gold, normalize)


def test_nothing_predicted_scores_zero():
    score = parser_f1([{}], [{"objects": ["dog"]}])
    assert (score.all.precision, score.all.recall, score.all.f1) == (0, 0, 0)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="1 predicted and 2 gold"):
        parser_f1([{}], [{}, {}])
    with pytest.raises(ValueError, match="0 predicted"):
        parser_f1([], [])


def test_the_old_name_of_an_argument_warns() -> None:
    with pytest.warns(DeprecationWarning, match="normalise is now normalize"):
        found = graph_tuples({"objects": ["Dog"]}, normalise=str.upper)  # type: ignore[call-arg]
    assert found == {("DOG",)}
