"""DPC against its score and its instance loss written one by one."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.models import DPC
from tests.helpers.matchers import (
    assert_matcher,
    assert_scores,
    cosine,
    embedded,
    linear,
    regions_of,
    small,
)
from tests.models.test_dspe import mean


def head(model: Any, name: str, x: Tensor) -> Tensor:
    return linear(model, f"{name}.2", x.clamp(min=0))


def conv(model: Any, name: str, words: list[Tensor]) -> list[Tensor]:
    zero = torch.zeros(6, dtype=torch.float64)
    padded = [zero, *words, zero]
    return [linear(model, f"{name}.lin", torch.cat(padded[t : t + 3])) for t in range(len(words))]


def of_image(model: Any, image: Any) -> Tensor:
    return head(model, "image_head", mean(regions_of(model, image)))


def of_text(model: Any, text: Any) -> Tensor:
    words = list(linear(model, "word_encoder.lin", embedded(model, text)).clamp(min=0))
    for block in range(2):
        inner = [x.clamp(min=0) for x in conv(model, f"word_encoder.convs.{2 * block}", words)]
        added = conv(model, f"word_encoder.convs.{2 * block + 1}", inner)
        words = [(x + y).clamp(min=0) for x, y in zip(words, added, strict=True)]
    rows = torch.stack(words) if words else torch.zeros(0, 6, dtype=torch.float64)
    return head(model, "text_head", mean(rows))


def reference(model: Any, image: Any, text: Any) -> Tensor:
    return cosine(of_image(model, image), of_text(model, text))


def test_properties() -> None:
    assert_matcher(*small(DPC, shared_label_projection=True))


def test_score_equals_reference() -> None:
    assert_scores(*small(DPC), reference)


def test_every_image_is_a_class() -> None:
    model, pairs = small(DPC, num_instances=7, instance_weight=0.5)
    batch = pairs.batch([1, 2, 4])  # of images 1, 2 and 0
    found = model.side_loss(model.encode_image(batch.image), model.encode_text(batch.text), batch)
    weight = model.state_dict()["classifier.weight"]

    def cost(x: Tensor, instance: int) -> float:
        logits = (weight @ (x / x.norm())).tolist()
        return math.log(sum(math.exp(v) for v in logits)) - logits[instance]

    of_images = [cost(of_image(model, pairs.images[i]), i) for i in (0, 1, 2)]
    of_texts = [cost(of_text(model, pairs.texts[j]), i) for j, i in ((1, 1), (2, 2), (4, 0))]
    expected = 0.5 * (sum(of_images) / 3 + sum(of_texts) / 3)
    assert found.item() == pytest.approx(expected, abs=1e-10)


def test_instances_that_do_not_fit() -> None:
    model, pairs = small(DPC, num_instances=2)
    batch = pairs.batch()
    image, text = model.encode_image(batch.image), model.encode_text(batch.text)
    with pytest.raises(ValueError, match="num_instances is 2, there is an image number 3"):
        model.side_loss(image, text, batch)
    model, _ = small(DPC)
    assert model.side_loss(image, text, batch) is None
    for options, message in (
        ({"num_instances": -1}, "num_instances must be a whole number from 0 on"),
        ({"num_blocks": -1}, "num_blocks must lie in 0 to 100"),
    ):
        with pytest.raises(ValueError, match=message):
            small(DPC, **options)
