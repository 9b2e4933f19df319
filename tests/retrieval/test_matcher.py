import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from pyg_sgm.data import GraphCollection
from pyg_sgm.datasets import SceneGraphDataset, SceneWorld
from pyg_sgm.models import SGM, Encoding
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.text import parse_batch
from pyg_sgm.training import Recipe, RecipeFields

OPTIONS = {"dim": 8, "hidden": 8, "embed": 6}
RECIPE = Recipe(epochs=2, images_per_batch=4, captions_per_image=2, lr=0.01)


def world(split: str = "train", **options: int) -> SceneWorld:
    return SceneWorld(split, num_images=8, captions_per_image=2, **{"feature_dim": 0, **options})


def trained(
    recipe: Recipe = RECIPE, data: SceneWorld | None = None, **options
) -> SceneGraphMatcher:
    matcher = SceneGraphMatcher("sgm", **{**OPTIONS, **options})
    return matcher.fit(data or world(), recipe=recipe, progress=False)


@pytest.fixture(scope="module")
def matcher() -> SceneGraphMatcher:
    return trained()


def test_every_form_of_input_gives_the_same_scores(matcher: SceneGraphMatcher) -> None:
    data = world("dev")
    assert matcher.vocabularies is not None
    graphs = data.encode(matcher.vocabularies)
    scores = matcher.score(data, data)
    assert scores.shape == (8, 16)
    assert not scores.requires_grad
    images = (
        graphs.images,
        [graphs.images[i] for i in range(8)],
        data.images,
        matcher.encode_images(data),
    )
    texts = (
        graphs.texts,
        [graphs.texts[i] for i in range(16)],
        data.texts,
        matcher.encode_texts(data),
    )
    for image, text in zip(images, texts, strict=True):
        torch.testing.assert_close(matcher.score(image, text), scores)


def test_plain_captions_are_parsed(matcher: SceneGraphMatcher) -> None:
    captions = world("dev").captions
    records = [parsed.to_record() for parsed in parse_batch(captions)]
    expected = matcher.score(world("dev"), records)
    torch.testing.assert_close(matcher.score(world("dev"), captions), expected)
    assert matcher.encode_texts(captions).ids == captions


@pytest.mark.parametrize("caption", ["", "???", "xyzzy " * 500, "a dog"])
def test_any_caption_has_a_score(matcher: SceneGraphMatcher, caption: str) -> None:
    scores = matcher.score(world("dev"), [caption])
    assert scores.shape == (8, 1)
    assert scores.isfinite().all()


def test_search(matcher: SceneGraphMatcher) -> None:
    data = world("dev")
    scores = matcher.score(data, data)
    found = matcher.search_images(data.texts[3], data, k=5)
    assert [c.index for c in found] == scores[:, 3].argsort(descending=True)[:5].tolist()
    assert [c.id for c in found] == [data.image_ids[c.index] for c in found]
    assert [c.rank for c in found] == [1, 2, 3, 4, 5]
    texts = matcher.search_texts(data.images[2], matcher.encode_texts(data), k=100)
    assert [c.index for c in texts] == scores[2].argsort(descending=True).tolist()
    by_encoding = matcher.search_texts(matcher.encode_images(data.images[2:3]), data, k=1)
    assert by_encoding[0].index == texts[0].index


def test_strings_are_captions_where_texts_are_asked_for(matcher: SceneGraphMatcher) -> None:
    """And files where images are."""
    data = world("dev")
    assert len(matcher.search_images("photos/1.jpg", data)) == 8
    with pytest.raises(ValueError, match="trained on graphs that came without pixels"):
        matcher.search_texts("photos/1.jpg", data)
    with pytest.raises(ValueError, match="trained on graphs that came without pixels"):
        matcher.search_images(Path("photos/1.jpg"), data)  # a path is a photo to search with


def test_an_image_is_most_like_itself() -> None:
    """In a model of cosines; with inner products a long vector may be nearer."""
    data = world("dev")
    matcher = trained(normalize=True, bidirectional=True, global_dim=4)
    encoded = matcher.encode_images(data)
    for i in range(8):
        found = matcher.search_similar(data.images[i], encoded, k=8)
        assert sorted(c.index for c in found) == list(range(8))
        assert found[0].score == pytest.approx(4, abs=1e-5)  # each of the four levels is a cosine
        assert i in [c.index for c in found if c.score == pytest.approx(4, abs=1e-5)]


