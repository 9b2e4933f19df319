"""GSMN against its score written pair by pair and node by node."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.models import GSMN
from tests.helpers.matchers import (
    assert_matcher,
    assert_scores,
    cosine,
    linear,
    regions_of,
    small,
    words_of,
)
from tests.models.test_sgraf import softmax, unit

OPTIONS = {"num_blocks": 3, "hidden": 4, "num_kernels": 2, "sharpness": 5.0}


def matches(own: list[Tensor], others: list[Tensor]) -> list[Tensor]:
    found = []
    for x in own:
        weights = softmax([5.0 * float(x @ y) for y in others])
        seen = sum(w * y for w, y in zip(weights, others, strict=True))
        found.append(torch.stack([cosine(x[b : b + 2], seen[b : b + 2]) for b in (0, 2, 4)]))
    return found


def head(model: Any, name: str, x: Tensor) -> Tensor:
    return linear(model, f"{name}.2", linear(model, f"{name}.0", x).tanh())[0]


def reference(model: Any, image: Any, text: Any) -> Tensor:
    w = model.state_dict()
    regions = [unit(v) for v in regions_of(model, image)]
    words = [unit(t) for t in words_of(model, text)[0]]
    if not regions or not words:
        return torch.zeros(())
    by_words, by_regions = [], []
    found = matches(words, regions)
    for word in words:
        logits = [5.0 * float(word @ other) for other in words]
        edges = unit(torch.tensor(softmax(logits), dtype=torch.float64))
        gathered = sum(e * x for e, x in zip(edges, found, strict=True))
        gathered = linear(model, "text_structure.lin", gathered).clamp(min=0)
        by_words.append(head(model, "text_head", gathered))
    found = matches(regions, words)
    boxes = image["object"].box.double().tolist()
    centers = [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in boxes]
    for x, y in centers:
        parts = []
        for k in range(2):
            values = []
            for other_x, other_y in centers:
                rho = math.hypot(other_x - x, other_y - y)
                theta = math.atan2(other_y - y, other_x - x)
                angle = abs(theta - float(w["image_structure.angle"][k])) % (2 * math.pi)
                angle = min(angle, 2 * math.pi - angle)
                apart = rho - float(w["image_structure.distance"][k])
                sigma, tau = (math.exp(float(v)) for v in w["image_structure.log_deviation"][:, k])
                values.append(math.exp(-(apart**2) / (2 * sigma**2) - angle**2 / (2 * tau**2)))
            gathered = sum(v / sum(values) * m for v, m in zip(values, found, strict=True))
            parts.append(linear(model, f"image_structure.lin.{k}", gathered).clamp(min=0))
        by_regions.append(head(model, "image_head", torch.cat(parts)))
    return torch.stack(by_words).mean() + torch.stack(by_regions).mean()


def test_properties() -> None:
    assert_matcher(*small(GSMN, shared_label_projection=True, **OPTIONS))


def test_score_equals_reference() -> None:
    model, pairs = small(GSMN, **OPTIONS)
    torch.nn.init.normal_(model.image_structure.log_deviation)
    assert_scores(model, pairs, reference)


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="dim must be a multiple of num_blocks, 4: 6"):
        small(GSMN, num_blocks=4)
    with pytest.raises(ValueError, match="hidden must be a multiple of num_kernels, 3: 4"):
        small(GSMN, **{**OPTIONS, "num_kernels": 3})
    model, pairs = small(GSMN, **OPTIONS)
    batch = pairs.images.batch()
    del batch["object"].box
    with pytest.raises(ValueError, match="no boxes"):
        model.encode_image(batch)
