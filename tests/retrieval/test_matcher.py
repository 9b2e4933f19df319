import sys
from pathlib import Path

import pytest
import torch

from pyg_sgm.data import GraphCollection
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.models import Encoding
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.text import parse_batch
from pyg_sgm.training import Recipe

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


def test_rank(matcher: SceneGraphMatcher) -> None:
    data = world("dev")
    scores = matcher.score(data, data)
    found = matcher.rank(data.texts[3], data, k=5)
    assert [c.index for c in found] == scores[:, 3].argsort(descending=True)[:5].tolist()
    assert [c.id for c in found] == [data.image_ids[c.index] for c in found]
    texts = matcher.rank(data.images[2], matcher.encode_texts(data), k=100)
    assert [c.index for c in texts] == scores[2].argsort(descending=True).tolist()
    by_graph = matcher.rank(matcher.encode_images(data.images[2:3]), data, k=1)
    assert by_graph[0].index == texts[0].index


def test_rank_wants_one_query(matcher: SceneGraphMatcher) -> None:
    with pytest.raises(ValueError, match="one query, got 2"):
        matcher.rank(["a dog", "a cat"], world())
    with pytest.raises(ValueError, match="k must"):
        matcher.rank("a dog", world(), k=0)


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
    with pytest.raises(ValueError, match="no model 'clip'; known: dvsa, hoad"):
        SceneGraphMatcher("clip")
    with pytest.raises(ValueError, match="no option 'depth'; known: dim, hidden"):
        SceneGraphMatcher("sgm", depth=3)
    with pytest.raises(ValueError, match="no recipe 'fast'"):
        SceneGraphMatcher("sgm").fit(world(), recipe="fast")


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
        assert repo_id == "someone/sgm"
        return str(tmp_path / filename)

    monkeypatch.setattr("pyg_sgm.retrieval.matcher.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", download)
    opened = SceneGraphMatcher.from_pretrained("someone/sgm")
    assert torch.equal(opened.score(world(), world()), matcher.score(world(), world()))


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
    with pytest.raises(ValueError, match="word vectors of words"):
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