def test_old_names_are_deprecated(matcher: SceneGraphMatcher) -> None:
    data = world("dev")
    options: dict = {"text": "a dog", "images": data, "k": 2}
    with pytest.warns(DeprecationWarning, match="text is now query"):
        assert matcher.search_images(**options) == matcher.search_images("a dog", data, 2)
    with pytest.warns(DeprecationWarning, match="now search_images"):
        assert matcher.rank("a dog", data, 2) == matcher.search_images("a dog", data, 2)
    with pytest.warns(DeprecationWarning, match="search_texts"):
        found = matcher.rank(data.images[0], ["a dog", "a cat"])
    assert found == matcher.search_texts(data.images[0], ["a dog", "a cat"])


def test_search_wants_one_query(matcher: SceneGraphMatcher) -> None:
    with pytest.raises(ValueError, match="one text as the query, got 2"):
        matcher.search_images(matcher.encode_texts(["a dog", "a cat"]), world())
    with pytest.raises(ValueError, match="k must"):
        matcher.search_images("a dog", world(), k=0)


def test_any_iterable_will_do(matcher: SceneGraphMatcher) -> None:
    data = world("dev")
    expected = matcher.score(data.images, data.texts)
    assert torch.equal(matcher.score(iter(data.images), (text for text in data.texts)), expected)
    one = matcher.score(tuple(data.images), data.texts[0])
    torch.testing.assert_close(one, expected[:, :1])


def test_encodings_of_another_model_are_refused(matcher: SceneGraphMatcher) -> None:
    data, other = world("dev"), trained(RECIPE.replace(lr=0.02))
    images, texts = other.encode_images(data), other.encode_texts(["a dog"])
    with pytest.raises(ValueError, match="these images were encoded by another model"):
        matcher.score(images, ["a dog"])
    with pytest.raises(ValueError, match="these texts were encoded by another model"):
        matcher.search_images(texts, data)
    other.model.load_state_dict(matcher.model.state_dict())  # type: ignore[union-attr]
    assert torch.equal(
        other.score(matcher.encode_images(data), ["a dog"]), matcher.score(data, ["a dog"])
    )
    with pytest.raises(ValueError, match="another model"):
        other.score(images, ["a dog"])  # of the weights before


def test_wrong_input(matcher: SceneGraphMatcher) -> None:
    graphs = world().encode(matcher.vocabularies)  # type: ignore[arg-type]
    for wrong in ([], [1], [world().images[0], graphs.images[0]]):
        with pytest.raises(ValueError, match="images: expected"):
            matcher.encode_images(wrong)  # type: ignore[arg-type]
    for wrong in ([], [1], ["a", graphs.texts[0]]):
        with pytest.raises(ValueError, match="texts: expected"):
            matcher.encode_texts(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected image graphs"):
        matcher.encode_images(graphs.texts)
    with pytest.raises(ValueError, match="expected text graphs"):
        matcher.encode_texts(graphs.images)
    mute = SceneGraphDataset(world().images, [], [])
    for use in (matcher.evaluate, matcher.calibrate, SceneGraphMatcher("sgm", dim=8).fit):
        with pytest.raises(ValueError, match="expected a SceneGraphDataset, got list"):
            use(["1.jpg"])  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="has no captions"):
            use(mute)


def test_features_that_do_not_fit(matcher: SceneGraphMatcher) -> None:
    with pytest.raises(ValueError, match="4 region features, the model was built for none"):
        matcher.score(world("dev", feature_dim=4), ["a dog"])


def test_not_trained() -> None:
    matcher = SceneGraphMatcher("sgm")
    with pytest.raises(ValueError, match="not trained"):
        matcher.score(world(), ["a dog"])
    with pytest.raises(ValueError, match="not trained"):
        matcher.save_pretrained("nowhere")
    assert not Path("nowhere").exists()
    assert "not trained" in repr(matcher)


