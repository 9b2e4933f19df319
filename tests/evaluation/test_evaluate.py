import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from pyg_sgm.data import text_record
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.evaluation import (
    encode_images,
    encode_texts,
    evaluate,
    evaluate_folds,
    score,
    score_pairs,
)
from pyg_sgm.metrics.retrieval import fold_metrics, retrieval_metrics
from pyg_sgm.models import GraphSizes, Matcher, build_model
from tests.helpers.training import saved_model, world


def test_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model, graphs = saved_model().model.eval(), world().encode(world().vocabularies())
    batch = graphs.batch()
    with torch.no_grad():
        whole = model.score(model.encode_image(batch.image), model.encode_text(batch.text))
    monkeypatch.setattr("pyg_sgm.evaluation._evaluate.IMAGES_PER_BLOCK", 5)
    monkeypatch.setattr("pyg_sgm.evaluation._evaluate.TEXTS_PER_BLOCK", 7)
    images, texts = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
    torch.testing.assert_close(score(model, images, texts), whole)
    expected = retrieval_metrics(whole, graphs.image_of_text)
    assert evaluate(model, graphs)["rsum"] == pytest.approx(expected["rsum"])


def test_evaluation_mode_without_graph() -> None:
    model, graphs = saved_model(dropout=0.9).model.train(), world().encode(world().vocabularies())
    first, second = (encode_texts(model, graphs.texts) for _ in range(2))
    assert torch.equal(first.objects.x, second.objects.x)  # type: ignore[attr-defined]
    scores = score(model, encode_images(model, graphs.images), first)
    assert not scores.requires_grad
    assert model.training


def test_other_features_than_the_model_has() -> None:
    other = SceneWorld("dev", num_images=4, captions_per_image=1, feature_dim=0)
    with pytest.raises(ValueError, match="no region features, the model was built for 4"):
        evaluate(saved_model().model, other.encode(other.vocabularies()))


def test_wrong_modality_and_nothing() -> None:
    saved = saved_model()
    graphs = world().encode(saved.vocabularies)
    with pytest.raises(ValueError, match="image graphs"):
        encode_images(saved.model, graphs.texts)
    with pytest.raises(ValueError, match="text graphs"):
        encode_texts(saved.model, graphs.images)
    with pytest.raises(ValueError, match="no graph"):
        encode_texts(saved.model, graphs.texts.select([]))


def test_nan_is_an_error() -> None:
    saved = saved_model()
    with torch.no_grad():
        next(saved.model.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="NaN"):
        evaluate(saved.model, world().encode(saved.vocabularies))


MODELS = {
    "sgm": {"hidden": 8, "global_dim": 6, "weigh_nodes": True, "bidirectional": True},
    "hoad": {"hidden": 8, "num_perspectives": 4, "region_labels": True},
    "vse": {},
    "dvsa": {"normalize": True},
    "scan": {},
    "vsrn": {},
    "dpc": {},
    "dspe": {},
    "gsmn": {"num_blocks": 4},
    "lgsgm": {"hidden": 8},
    "pvse": {},
    "saem": {},
    "sco": {},
    "sgraf": {"similarity": 6},
    "vse_infinity": {"position": 4},
}


@pytest.mark.parametrize("features", [0, 4])
@pytest.mark.parametrize("name", MODELS)
def test_half_precision(name: str, features: int) -> None:
    data = SceneWorld("dev", num_images=6, captions_per_image=2, feature_dim=features)
    vocabularies = data.vocabularies()
    graphs, sizes = data.encode(vocabularies), GraphSizes.of(vocabularies, features)

    def scores(model: Matcher) -> Tensor:
        return score(model, encode_images(model, graphs.images), encode_texts(model, graphs.texts))

    model = build_model(name, sizes, {"dim": 8, "embed": 6, **MODELS[name]})
    exact = scores(model)
    assert torch.equal(scores(copy.deepcopy(model)), exact)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(scores(model), exact, atol=0.1, rtol=0)
    for dtype, tolerance in ((torch.float64, 1e-5), (torch.float16, 0.01), (torch.bfloat16, 0.1)):
        cast = copy.deepcopy(model).to(dtype)
        torch.testing.assert_close(scores(cast), exact, atol=tolerance, rtol=0)


def test_threads_share_a_model_in_training_mode() -> None:
    saved, data = saved_model(dropout=0.9), world("dev")
    model, graphs = saved.model.train(), data.encode(saved.vocabularies)
    images, texts = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
    alone = score(model, images, texts)

    def work(_: int) -> tuple[Tensor, bool]:
        again = encode_texts(model, graphs.texts)
        return score(model, images, again), model.training

    with ThreadPoolExecutor(8) as pool:
        # A thread may compute with fewer threads than this one, and so round otherwise.
        expected, _ = pool.submit(work, 0).result()
        assert torch.allclose(expected, alone, atol=1e-6)
        for scores, training in pool.map(work, range(32)):
            assert torch.equal(scores, expected)
            assert training
    assert all(module.training for module in model.modules())


def test_nan_is_never_scored() -> None:
    saved, graphs = saved_model(), world().encode(world().vocabularies())
    model = saved.model
    images, texts = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
    images.objects.x[0] = torch.nan  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"scores\[0, 0\] is NaN"):
        score(model, images, texts)
    with pytest.raises(ValueError, match="is NaN"):
        score_pairs(model, images, texts, graphs.image_of_text)


def test_folds_are_evaluated_by_themselves() -> None:
    saved = saved_model()
    graphs = world("dev", num_images=11).encode(saved.vocabularies)
    scores = score(
        saved.model,
        encode_images(saved.model, graphs.images),
        encode_texts(saved.model, graphs.texts),
    )
    found = evaluate(saved.model, graphs, folds=3)
    expected = fold_metrics(scores, graphs.image_of_text, num_folds=3)
    assert found["rsum"] == pytest.approx(expected["rsum"])
    for side in ("i2t", "t2i"):
        assert found[side] == pytest.approx(expected[side])  # type: ignore[literal-required]
    assert found["rsum"] != evaluate(saved.model, graphs)["rsum"]
    parts = evaluate_folds(saved.model, graphs, folds=3)
    assert len(parts) == 3
    first = graphs.image_of_text < 4  # 11 images: 4, 4 and 3
    alone = retrieval_metrics(scores[:4][:, first], graphs.image_of_text[first])
    assert parts[0]["rsum"] == pytest.approx(alone["rsum"])
    for folds in (0, 12):
        with pytest.raises(ValueError, match=f"11 images cannot make {folds} folds"):
            evaluate(saved.model, graphs, folds=folds)


@pytest.mark.parametrize("name", ["sgm", "vsrn", "vse_infinity"])
def test_captions_that_are_all_the_same_find_nothing(name: str) -> None:
    data = SceneWorld("dev", num_images=40, captions_per_image=1, feature_dim=4)
    said = text_record("a dog near a cat", objects=["dog", "cat"], relations=[(0, "near", 1)])
    data = data.replace(texts=[said] * 40)
    vocabularies = data.vocabularies()
    graphs, sizes = data.encode(vocabularies), GraphSizes.of(vocabularies, 4)
    model = build_model(name, sizes, {"dim": 8, "embed": 6, **MODELS[name]})
    found = evaluate(model, graphs)
    assert found["i2t"] == {"r1": 0.0, "r5": 0.0, "r10": 0.0, "medr": 40.0}
    images, texts = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
    assert found == retrieval_metrics(score(model, images, texts), graphs.image_of_text)
