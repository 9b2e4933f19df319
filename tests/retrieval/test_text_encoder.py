"""Matchers that read texts by a language model."""

import copy
import json
import pickle

import pytest
import torch

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.datasets import SceneWorld
from tests.helpers.language_model import tiny_encoder

OPTIONS = {"dim": 8, "hidden": 8, "shared_label_projection": True}


@pytest.fixture(scope="module")
def world() -> SceneWorld:
    return SceneWorld("train", num_images=8, captions_per_image=2)


def trained(world: SceneWorld, **fields) -> SceneGraphMatcher:
    matcher = SceneGraphMatcher("sgm", **OPTIONS)
    matcher.text_encoder = tiny_encoder()
    return matcher.fit(world, epochs=1, progress=False, **fields)


def test_saved_matchers_read_by_the_same_encoder(world, tmp_path) -> None:
    out = tmp_path / "run"
    matcher = trained(world, out=out)
    texts = ["a dog chasing a cat", "a young unicorn"]
    scores = matcher.score(world, texts)
    assert sorted(p.name for p in (out / "words.vec").iterdir()) == [
        "00000.json", "00000.npy", "vectors.json",
    ]  # fmt: skip
    opened = SceneGraphMatcher.from_pretrained(out)
    with pytest.raises(ValueError, match="'tiny', which is not opened because a file says so"):
        opened.score(world, texts)
    with pytest.raises(ValueError, match="with other weights"):
        opened.text_encoder = tiny_encoder(seed=1)
    opened.text_encoder = tiny_encoder()
    assert torch.equal(opened.score(world, texts), scores)
    for again in (copy.deepcopy(opened), pickle.loads(pickle.dumps(opened))):
        assert torch.equal(again.score(world, texts), scores)
    assert opened.evaluate(world) == matcher.evaluate(world)
    assert opened.explain(world.select_images([0]), texts[0]).levels
    # Words that no training text has are heard as well.
    assert not torch.equal(*matcher.score(world, ["a ski", "a skiing"]).unbind(1))


def test_labels_start_from_the_encoder(world) -> None:
    matcher = SceneGraphMatcher("sgm", **OPTIONS)
    matcher.text_encoder = encoder = tiny_encoder()
    matcher.fit(world, epochs=1, lr=1e-30, progress=False)
    labels = matcher.vocabularies.objects.words
    table = matcher.model.object_embedding.weight
    torch.testing.assert_close(table[1:], encoder.phrases(labels[1:]))


def test_labels_are_read_in_training_and_afterwards(world, tmp_path) -> None:
    out = tmp_path / "run"
    options = {"fusion": "sum", "normalize": True, "global_dim": 4}
    matcher = SceneGraphMatcher("sgm", **OPTIONS, **options)
    matcher.text_encoder = tiny_encoder()
    matcher.fit(world, epochs=1, progress=False, out=out, read_labels=True)
    assert matcher.model.sizes.label_features == 8
    opened = SceneGraphMatcher.from_pretrained(out)
    opened.text_encoder = tiny_encoder()
    texts = ["a dog chasing a cat"]
    scores = opened.score(world, texts)
    assert torch.equal(scores, matcher.score(world, texts))
    assert opened.evaluate(world) == matcher.evaluate(world)
    one = world.select_images([2])
    levels = opened.explain(one, texts[0]).levels
    assert sum(levels.values()) == pytest.approx(float(scores[2, 0]), abs=1e-5)
    with pytest.raises(ValueError, match=r"object\.label_x: 0 features, the model has 8"):
        opened.encode_images(world.encode(opened.vocabularies).images)


def of_backbone(name: str | None) -> SceneGraphMatcher:
    """A matcher that reads, for region features of a backbone."""
    matcher = SceneGraphMatcher("sgm", **OPTIONS, fusion="sum", normalize=True, global_dim=4)
    matcher.text_encoder = tiny_encoder()
    if name is not None:
        matcher.made_by = {"fingerprint": {}, "options": {"backbone": name}}
    return matcher


