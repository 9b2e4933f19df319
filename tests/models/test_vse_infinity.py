"""VSE-infinity against its pooling written set by set and channel by channel."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.models import VSEInfinity
from pyg_sgm.nn import GeneralizedPooling
from pyg_sgm.ops import Packed
from tests.helpers.matchers import (
    assert_matcher,
    assert_scores,
    bi_rnn,
    cosine,
    linear,
    regions_of,
    small,
    words_of,
)


def pooled(model: Any, name: str, nodes: Tensor, d: int = 4) -> Tensor:
    out = torch.zeros(nodes.size(1), dtype=nodes.dtype)
    n = len(nodes)
    if not n:
        return out
    codes = torch.zeros(n, d, dtype=torch.float64)
    for k in range(1, n + 1):
        for j in range(d // 2):
            rate = 1 / 10000 ** (2 * j / d)
            codes[k - 1, 2 * j] = math.sin(rate * k)
            codes[k - 1, 2 * j + 1] = math.cos(rate * k)
    states = bi_rnn(model, f"{name}.encoder", codes)
    states = (states[:, :d] + states[:, d:]) / 2
    logits = [float(linear(model, f"{name}.lin", state)) for state in states]
    total = sum(math.exp(logit) for logit in logits)
    for channel in range(nodes.size(1)):
        values = sorted(nodes[:, channel].tolist(), reverse=True)
        out[channel] = sum(
            math.exp(logit) / total * value for logit, value in zip(logits, values, strict=True)
        )
    return out


def reference(model: Any, image: Any, text: Any) -> Tensor:
    return cosine(
        pooled(model, "image_pool", regions_of(model, image)),
        pooled(model, "text_pool", words_of(model, text)[0]),
    )


def test_properties() -> None:
    assert_matcher(*small(VSEInfinity, position=4, shared_label_projection=True))


def test_score_equals_reference() -> None:
    model, pairs = small(VSEInfinity, position=4)
    assert_scores(model, pairs, reference)


def test_equal_weights_are_the_mean() -> None:
    pool = GeneralizedPooling(4)
    torch.nn.init.zeros_(pool.lin.weight)
    x = torch.rand(5, 3)
    expected = torch.stack([x[:2].mean(0), torch.zeros(3), x[2:].mean(0)])
    torch.testing.assert_close(pool(Packed(x, torch.tensor([0, 2, 2, 5]))), expected)


def test_training_leaves_nodes_out() -> None:
    model, pairs = small(VSEInfinity, position=4, node_dropout=0.5)
    image = pairs.images.batch()
    whole = model.encode_image(image).summary
    model.train()
    assert not torch.equal(model.encode_image(image).summary, whole)
    with pytest.raises(ValueError, match=r"node_dropout must lie in \[0, 1\), got 1"):
        small(VSEInfinity, node_dropout=1)
