"""SCO against its score, its concepts and its told texts written one by one."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pyg_sgm.models import SCO
from tests.helpers.matchers import (
    assert_matcher,
    assert_scores,
    cosine,
    embedded,
    linear,
    regions_of,
    small,
    words_of,
)
from tests.models.test_dspe import mean
from tests.models.test_sgraf import unit


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def of_image(model: Any, image: Any) -> Tensor:
    regions = regions_of(model, image)
    shown = torch.zeros(model.sizes.words, dtype=torch.float64)
    for region in regions:
        shown = torch.maximum(shown, sigmoid(linear(model, "concepts", region)))
    context = mean(regions)
    gate = linear(model, "gate_concepts", shown) + linear(model, "gate_context", context)
    named, seen = linear(model, "of_concepts", shown), linear(model, "of_context", context)
    return sigmoid(gate) * unit(named) + (1 - sigmoid(gate)) * unit(seen)


def reference(model: Any, image: Any, text: Any) -> Tensor:
    return cosine(of_image(model, image), words_of(model, text, nn.LSTM)[1])


def test_properties() -> None:
    assert_matcher(*small(SCO, shared_label_projection=True))


def test_score_equals_reference() -> None:
    assert_scores(*small(SCO), reference)


def told(model: Any, image: Any, text: Any) -> list[float]:
    """What each word costs, by an LSTM written gate by gate."""
    w = model.state_dict()
    h, c = unit(of_image(model, image)), torch.zeros(6, dtype=torch.float64)
    x, costs = torch.zeros(4, dtype=torch.float64), []
    for token, following in zip(text["word"].token.tolist(), embedded(model, text), strict=True):
        gates = w["teller.weight_ih_l0"] @ x + w["teller.bias_ih_l0"]
        gates = gates + w["teller.weight_hh_l0"] @ h + w["teller.bias_hh_l0"]
        i, f, g, o = gates.view(4, 6)
        c = sigmoid(f) * c + sigmoid(i) * g.tanh()
        h = sigmoid(o) * c.tanh()
        logits = linear(model, "next_word", h).tolist()
        costs.append(math.log(sum(math.exp(v) for v in logits)) - logits[token])
        x = following
    return costs


def test_an_image_tells_its_concepts_and_texts() -> None:
    model, pairs = small(SCO, concept_weight=0.2, order_weight=0.7)
    batch = pairs.batch()
    model.train()
    found = model.side_loss(model.encode_image(batch.image), model.encode_text(batch.text), batch)
    costs, wanted = [], [set() for _ in range(len(pairs.images))]  # type: list[float], list[set[int]]
    for j, i in enumerate(pairs.image_of_text.tolist()):
        text = pairs.texts[j]
        costs += told(model, pairs.images[i], text)
        for node in ("object", "relation", "attribute"):
            wanted[i] |= set(text[node].token.tolist())
    assert wanted[0]
    expected = 0.7 * sum(costs) / len(costs)
    for i, concepts in enumerate(wanted):
        regions = regions_of(model, pairs.images[i])
        for concept in range(model.sizes.words) if len(regions) else ():
            sure = max(float(sigmoid(linear(model, "concepts", x))[concept]) for x in regions)
            cost = -math.log(sure if concept in concepts else 1 - sure)
            expected += 0.2 * cost / len(pairs.images)
    assert found.item() == pytest.approx(expected, abs=1e-10)
    found.backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


def test_texts_without_words_tell_nothing() -> None:
    model, pairs = small(SCO)
    batch = pairs.batch([3])
    image, text = model.encode_image(batch.image), model.encode_text(batch.text)
    assert image.concepts is None
    assert model.side_loss(image, text, batch).item() == 0