def test_classes_of_regions_are_read(world, tmp_path, monkeypatch) -> None:
    name = "efficientnet_lite0"
    layer = torch.randn(1000, world.features["object"].rows.shape[1]), torch.zeros(1000)
    monkeypatch.setattr("pyg_sgm.retrieval.matcher.class_layer", {name: layer}.__getitem__)
    matcher = of_backbone(name)
    matcher.fit(world, epochs=1, progress=False, read_classes=True, out=tmp_path / "run")
    assert matcher.model.sizes.classes == 1000
    assert matcher.model.classes.mean.abs().sum() > 0
    opened = SceneGraphMatcher.from_pretrained(tmp_path / "run")
    opened.text_encoder = tiny_encoder()
    assert torch.equal(opened.score(world, ["a dog"]), matcher.score(world, ["a dog"]))
    matcher = of_backbone(name).fit(world, epochs=1, progress=False, read_classes="auto")
    assert matcher.model.sizes.classes == 1000


@pytest.mark.parametrize(
    ("backbone", "mistake"),
    [
        (None, "read_classes: nothing tells which backbone"),
        ("efficientnet_lite0+hf:other", "backbone 'efficientnet_lite0.hf:other': of .* alone"),
    ],
)
def test_classes_that_are_not_known(world, backbone, mistake) -> None:
    matcher = of_backbone(backbone)
    with pytest.raises(ValueError, match=mistake):
        matcher.fit(world, epochs=1, progress=False, read_classes=True)
    matcher.fit(world, epochs=1, progress=False, read_classes="auto")
    assert matcher.model.sizes.classes == 0


def test_mistakes(world, tmp_path) -> None:
    with pytest.raises(ValueError, match="read_labels: there is no text_encoder"):
        SceneGraphMatcher("sgm").fit(world, read_labels=True)
    for name in ("vse", "lgsgm"):
        other = SceneGraphMatcher(name)
        other.text_encoder = tiny_encoder()
        with pytest.raises(ValueError, match=f"the model '{name}' takes no features of labels"):
            other.fit(world, read_labels=True)
        with pytest.raises(ValueError, match=f"read_classes: the model '{name}' takes no"):
            other.fit(world, read_classes=True)
    tanh = SceneGraphMatcher("sgm")
    tanh.text_encoder = tiny_encoder()
    with pytest.raises(ValueError, match="the model 'sgm' takes no features of labels"):
        tanh.fit(world, read_labels=True)
    with pytest.raises(ValueError, match="read_classes must be true, false or 'auto': 'always'"):
        tanh.fit(world, read_classes="always")
    with pytest.raises(ValueError, match="known: minilm, hf:NAME"):
        SceneGraphMatcher("sgm").fit(world, text_encoder="word2vec")
    matcher = SceneGraphMatcher("sgm")
    (tmp_path / "v.txt").write_text("dog 1 2\n")
    matcher.text_encoder = tiny_encoder()
    with pytest.raises(ValueError, match="exclude each other"):
        matcher.fit(world, word_vectors=tmp_path / "v.txt")
    plain = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=8)
    plain.fit(world, epochs=1, progress=False, out=tmp_path / "run")
    with pytest.raises(ValueError, match="keeps the text encoder"):
        plain.text_encoder = tiny_encoder()
    config = json.loads((tmp_path / "run/config.json").read_text())
    (tmp_path / "run/config.json").write_text(json.dumps(config | {"text_encoder": 3}))
    with pytest.raises(ValueError, match=r"config\.json: text_encoder: expected an object"):
        SceneGraphMatcher.from_pretrained(tmp_path / "run")


def test_the_recipe_for_photos(tmp_path) -> None:
    """Its weights include single numbers, and buffers that count."""
    world = SceneWorld("train", num_images=8, captions_per_image=2)
    matcher = SceneGraphMatcher("sgm", dim=8, global_dim=8)
    matcher.text_encoder = tiny_encoder()
    matcher.fit(world, recipe="photos", epochs=1, progress=False, out=tmp_path / "run")
    images = matcher.encode_images(world)
    opened = SceneGraphMatcher.from_pretrained(tmp_path / "run")
    opened.text_encoder = tiny_encoder()
    texts = ["a dog chasing a cat"]
    assert torch.equal(opened.score(images, texts), matcher.score(world, texts))
    levels = opened.explain(world.select_images([0]), texts[0]).levels
    assert set(levels) == {"object", "reverse", "relation", "global", "hubness"}
    assert sum(levels.values()) == pytest.approx(float(matcher.score(world, texts)[0, 0]), abs=1e-5)