def test_unknown_model_and_option() -> None:
    with pytest.raises(ValueError, match="no model 'clip'; known: dpc, dspe, dvsa, gsmn, hoad"):
        SceneGraphMatcher("clip")
    with pytest.raises(ValueError, match="no option 'depth'; known: dim, hidden"):
        SceneGraphMatcher("sgm", depth=3)
    with pytest.raises(ValueError, match="no recipe 'fast'"):
        SceneGraphMatcher("sgm").fit(world(), recipe="fast")
    with pytest.raises(ValueError, match="did you mean 'hidden'"):
        SceneGraphMatcher("sgm", hiden=3)


def test_a_class_is_as_good_as_its_name(matcher: SceneGraphMatcher) -> None:
    again = SceneGraphMatcher(SGM, **OPTIONS).fit(world(), recipe=RECIPE, progress=False)
    assert again.name == "sgm"
    assert torch.equal(again.score(world(), ["a dog"]), matcher.score(world(), ["a dog"]))


def test_fields_of_the_recipe_are_keywords() -> None:
    made = SceneGraphMatcher("sgm", **OPTIONS).fit(
        world(), epochs=2, images_per_batch=4, captions_per_image=2, lr=0.01, progress=False
    )
    assert len(made.history) == 2
    assert {field.name for field in fields(Recipe)} - {"options"} == set(
        RecipeFields.__annotations__
    )


