"""Attributes from region features."""

import math
from pathlib import Path

import pytest
import torch

from pyg_sgm.data import Ragged, Spans, image_record
from pyg_sgm.vision import AttributeHead


def random_head() -> AttributeHead:
    head = AttributeHead(
        ["red", "wet"], ["dog", "man"], torch.tensor([0.5, -1, 2]), torch.tensor([1, 2, 0.5])
    )
    generator = torch.Generator().manual_seed(0)
    for value in head.parameters():
        value.data = 2 * torch.randn(value.shape, generator=generator)
    return head


def rows(*counts: int) -> Ragged:
    x = torch.randn(sum(counts) + 1, 3, generator=torch.Generator().manual_seed(1))
    spans = Spans.packed(torch.tensor(counts))
    return Ragged(x, Spans(spans.start + 1, spans.count))  # not from the first row on


def chance(head: AttributeHead, x: list[float], label: int, word: int) -> float:
    """The equation, a number at a time."""
    weights = head.of_features.weight[word].tolist()
    logit = head.of_label.weight[label, word].item()
    for w, value, mean, std in zip(weights, x, head.mean.tolist(), head.std.tolist(), strict=True):
        logit += w * (value - mean) / std
    return 1 / (1 + math.exp(-logit))


def test_what_is_named_is_likely() -> None:
    head = random_head()
    labels = [["dog", "<unk>", "man"], [], ["cat", "dog", "dog", "man"]]
    features = rows(3, 0, 4)
    named = head.name([image_record(one) for one in labels], features)
    row, found = 1, 0
    for own, image in zip(labels, named, strict=True):
        expected = {}
        for i, label in enumerate(own):
            for word, name in enumerate(["red", "wet"]):
                if label in ("dog", "man"):
                    x = features.rows[row].tolist()
                    p = chance(head, x, 1 + ("dog", "man").index(label), word)
                    if p >= 0.35:
                        expected[i, name] = p
            row += 1
        assert list(image.attributes) == list(expected)
        assert image.scores.get("attribute", []) == pytest.approx(list(expected.values()), abs=1e-4)
        found += len(expected)
    assert 4 <= found <= 9


def test_what_an_object_has_already_is_not_named_again() -> None:
    head = random_head()
    plain = [image_record(["dog", "man"])]
    once = head.name(plain, rows(2))
    assert once[0].attributes
    assert head.name(once, rows(2)) == once
    known = [image_record(["dog", "man"], attributes=once[0].attributes[:1])]
    both = head.name(known, rows(2))[0]
    assert sorted(both.attributes) == sorted(once[0].attributes)
    assert "attribute" not in both.scores  # that of the first is not known


def test_saved_and_read(tmp_path: Path) -> None:
    head = random_head()
    head.save(tmp_path / "head.safetensors")
    again = AttributeHead.load(tmp_path / "head.safetensors")
    images = [image_record(["dog", "man"])]
    assert again.name(images, rows(2)) == head.name(images, rows(2))
    (tmp_path / "head.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"head\.safetensors: missing or no head"):
        AttributeHead.load(tmp_path / "head.safetensors")
    with pytest.raises(ValueError, match=r"none\.safetensors: missing or no head"):
        AttributeHead.load(tmp_path / "none.safetensors")


def test_features_of_another_width() -> None:
    wide = Ragged(torch.zeros(1, 5), Spans.packed(torch.tensor([1])))
    with pytest.raises(ValueError, match=r"object\.x: 5 features, the head of attributes has 3"):
        random_head().name([image_record(["dog"])], wide)
