import pytest
import torch

from pyg_sgm.datasets import SceneWorld
from pyg_sgm.evaluation import encode_images, encode_texts, evaluate, score
from pyg_sgm.metrics.retrieval import retrieval_metrics
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