@pytest.mark.parametrize(
    ("options", "asked", "message"),
    [
        ({}, {"epoch": 2}, "no field 'epoch'; did you mean 'epochs'"),
        ({}, {"epochs": 0}, "epochs must be"),
        ({}, {"recipe": "fast"}, "no recipe 'fast'"),
        ({"dim": -4}, {}, "dim must be a whole number of at least 1"),
        ({"variant": "tree"}, {}, "variant 'tree'; known"),
        ({}, {"loss_options": {"marginal": 1}}, "loss 'contrastive': .*marginal"),
        ({}, {"devices": 0}, "devices must be at least 1"),
        ({}, {"accelerator": "abacus"}, "abacus"),
        ({}, {"resume": True}, "resume needs the folder"),
        ({}, {"word_vectors": "nowhere.txt"}, "nowhere.txt"),
    ],
    ids=str,
)
def test_mistakes_come_before_any_work(
    options: dict, asked: dict, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("graphs were made")

    monkeypatch.setattr("pyg_sgm.retrieval.scoring.with_parses", work)
    monkeypatch.setattr("pyg_sgm.retrieval.scoring.with_graphs", work)
    with pytest.raises((ValueError, OSError), match=message):
        SceneGraphMatcher("sgm", **{**OPTIONS, **options}).fit(world(), progress=False, **asked)


def test_round_trip(matcher: SceneGraphMatcher, tmp_path: Path) -> None:
    matcher.save_pretrained(tmp_path / "model")
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert names == ["README.md", "config.json", "model.safetensors", "vocabularies.json"]
    again = SceneGraphMatcher.from_pretrained(tmp_path / "model")
    data = world("dev")
    assert torch.equal(again.score(data, data), matcher.score(data, data))
    (tmp_path / "model" / "README.md").write_text("mine")
    again.save_pretrained(tmp_path / "model")
    assert (tmp_path / "model" / "README.md").read_text() == "mine"
    assert not list((tmp_path / "model").glob(".*"))


def test_a_run_opens(tmp_path: Path) -> None:
    matcher = SceneGraphMatcher("sgm", **OPTIONS)
    matcher.fit(world(), world("dev"), RECIPE, out=tmp_path / "run", progress=False)
    opened = SceneGraphMatcher.from_pretrained(str(tmp_path / "run"))
    assert opened.evaluate(world("dev")) == matcher.evaluate(world("dev"))
    best = max(epoch["dev_rsum"] for epoch in matcher.history)
    assert opened.evaluate(world("dev"))["rsum"] == pytest.approx(best)


def test_bad_folders(matcher: SceneGraphMatcher, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        SceneGraphMatcher.from_pretrained(tmp_path / "none")
    (tmp_path / "model.joblib").write_bytes(b"\x80\x04")
    with pytest.raises(ValueError, match="pickles are never read"):
        SceneGraphMatcher.from_pretrained(tmp_path / "model.joblib")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"config.json is missing"):
        SceneGraphMatcher.from_pretrained(tmp_path / "empty")


def test_from_the_hub(
    matcher: SceneGraphMatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matcher.save_pretrained(tmp_path)

    def download(repo_id: str, filename: str, **_: object) -> str:
        assert repo_id == "someone/sgm-v1.5"
        return str(tmp_path / filename)

    monkeypatch.setattr("pyg_sgm.retrieval.hub.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: None)
    opened = SceneGraphMatcher.from_pretrained("someone/sgm-v1.5")
    assert torch.equal(opened.score(world(), world()), matcher.score(world(), world()))


class NoAnswer(Exception):
    """Of an HTTP library."""


def test_without_an_answer_of_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def model_info(_: object, name: str, **__: object) -> None:
        asked.append(name)
        raise NoAnswer

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("someone/sgm-v1.0", "someone/flickr30k.sgm", "runs/mistyped"):
        with pytest.raises(ValueError, match=f"{name}: no such folder, and not found on the Hub"):
            SceneGraphMatcher.from_pretrained(name, cache_dir=tmp_path)
    assert asked == ["someone/sgm-v1.0", "someone/flickr30k.sgm", "runs/mistyped"]


def test_paths_never_reach_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def model_info(*_: object, **__: object) -> None:
        raise AssertionError("the Hub was asked")

    monkeypatch.setattr("huggingface_hub.hf_api.get_session", model_info)
    for name in ("./runs/mistyped", "../mistyped", str(tmp_path / "mistyped"), "~/mistyped"):
        with pytest.raises(ValueError, match="no such folder"):
            SceneGraphMatcher.from_pretrained(name)
    with pytest.raises(ValueError, match="a/b/c: no such folder"):
        SceneGraphMatcher.from_pretrained("a/b/c")  # no repository can be called that


def test_word_vectors(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("dog 1 2 3\nmat 4 5 6\nleft 1 1 1\nof 3 3 3\n")
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8)
    matcher.fit(world(), recipe=RECIPE.replace(lr=1e-9), word_vectors=path, progress=False)
    assert matcher.vocabularies is not None
    assert matcher.model is not None
    tables, words = matcher.model.embeddings(), matcher.vocabularies.words
    assert "mat" in words  # no training caption has it
    for name, vector in (("dog", [1.0, 2, 3]), ("mat", [4.0, 5, 6])):
        row = tables["words"].weight[words[name]]
        torch.testing.assert_close(row, torch.tensor(vector), atol=1e-4, rtol=0)
    row = tables["predicates"].weight[matcher.vocabularies.predicates["left of"]]
    torch.testing.assert_close(row, torch.tensor([2.0, 2, 2]), atol=1e-4, rtol=0)
    message = r"vectors of 3 numbers, embed is 5: set embed=3 \(--set embed=3\)"
    with pytest.raises(ValueError, match=message):
        SceneGraphMatcher("sgm", embed=5).fit(world(), recipe=RECIPE, word_vectors=path)


def test_order_of_images_is_that_of_rows(matcher: SceneGraphMatcher) -> None:
    data = world("dev")
    order = torch.randperm(8)
    mixed = data.select_images(order.tolist())
    scores, moved = (
        matcher.score(data, ["a dog", "a red cat"]),
        matcher.score(mixed, ["a dog", "a red cat"]),
    )
    torch.testing.assert_close(moved, scores[order])


def test_matcher_moves_as_a_module(matcher: SceneGraphMatcher) -> None:
    scores = matcher.score(world(), ["a dog"])
    matcher.to(torch.float64)
    encoded = matcher.encode_texts(["a dog"]).encoding
    assert isinstance(encoded, Encoding)
    assert encoded.objects.x.dtype == torch.float64  # type: ignore[attr-defined]
    matcher.to(torch.float32)
    assert torch.equal(matcher.score(world(), ["a dog"]), scores)


def test_collections_from_disk(matcher: SceneGraphMatcher, tmp_path: Path) -> None:
    graphs = world().encode(matcher.vocabularies)  # type: ignore[arg-type]
    graphs.images.save(tmp_path / "images.safetensors")
    loaded = GraphCollection.load(tmp_path / "images.safetensors")
    expected = matcher.score(world(), ["a dog"])
    assert torch.equal(matcher.score(loaded, ["a dog"]), expected)


def test_without_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(ImportError, match=r"pip install pyg_sgm\[train\]"):
        trained()
