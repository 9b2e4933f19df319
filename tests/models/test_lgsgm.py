"""LGSGM against SGM's references with cosines, and the level of whole graphs node by node."""

import math
from typing import Any

import pytest
import torch

from pyg_sgm.models import LGSGM, SGM
from pyg_sgm.testing import scores_of
from tests.helpers.matchers import assert_matcher, small
from tests.models.test_sgm import image_reference, level_reference, path_reference, words_reference

Rows = list[list[float]]


def unit(x: list[float]) -> list[float]:
    norm = math.sqrt(sum(a * a for a in x))
    return [a / norm for a in x] if norm else x


def dot(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def mean(rows: Rows, size: int = 6) -> list[float]:
    return [sum(row[k] for row in rows) / max(1, len(rows)) for k in range(size)]


def whole(weights: Any, name: str, rows: Rows) -> list[float]:
    center = mean(rows)
    context = [max(0.0, dot(row, center)) for row in weights[f"{name}.lin.weight"].tolist()]
    gated = [[a / (1 + math.exp(-dot(row, context))) for a in row] for row in rows]
    return unit(mean(gated))


def text_reference(weights: Any, text: Any) -> tuple[Rows, Rows]:
    words = words_reference(weights, text["word"].token)
    of_nodes = text["object"].token.split(text["object"].length.tolist())
    of_predicates = text["relation"].token.split(text["relation"].length.tolist())
    subject = text["object", "subject_of", "relation"].edge_index[0].tolist()
    object = text["relation", "has_object", "object"].edge_index[1].tolist()
    paths = [
        path_reference(weights, torch.cat([of_nodes[s], predicate, of_nodes[o]]))
        for s, predicate, o in zip(subject, of_predicates, object, strict=True)
    ]
    return words, paths


def test_properties() -> None:
    assert_matcher(*small(LGSGM, hidden=5, shared_label_projection=True))


def test_score_equals_reference() -> None:
    model, pairs = small(LGSGM, hidden=5)
    weights = model.state_dict()
    scores = scores_of(model, pairs.images, pairs.texts)
    for j in range(len(pairs.texts)):
        words, paths = text_reference(weights, pairs.texts[j])
        of_text = whole(weights, "text_graph", words + paths)
        for i in range(len(pairs.images)):
            objects, relations = image_reference(weights, pairs.images[i])
            expected = sum(
                level_reference([unit(x) for x in queries], [unit(x) for x in candidates])
                for queries, candidates in ((words, objects), (paths, relations))
            )
            expected += dot(whole(weights, "image_graph", objects + relations), of_text)
            assert scores[i, j].item() == pytest.approx(expected, abs=1e-10)


def test_without_whole_graphs_it_is_sgm() -> None:
    model, pairs = small(LGSGM, hidden=5)
    sgm, _ = small(SGM, hidden=5, normalize=True)
    sgm.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        image, text = pairs.images.batch(), pairs.texts.batch()
        levels = model.levels(model.encode_image(image), model.encode_text(text))
        torch.testing.assert_close(levels["object"] + levels["relation"], sgm(image, text))
