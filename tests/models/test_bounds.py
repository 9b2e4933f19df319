"""The formulas that models tell for bounds are those of their scores."""

import pytest
import torch
from torch import Tensor

from pyg_sgm.models import BoundLevel, Encoding
from pyg_sgm.ops import Packed
from tests.helpers.indexes import SMALL, WITHOUT_BOUNDS, small_matcher
from tests.helpers.training import world

BOUNDED = [name for name in SMALL if name not in WITHOUT_BOUNDS]


def rows(value: Packed | Tensor, i: int) -> list[Tensor]:
    if isinstance(value, Packed):
        return list(value.x[value.ptr[i] : value.ptr[i + 1]].double())
    return [value[i].double()]


def term(level: BoundLevel, image: Encoding, i: int, text: Encoding, j: int) -> float:
    """One level of one pair, node by node."""
    sides = {"image": rows(getattr(image, level.field), i)}
    sides["text"] = rows(getattr(text, level.field), j)
    searching = sides[level.searching]
    searched = sides["text" if level.searching == "image" else "image"]
    if not searching or not searched:
        return 0.0
    own = (image, i) if level.searching == "image" else (text, j)
    weights = None if level.weights is None else getattr(own[0], level.weights)
    total = 0.0
    for t, node in enumerate(searching):
        best = max(float(node @ other) for other in searched)
        if level.transform is not None:
            best = float(level.transform(torch.tensor(best, dtype=torch.float64)))
        weight = 1 / len(searching) if weights is None else float(rows(weights, own[1])[t])
        assert weight >= 0
        total += weight * best
    return level.factor * total


@pytest.mark.parametrize("name", BOUNDED)
def test_levels_are_the_terms_of_the_score(name: str) -> None:
    matcher, data = small_matcher(name), world(num_images=4)
    image = matcher.encode_images(data).encoding
    text = matcher.encode_texts(data.texts[:5]).encoding
    levels = matcher.saved.model.bound_levels()
    assert levels
    model = matcher.saved.model.eval()
    with torch.no_grad():
        scores, terms = model.score(image, text), model.levels(image, text)
    if len(terms) > 1:
        assert {level.name for level in levels} == set(terms)
    for i in range(len(image)):
        for j in range(len(text)):
            own = {level.name: term(level, image, i, text, j) for level in levels}
            assert sum(own.values()) == pytest.approx(float(scores[i, j]), abs=1e-5)
            if len(terms) > 1:
                assert own == pytest.approx({k: float(v[i, j]) for k, v in terms.items()}, abs=1e-5)


@pytest.mark.parametrize("name", ["hoad", "scan"])
def test_others_have_none(name: str) -> None:
    assert not small_matcher(name).saved.model.bound_levels()
