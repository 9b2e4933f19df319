"""DSPE against its score and its term of neighbors written one by one."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.data import PairBatch
from pyg_sgm.models import DSPE
from tests.helpers.matchers import (
    assert_matcher,
    assert_scores,
    cosine,
    embedded,
    linear,
    regions_of,
    small,
)


def branch(model: Any, name: str, x: Tensor) -> Tensor:
    w = model.state_dict()
    y = linear(model, f"{name}.1", x.clamp(min=0))
    y = (y - w[f"{name}.2.running_mean"]) / (w[f"{name}.2.running_var"] + 1e-5).sqrt()
    return y * w[f"{name}.2.weight"] + w[f"{name}.2.bias"]


def mean(rows: Tensor) -> Tensor:
    return rows.sum(0) / max(1, len(rows))


def of_text(model: Any, text: Any) -> Tensor:
    words = linear(model, "word_encoder.lin", embedded(model, text))
    return branch(model, "text_branch", mean(words))


def reference(model: Any, image: Any, text: Any) -> Tensor:
    whole = mean(regions_of(model, image))
    return cosine(branch(model, "image_branch", whole), of_text(model, text))


def with_statistics(**options: Any) -> tuple[Any, Any]:
    model, pairs = small(DSPE, **options)
    for module in (model.image_branch[2], model.text_branch[2]):
        torch.nn.init.normal_(module.running_mean)
        torch.nn.init.uniform_(module.running_var, 0.5, 2)
        torch.nn.init.normal_(module.weight)
        torch.nn.init.normal_(module.bias)
    return model, pairs


def test_properties() -> None:
    assert_matcher(*with_statistics(shared_label_projection=True))


def test_score_equals_reference() -> None:
    assert_scores(*with_statistics(), reference)


@pytest.mark.parametrize("margin", [0.1, 1.5])
def test_texts_of_one_image_are_neighbors(margin: float) -> None:
    model, pairs = with_statistics(margin=margin, neighborhood=0.3)
    batch = pairs.batch()
    batch = PairBatch(
        batch.image, batch.text, torch.tensor([0, 1, 0, 2, 0]), torch.tensor([0, 1, 2])
    )
    found = model.side_loss(model.encode_image(batch.image), model.encode_text(batch.text), batch)
    h = [of_text(model, pairs.texts[j]) for j in range(5)]
    expected, group = 0.0, [0, 1, 0, 2, 0]
    for i in range(5):
        for j in range(5):
            for k in range(5):
                if i != j and group[i] == group[j] != group[k]:
                    gap = margin - float(cosine(h[i], h[j])) + float(cosine(h[i], h[k]))
                    expected += 0.3 * max(0.0, gap) / 5
    assert expected > 0
    assert found.item() == pytest.approx(expected, abs=1e-10)
    found.backward()


def test_texts_without_neighbors_cost_nothing() -> None:
    model, pairs = with_statistics()
    batch = pairs.batch([0, 1, 2])
    image, text = model.encode_image(batch.image), model.encode_text(batch.text)
    assert model.side_loss(image, text, batch).item() == 0
