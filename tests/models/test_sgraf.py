"""SGRAF against its score written pair by pair and word by word."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.models import SGRAF
from tests.helpers.matchers import (
    assert_matcher,
    assert_scores,
    cosine,
    linear,
    regions_of,
    small,
    words_of,
)

MODULES = pytest.mark.parametrize("module", ["sgr", "saf", "both"])


def unit(x: Tensor) -> Tensor:
    return x / x.norm() if x.norm() > 0 else x


def softmax(values: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def summary(model: Any, name: str, nodes: list[Tensor], dim: int) -> Tensor:
    if not nodes:
        return torch.zeros(dim, dtype=torch.float64)
    mean = torch.stack(nodes).mean(0)
    logits = [
        float(
            linear(
                model,
                f"{name}.attention",
                linear(model, f"{name}.local", x).tanh()
                * linear(model, f"{name}.context", mean).tanh(),
            )
        )
        for x in nodes
    ]
    return unit(sum(w * x for w, x in zip(softmax(logits), nodes, strict=True)))


def similarities(model: Any, image: Any, text: Any) -> list[Tensor]:
    regions = [unit(v) for v in regions_of(model, image)]
    words = [unit(t) for t in words_of(model, text)[0]]
    whole = summary(model, "image_summary", regions, 6) - summary(model, "text_summary", words, 6)
    found = [unit(linear(model, "global_similarity.lin", whole**2))]
    for word in words if regions else []:
        logits = []
        for region in regions:
            norm = math.sqrt(sum(max(0.0, float(cosine(region, t))) ** 2 for t in words))
            own = max(0.0, float(cosine(region, word)))
            logits.append(9.0 * own / norm if norm else 0.0)
        seen = sum(w * v for w, v in zip(softmax(logits), regions, strict=True))
        found.append(unit(linear(model, "local_similarity.lin", (seen - word) ** 2)))
    return found


def reference(model: Any, image: Any, text: Any) -> Tensor:
    s = similarities(model, image, text)
    score = torch.zeros((), dtype=torch.float64)
    if model.filtration is not None:
        beta = [float(linear(model, "filtration.gate", x).sigmoid()) for x in s]
        mean = sum(b / sum(beta) * x for b, x in zip(beta, s, strict=True))
        score = score + linear(model, "filtration.lin", mean)[0]
    if model.reasoning is not None:
        for step in range(3):
            new = []
            for p in s:
                query = linear(model, f"reasoning.query.{step}", p)
                edges = softmax(
                    [float(query @ linear(model, f"reasoning.key.{step}", q)) for q in s]
                )
                gathered = sum(e * q for e, q in zip(edges, s, strict=True))
                new.append(linear(model, f"reasoning.out.{step}", gathered).clamp(min=0))
            s = new
        score = score + linear(model, "reasoning.lin", s[0])[0]
    return score


@MODULES
def test_properties(module: str) -> None:
    assert_matcher(*small(SGRAF, similarity=5, module=module, shared_label_projection=True))


@MODULES
def test_score_equals_reference(module: str) -> None:
    model, pairs = small(SGRAF, similarity=5, module=module)
    assert_scores(model, pairs, reference)


def test_both_is_the_sum() -> None:
    model, pairs = small(SGRAF, similarity=5)
    image = model.encode_image(pairs.images.batch())
    text = model.encode_text(pairs.texts.batch())
    both = model.score(image, text)
    filtration, model.filtration = model.filtration, None
    alone = model.score(image, text)
    model.filtration, model.reasoning = filtration, None
    torch.testing.assert_close(alone + model.score(image, text), both)


def test_unknown_options() -> None:
    with pytest.raises(ValueError, match="module 'sum'; known: sgr, saf, both"):
        small(SGRAF, module="sum")
    with pytest.raises(ValueError, match="num_steps must lie in 1 to 100, got 0"):
        small(SGRAF, num_steps=0)
