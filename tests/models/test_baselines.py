"""The models without graphs, each against its score written node by node."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_sgm.data import PairedGraphs
from pyg_sgm.models import DVSA, SCAN, VSE, VSRN, Matcher
from pyg_sgm.testing import (
    assert_batch_invariant,
    assert_graph_order_invariant,
    assert_node_order_invariant,
    scores_of,
)
from tests.helpers.worlds import edge_cases, sizes_of

MODELS = {
    "vse": (VSE, {}),
    "dvsa": (DVSA, {}),
    "dvsa-cosine": (DVSA, {"normalize": True}),
    "scan-text-image": (SCAN, {}),
    "scan-image-text": (SCAN, {"direction": "image-text", "pooling": "average"}),
    "vsrn": (VSRN, {"num_layers": 2}),
    "vsrn-normalized": (VSRN, {"num_layers": 2, "normalize": True}),
}


def build(model: type[Matcher], **options: Any) -> tuple[Any, PairedGraphs]:
    torch.manual_seed(0)
    pairs, vocabularies = edge_cases()
    return model(sizes_of(vocabularies), **(dict(dim=6, embed=4) | options)).eval().double(), pairs


@pytest.mark.parametrize("shared_label_projection", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_properties(name: str, shared_label_projection: bool) -> None:
    kind, options = MODELS[name]
    model, pairs = build(kind, shared_label_projection=shared_label_projection, **options)
    assert_graph_order_invariant(model, pairs.images, pairs.texts, tol=1e-10)
    assert_batch_invariant(model, pairs.images, pairs.texts, tol=1e-10)
    assert_node_order_invariant(model, pairs.images, pairs.texts, tol=1e-10)
    image = model.encode_image(pairs.images.batch())
    scores = model.score(image, model.encode_text(pairs.texts.batch()))
    scores.square().sum().backward()
    assert scores.isfinite().all()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads
    assert all(grad.isfinite().all() for grad in grads)
    again = type(model)(model.sizes, **model.config)
    assert set(again.state_dict()) == set(model.state_dict())


def sides(model: Any, pairs: PairedGraphs, i: int, j: int) -> tuple[Tensor, Tensor, Tensor]:
    """Regions, words and sentence before the score of the model."""
    regions = model.regions(pairs.images.batch([i])).x
    words, sentence = model.words(pairs.texts.batch([j]))
    return regions, words.x, sentence[0]


def cosine(a: Tensor, b: Tensor) -> Tensor:
    norm = a.norm() * b.norm()
    return a @ b / norm if norm > 0 else a @ b


def test_regions_and_words_share_their_labels() -> None:
    model, pairs = build(VSE, shared_label_projection=True)
    w = model.state_dict()
    plain, _ = build(VSE)
    plain.load_state_dict({k: v for k, v in w.items() if not k.startswith("shared")})
    with_names = sides(model, pairs, 0, 0)
    without = sides(plain, pairs, 0, 0)
    labels = w["object_embedding.weight"][pairs.images[0]["object"].label]
    tokens = w["word_embedding.weight"][pairs.texts[0]["word"].token]
    names = labels @ w["shared.weight"].t(), tokens @ w["shared.weight"].t()
    torch.testing.assert_close(with_names[0], without[0] + names[0])
    torch.testing.assert_close(with_names[1], without[1] + names[1])
    torch.testing.assert_close(with_names[2], without[2] + names[1].mean(0))


def vse_score(model: Any, regions: Tensor, words: Tensor, sentence: Tensor) -> Tensor:
    mean = regions.mean(0) if len(regions) else torch.zeros_like(sentence)
    return cosine(mean, sentence)


def dvsa_score(model: Any, regions: Tensor, words: Tensor, sentence: Tensor) -> Tensor:
    best = [max(word @ region for region in regions) for word in words if len(regions)]
    return torch.stack(best).sum() if best else torch.tensor(0.0)


def vsrn_score(model: Any, regions: Tensor, words: Tensor, sentence: Tensor) -> Tensor:
    w = model.state_dict()

    def lin(name: str, x: Tensor) -> Tensor:
        return w[f"{name}.weight"] @ x + w[f"{name}.bias"]

    if model.normalize and len(regions):
        regions = torch.stack([v / v.square().sum().sqrt() for v in regions])
    for layer in range(2):
        name = f"layers.{layer}"
        new = []
        for v in regions:
            total = torch.zeros_like(v)
            for u in regions:
                affinity = lin(f"{name}.query", v) @ lin(f"{name}.key", u)
                total = total + affinity * lin(f"{name}.value", u)
            new.append(v + lin(f"{name}.out", total / len(regions)))
        regions = torch.stack(new) if new else regions
    return vse_score(model, regions, words, sentence)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("vse", vse_score),
        ("dvsa", dvsa_score),
        ("vsrn", vsrn_score),
        ("vsrn-normalized", vsrn_score),
    ],
)
def test_score_equals_reference(name: str, reference: Any) -> None:
    kind, options = MODELS[name]
    model, pairs = build(kind, **options)
    scores = scores_of(model, pairs.images, pairs.texts)
    with torch.no_grad():
        for i in range(len(pairs.images)):
            for j in range(len(pairs.texts)):
                expected = reference(model, *sides(model, pairs, i, j))
                assert float(scores[i, j]) == pytest.approx(float(expected), abs=1e-10), (i, j)


def test_scan_compares_each_side_with_what_it_attends_to() -> None:
    """One region, one word: both directions are their cosine."""
    for direction in ("text-image", "image-text"):
        model, pairs = build(SCAN, direction=direction, pooling="average")
        regions, words, _ = sides(model, pairs, 2, 2)
        score = model.score(
            model.encode_image(pairs.images.batch([2])), model.encode_text(pairs.texts.batch([2]))
        )
        torch.testing.assert_close(score[0, 0], cosine(regions[0], words[0]))


def test_unknown_options() -> None:
    with pytest.raises(ValueError, match="known: text-image, image-text"):
        build(SCAN, direction="up")
    with pytest.raises(ValueError, match="known: average, lse"):
        build(SCAN, pooling="max")
