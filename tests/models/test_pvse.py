"""PVSE against its score and its two terms written one by one."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.models import PVSE
from tests.helpers.matchers import (
    assert_matcher,
    assert_scores,
    cosine,
    linear,
    regions_of,
    small,
    words_of,
)
from tests.models.test_sgraf import softmax


def embeddings(model: Any, name: str, nodes: Tensor, whole: Tensor) -> list[tuple[Tensor, Tensor]]:
    w = model.state_dict()
    out = []
    for k in range(3):
        taken = torch.zeros(6, dtype=torch.float64)
        if len(nodes):
            query = w[f"{name}.attention.weight"][k]
            logits = [float(query @ linear(model, f"{name}.hidden", x).tanh()) for x in nodes]
            taken = sum(a * x for a, x in zip(softmax(logits), nodes, strict=True))
        guided = 1 / (1 + (-linear(model, f"{name}.lin", taken)).exp())
        z = whole + guided
        z = (z - z.mean()) / ((z - z.mean()).square().mean() + 1e-5).sqrt()
        out.append((z * w[f"{name}.norm.weight"] + w[f"{name}.norm.bias"], guided))
    return out


def of_image(model: Any, image: Any) -> list[tuple[Tensor, Tensor]]:
    regions = regions_of(model, image)
    mean = regions.sum(0) / max(1, len(regions))
    return embeddings(model, "image_pool", regions, mean)


def of_text(model: Any, text: Any) -> list[tuple[Tensor, Tensor]]:
    return embeddings(model, "text_pool", *words_of(model, text))


def reference(model: Any, image: Any, text: Any) -> Tensor:
    return max(cosine(x, y) for x, _ in of_image(model, image) for y, _ in of_text(model, text))


def test_properties() -> None:
    assert_matcher(*small(PVSE, num_embeddings=3, shared_label_projection=True))


def test_score_equals_reference() -> None:
    model, pairs = small(PVSE, num_embeddings=3)
    torch.nn.init.normal_(model.image_pool.norm.weight)
    assert_scores(model, pairs, reference)


def test_no_texts_have_no_scores() -> None:
    model, pairs = small(PVSE)
    image, text = model.encode_image(pairs.images.batch()), model.encode_text(pairs.texts.batch())
    none = torch.tensor([], dtype=torch.long)
    assert model.score(image, text.select(none)).shape == (len(image), 0)
    assert model.score(image.select(none), text).shape == (0, len(text))


def test_terms_of_the_loss() -> None:
    model, pairs = small(PVSE, num_embeddings=3, diversity=0.7, discrepancy=0.3)
    batch = pairs.batch()
    model.train()
    found = model.side_loss(model.encode_image(batch.image), model.encode_text(batch.text), batch)
    expected = 0.0
    sides = [
        [of_image(model, pairs.images[i]) for i in range(len(pairs.images))],
        [of_text(model, pairs.texts[j]) for j in range(len(pairs.texts))],
    ]
    for side in sides:
        for graph in side:
            r = [guided for _, guided in graph]
            square = sum(
                float(cosine(r[k], r[m])) ** 2 for k in range(3) for m in range(3) if k != m
            )
            expected += 0.7 * math.sqrt(square) / 9 / len(side)
    x, y = ([z / z.norm() for graph in side for z, _ in graph] for side in sides)

    def kernel(a: list[Tensor], b: list[Tensor]) -> float:
        values = [math.exp(-float((u - v).square().sum()) / 2) for u in a for v in b]
        return sum(values) / len(values)

    expected += 0.3 * (kernel(x, x) - 2 * kernel(x, y) + kernel(y, y))
    assert found.item() == pytest.approx(expected, abs=1e-10)
    found.backward()
    assert model.text_pool.lin.weight.grad.isfinite().all()


def test_of_one_embedding_nothing_differs() -> None:
    model, pairs = small(PVSE, num_embeddings=1, diversity=1.0, discrepancy=0.0)
    batch = pairs.batch()
    model.train()
    loss = model.side_loss(model.encode_image(batch.image), model.encode_text(batch.text), batch)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-10)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)
