"""SAEM against its score written node by node and head by head."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.models import SAEM
from tests.helpers.matchers import (
    assert_matcher,
    assert_scores,
    cosine,
    embedded,
    linear,
    regions_of,
    small,
)
from tests.models.test_sgraf import softmax

OPTIONS = {"num_layers": 2, "num_heads": 3}


def norm(model: Any, name: str, x: Tensor) -> Tensor:
    w = model.state_dict()
    x = (x - x.mean()) / ((x - x.mean()).square().mean() + 1e-5).sqrt()
    return x * w[f"{name}.weight"] + w[f"{name}.bias"]


def attended(model: Any, name: str, nodes: list[Tensor]) -> list[Tensor]:
    for layer in range(2):
        part = f"{name}.{layer}"
        projected = [linear(model, f"{part}.lin_in", x) for x in nodes]
        new = []
        for own, x in zip(projected, nodes, strict=True):
            heads = []
            for h in range(3):  # of two channels each
                q, k, v = (slice(6 * s + 2 * h, 6 * s + 2 * h + 2) for s in range(3))
                logits = [float(own[q] @ other[k]) / math.sqrt(2) for other in projected]
                shares = softmax(logits)
                heads.append(sum(a * o[v] for a, o in zip(shares, projected, strict=True)))
            y = norm(model, f"{part}.norm", x + linear(model, f"{part}.lin_out", torch.cat(heads)))
            hidden = linear(model, f"{part}.mlp.0", y).clamp(min=0)
            new.append(norm(model, f"{part}.mlp_norm", y + linear(model, f"{part}.mlp.2", hidden)))
        nodes = new
    return nodes


def of_image(model: Any, image: Any) -> Tensor:
    regions = attended(model, "layers", list(regions_of(model, image)))
    return sum(regions) / len(regions) if regions else torch.zeros(6, dtype=torch.float64)


def of_text(model: Any, text: Any) -> Tensor:
    words = []
    for t, x in enumerate(linear(model, "word_encoder.lin", embedded(model, text))):
        place = [
            (math.sin if c % 2 == 0 else math.cos)(t / 10000 ** (2 * (c // 2) / 6))
            for c in range(6)
        ]
        words.append(x + torch.tensor(place, dtype=torch.float64))
    words = attended(model, "word_encoder.layers", words)
    zero = torch.zeros(6, dtype=torch.float64)
    found = []
    for width, shifts in enumerate(([0], [0, 1], [-1, 0, 1])):
        best = zero
        for t in range(len(words)):
            window = [words[t + s] if 0 <= t + s < len(words) else zero for s in shifts]
            value = linear(model, f"word_encoder.convs.{width}.lin", torch.cat(window))
            best = torch.maximum(best, value)
        found.append(best)
    return linear(model, "word_encoder.out", torch.cat(found))


def reference(model: Any, image: Any, text: Any) -> Tensor:
    return cosine(of_image(model, image), of_text(model, text))


def test_properties() -> None:
    assert_matcher(*small(SAEM, shared_label_projection=True, **OPTIONS))


def test_score_equals_reference() -> None:
    model, pairs = small(SAEM, **OPTIONS)
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm):
            torch.nn.init.normal_(module.weight)
    assert_scores(model, pairs, reference)


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match="size 6 is no multiple of num_heads, 4"):
        small(SAEM, num_heads=4)
    with pytest.raises(ValueError, match="num_layers must lie in 0 to 100, got -1"):
        small(SAEM, num_layers=-1)
