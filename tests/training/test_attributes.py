"""Attributes learned from captions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_sgm.data import ImageRecord, Ragged, Spans, image_record, text_record
from pyg_sgm.datasets import SceneGraphDataset, SceneWorld
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.training import learn_attributes, said_of_objects

WORLD = {"captions_per_image": 2, "feature_dim": 48}
RECIPE = {"epochs": 1, "progress": False, "attribute_words": 5}


def said(image: ImageRecord, *phrases: tuple[str, str]) -> dict[int, set[str]]:
    text = text_record(
        "a caption",
        objects=[noun for _, noun in phrases],
        attributes=[(i, word) for i, (word, _) in enumerate(phrases)],
    )
    return {i: words for (_, i), words in said_of_objects([image], [text], [0]).items()}


def test_which_object_a_noun_is() -> None:
    boxes = [[0, 0, 1, 1], [0, 0, 0.2, 0.2], [0, 0, 0.6, 0.6], [0.5, 0, 1, 1], [0.1, 0, 0.3, 1]]
    labels = ["<unk>", "dog", "dog", "woman", "clothing"]
    scores = {"object": [1.0, 0.9, 0.8, 0.7, 0.6]}
    image = image_record(labels, boxes, attributes=[(3, "person"), (3, "brown")], scores=scores)
    assert said(image, ("wet", "dog")) == {2: {"wet"}}  # the larger one
    of_arrays = replace(image, scores={"object": np.array(scores["object"])})
    assert said(of_arrays, ("wet", "dog")) == {2: {"wet"}}
    assert said(image, ("wet", "puppies"), ("big", "brown dog")) == {2: {"wet", "big"}}
    assert said(image, ("old", "lady"), ("tall", "woman")) == {3: {"old", "tall"}}
    assert said(image, ("red", "shirt")) == {4: {"red"}}
    assert said(image, ("red", "ball"), ("2", "dog"), ("two", "dog"), ("group of", "dog")) == {}
    nothing = image_record(["<unk>"], boxes[:1])
    assert said(nothing, ("wet", "dog")) == {}


def test_looks_are_learned() -> None:
    """Two adjectives that one channel tells apart, and one that a label tells."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6000, 6, generator=generator)
    images, texts = [], []
    for i in range(6000):
        label = ("dog", "car")[i % 2]
        words = ["wet" if x[i, 2] > 0 else "dry", *(["fast"] if label == "car" else [])]
        images.append(image_record([label], id=str(i)))
        objects, attributes = [label], [(0, word) for word in words]
        texts.append(text_record("a caption", objects=objects, attributes=attributes))
    features = {"object": Ragged(x, Spans.packed(torch.ones(6000, dtype=torch.long)))}
    head = learn_attributes(images, features, texts, range(6000), 3)
    assert head.words == ["dry", "fast", "wet"]
    with torch.no_grad():
        logits = head(x, head.label_index([image.objects[0] for image in images]))
    assert ((logits[:, 2] > logits[:, 0]) == (x[:, 2] > 0)).float().mean() > 0.8
    assert logits[1::2, 1].min() > logits[::2, 1].max()
    again = learn_attributes(images, features, texts, range(6000), 3)
    assert torch.equal(head.of_features.weight, again.of_features.weight)
    with pytest.raises(ValueError, match="no region features"):
        learn_attributes(images, {}, texts, range(6000), 3)
    with pytest.raises(ValueError, match="no adjective of the captions is said of 25 objects"):
        learn_attributes(images[:20], features, texts[:20], range(20), 3)


def test_equally_frequent_adjectives_are_taken_by_name() -> None:
    words = ["wet", "tall", "red", "old", "new", "long", "dry", "big"]
    image = image_record(["dog"])
    texts = [text_record("a caption", objects=["dog"], attributes=[(0, w) for w in words])] * 25
    features = {"object": Ragged(torch.randn(25, 3), Spans.packed(torch.ones(25).long()))}
    head = learn_attributes([image] * 25, features, texts, range(25), 3)
    assert head.words == ["big", "dry", "long"]


def bare(split: str, num_images: int) -> SceneGraphDataset:
    """The world without the attributes that its detector reports."""
    world = SceneWorld(split, num_images=num_images, **WORLD)
    return world.replace(
        images=[
            image_record(image.objects, image.boxes, image.relations, size=image.size, id=image.id)
            for image in world.images
        ]
    )


@pytest.mark.parametrize("model", ["hoad", "sgm"])
def test_a_matcher_names_what_it_learned(model: str, tmp_path: Path) -> None:
    train, dev = bare("train", 120), bare("dev", 12)
    options = {"dim": 8, "hidden": 8, "embed": 6}
    options |= {"attributes": True} if model == "sgm" else {"num_perspectives": 2}
    matcher = SceneGraphMatcher(model, **options).fit(train, out=tmp_path / "run", **RECIPE)
    assert matcher.vocabularies is not None
    assert len(matcher.vocabularies.attributes) > 2
    scores = matcher.score(dev, dev)
    image = matcher.explain(dev.select_images([0]), dev.captions[0]).image
    assert matcher.attributes is not None
    named = matcher.attributes.name(dev.images, dev.features["object"])
    assert image.attributes == named[0].attributes
    assert sum(len(image.attributes) for image in named) > 5
    # Images that came with these attributes are the same to the model.
    assert torch.equal(matcher.score(dev.replace(images=named), dev), scores)
    for folder in ("run", "saved"):
        opened = SceneGraphMatcher.from_pretrained(tmp_path / folder)
        assert torch.allclose(opened.score(dev, dev), scores, atol=1e-5)
        opened.save_pretrained(tmp_path / "saved")
    assert matcher.evaluate(dev) == opened.evaluate(dev)
    assert opened.fingerprint == matcher.fingerprint
    opened.attributes = None
    assert opened.fingerprint != matcher.fingerprint
    assert (opened.score(dev, dev) - scores).abs().max() > 1e-4
    resumed = SceneGraphMatcher(model, **options)
    resumed.fit(train, out=tmp_path / "run", resume=True, **{**RECIPE, "epochs": 2})
    assert resumed.attributes is not None
    weight = matcher.attributes.of_features.weight
    assert torch.equal(resumed.attributes.of_features.weight, weight)
    (tmp_path / "run" / "attributes.safetensors").unlink()
    with pytest.raises(ValueError, match=r"attributes\.safetensors: missing"):
        SceneGraphMatcher.from_pretrained(tmp_path / "run")


def test_a_training_that_fails_leaves_the_matcher_as_it_was() -> None:
    train, dev = bare("train", 120), bare("dev", 12)
    matcher = SceneGraphMatcher("vse", dim=8, embed=6).fit(train, **RECIPE)
    fingerprint, history, head = matcher.fingerprint, matcher.history, matcher.attributes
    with pytest.raises(ValueError, match="texts of two images at least"):
        matcher.fit(dev.select_images([0]), epochs=1, progress=False)
    assert matcher.attributes is head is not None
    assert matcher.fingerprint == fingerprint
    assert matcher.history is history
    matcher.fit(dev, epochs=1, progress=False)
    assert matcher.attributes is None
