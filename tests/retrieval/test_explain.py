import pytest
import torch

from pyg_sgm.data import text_record
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.retrieval import Attention, Explanation, SceneGraphMatcher
from pyg_sgm.training import Recipe

DATA = SceneWorld("dev", num_images=6, captions_per_image=2, feature_dim=0)
VARIANTS = [
    {},
    {"normalize": True, "weigh_nodes": True, "global_dim": 4},
    {"variant": "oom"},
    {"variant": "oom-vrel", "weigh_nodes": True},
    {"variant": "oom-trel", "bidirectional": True},
    {"bidirectional": True, "weigh_nodes": True},
    {"normalize": True, "null_temperature": 0.1},
    {"fusion": "sum", "normalize": True, "null_temperature": 0.1, "relation_dropout": 0.5},
]


def matcher(**options: object) -> SceneGraphMatcher:
    made = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6, **options)
    return made.fit(DATA, recipe=Recipe(epochs=1), progress=False)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_contributions_add_up_to_the_score(options: dict) -> None:
    model = matcher(**options)
    for i, text in enumerate(DATA.texts[:4]):
        image = DATA.select_images([i])
        found = model.explain(image, text)
        assert isinstance(found, Explanation)
        assert found.score == pytest.approx(float(model.score(image, [text])), abs=1e-5)
        for level in ("object", "relation", "reverse"):
            matches = [match for match in found.matches if match.level == level]
            if matches:
                total = sum(match.contribution for match in matches)
                assert total == pytest.approx(found.levels[level], abs=1e-5)
                assert sum(match.weight for match in matches) == pytest.approx(1)
            else:
                assert found.levels.get(level, 0.0) == 0


def test_each_node_matches_its_best() -> None:
    """Against a loop over the encoded nodes."""
    model = matcher()
    image, text = DATA.images[1], DATA.texts[2]
    shown, told = model.encode_images([image]).encoding, model.encode_texts([text]).encoding
    found = model.explain(image, text)
    assert isinstance(found, Explanation)
    words = [match for match in found.matches if match.text_kind == "word"]
    assert [match.text_name for match in words] == list(text.words)
    for match, word in zip(words, told.objects.x, strict=True):  # type: ignore[attr-defined]
        products = [float(torch.dot(word, node)) for node in shown.objects.x]  # type: ignore[attr-defined]
        assert match.image_index == products.index(max(products))
        assert match.similarity == pytest.approx(max(products), abs=1e-6)
        assert match.image_name == image.objects[match.image_index]
    triplets = [match for match in found.matches if match.text_kind == "triplet"]
    assert len(triplets) == len(text.relations)
    for match in triplets:
        s, predicate, o = image.relations[match.image_index]
        assert match.image_name == f"{image.objects[s]} {predicate} {image.objects[o]}"


def test_strings_and_graphs_are_explained_alike() -> None:
    model = matcher()
    assert model.vocabularies is not None
    graphs = DATA.encode(model.vocabularies)
    a = model.explain(DATA.images[0], DATA.texts[0])
    b = model.explain(graphs.images[0], graphs.texts[0])
    assert isinstance(a, Explanation)
    assert isinstance(b, Explanation)
    assert a.matches == b.matches
    assert list(a.image.relations) == list(b.image.relations)


def test_unknown_words_keep_their_name() -> None:
    found = matcher().explain(DATA.images[0], "a zyzzyva")
    assert isinstance(found, Explanation)
    assert [match.text_name for match in found.matches] == ["a", "zyzzyva"]


def test_nothing_to_match() -> None:
    model = matcher()
    for text in ("", text_record("", relations=[])):
        found = model.explain(DATA.images[0], text)
        assert isinstance(found, Explanation)
        assert found.matches == []
        assert found.score == 0


def test_one_of_each() -> None:
    model = matcher()
    with pytest.raises(ValueError, match="expected one image, got 2"):
        model.explain(DATA.images[:2], "a dog")
    with pytest.raises(ValueError, match="expected one text, got 2"):
        model.explain(DATA.images[0], ["a dog", "a cat"])


def baseline(model: str, **options: object) -> SceneGraphMatcher:
    made = SceneGraphMatcher(model, dim=8, embed=6, **options)
    return made.fit(DATA, recipe=Recipe(epochs=1), progress=False)


@pytest.mark.parametrize("model", ["vse", "vsrn"])
def test_models_of_whole_graphs_have_nothing_local_to_tell(model: str) -> None:
    matcher = baseline(model)
    found = matcher.explain(DATA.images[0], DATA.texts[0])
    assert isinstance(found, Explanation)
    assert found.matches == []
    score = float(matcher.score([DATA.images[0]], [DATA.texts[0]]))
    assert found.levels == {"global": pytest.approx(score, abs=1e-6)}


@pytest.mark.parametrize("normalize", [False, True])
def test_every_word_of_dvsa_has_its_region(normalize: bool) -> None:
    matcher = baseline("dvsa", normalize=normalize)
    for i in range(3):
        found = matcher.explain(DATA.images[i], DATA.texts[i])
        assert isinstance(found, Explanation)
        assert [match.text_name for match in found.matches] == list(DATA.texts[i].words)
        score = float(matcher.score([DATA.images[i]], [DATA.texts[i]]))
        assert found.score == pytest.approx(score, abs=1e-6)
        total = sum(match.contribution for match in found.matches)
        assert total == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("direction", ["text-image", "image-text"])
def test_scan_tells_where_words_look(direction: str) -> None:
    matcher = baseline("scan", direction=direction)
    image, text = DATA.images[0], DATA.texts[1]
    found = matcher.explain(image, text)
    assert isinstance(found, Attention)
    assert [node.name for node in found.text_nodes] == list(text.words)
    assert [node.name for node in found.image_nodes] == list(image.objects)
    total = found.weights.sum(0 if direction == "image-text" else 1)
    torch.testing.assert_close(total, torch.ones_like(total))
    assert found.score == pytest.approx(float(matcher.score([image], [text])), abs=1e-6)
