"""What scores are worth, and which phrases are missing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pyg_sgm.data import image_record, text_record
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.models.explanation import Explanation, Match
from pyg_sgm.retrieval import Calibration, SceneGraphMatcher
from pyg_sgm.retrieval.calibration import cross_fitted_error
from pyg_sgm.retrieval.missing import missing_phrases
from pyg_sgm.training import Recipe

OPTIONS = {"dim": 16, "hidden": 16, "embed": 8, "normalize": True}


def world(split: str = "train", num_images: int = 24) -> SceneWorld:
    return SceneWorld(split, num_images=num_images, captions_per_image=2)


def trained(model: str = "sgm", **options: Any) -> SceneGraphMatcher:
    return SceneGraphMatcher(model, **options).fit(world(), recipe=Recipe(epochs=2), progress=False)


@pytest.fixture(scope="module")
def matcher() -> SceneGraphMatcher:
    return trained(**OPTIONS)


def test_a_calibration_is_kept_with_the_matcher(matcher: SceneGraphMatcher, tmp_path: Path) -> None:
    assert matcher.calibration is None
    calibration = matcher.calibrate(world("dev"))
    assert matcher.calibration == calibration
    assert (calibration.num_images, calibration.num_texts) == (24, 48)
    assert 0 <= calibration.error <= 1
    matcher.save_pretrained(tmp_path)
    opened = SceneGraphMatcher.from_pretrained(tmp_path)
    assert opened.calibration == calibration
    with torch.no_grad():
        next(opened.parameters()).add_(1)
    assert opened.calibration is None  # of the weights before


def test_nine_tenths_of_own_phrases_are_there(matcher: SceneGraphMatcher) -> None:
    data = world("dev")
    calibration = matcher.calibrate(data)
    assert calibration.word is not None
    told = kept = 0
    for i, text in enumerate(data.texts):
        explanation = matcher.explain(data.select_images([int(data.image_of_text[i])]), text)
        assert isinstance(explanation, Explanation)
        only_words = missing_phrases(explanation, calibration.word, -1e9)
        gone = {phrase for phrase in only_words if phrase in text.objects}
        kept += len(text.objects) - len(gone)
        told += len(text.objects)
    assert 0.8 < kept / told <= 1


def explained(similarity: dict[str, float], triplets: dict[int, float]) -> Explanation:
    """A pair of which the similarities are given, by word and by number of the triplet."""
    text = text_record(
        "an old man rides a brown horse",
        objects=["man", "horse"],
        attributes=[(0, "old"), (1, "brown")],
        relations=[(0, "ride", 1)],
        spans={"object": [[2], [6]], "attribute": [[1], [5]], "relation": [[3]]},
    )
    image = image_record(["dog"])
    matches = [
        Match("object", "word", i, word, "object", 0, "dog", similarity[word], 0.1)
        for i, word in enumerate(text.words)
        if word in similarity
    ]
    matches += [
        Match("relation", "triplet", i, "man ride horse", "relation", 0, "x", value, 1.0)
        for i, value in triplets.items()
    ]
    matches += [Match("reverse", "word", 6, "horse", "object", 0, "dog", 0.9, 1.0)]
    return Explanation(image, text, {"object": 0.0, "relation": 0.0}, matches)


ALL = {"an": 0.0, "old": 0.5, "man": 0.5, "rides": 0.0, "a": 0.0, "brown": 0.5, "horse": 0.5}


@pytest.mark.parametrize(
    ("similarity", "triplet", "expected"),
    [
        ({}, 0.5, []),
        ({"man": 0.1}, 0.5, ["man"]),  # and neither its attribute nor its triplet once more
        ({"man": 0.1, "old": 0.1}, 0.1, ["man"]),
        ({"old": 0.1}, 0.5, ["old man"]),
        ({"brown": 0.1, "horse": 0.2}, 0.5, ["brown horse"]),
        ({}, 0.1, ["man ride horse"]),
        ({"rides": -1.0}, 0.5, []),  # a predicate is its triplet's
    ],
)
def test_missing_phrases(similarity: dict[str, float], triplet: float, expected: list[str]) -> None:
    explanation = explained({**ALL, **similarity}, {0: triplet})
    assert missing_phrases(explanation, word=0.2, triplet=0.3) == expected


def test_an_image_without_objects_lacks_everything() -> None:
    assert missing_phrases(explained({}, {}), 0.2, 0.3) == ["man", "horse"]


def test_an_image_without_relations_lacks_triplets() -> None:
    told = explained(ALL, {})
    assert missing_phrases(told, 0.2, 0.3) == ["man ride horse"]
    without_level = replace(told, levels={"object": 0.0})
    assert missing_phrases(without_level, 0.2, 0.3) == []


def test_models_that_cannot_tell() -> None:
    """HOAD's explanation is an attention, that of VSE++ has no matches."""
    for model, options in (("vse", {"dim": 16, "embed": 8}), ("hoad", {"dim": 16, "hidden": 16})):
        matcher = trained(model, **options)
        calibration = matcher.calibrate(world("dev"))
        assert (calibration.word, calibration.triplet) == (None, None)
        one = world("dev").select_images([0])
        assert calibration.missing(matcher.explain(one, "a dog chasing a cat")) == []
        assert 0 < calibration.probability(calibration.score_at(0.01)) < 0.02


def test_the_error_is_of_halves_not_fitted_on() -> None:
    """Scores that mean another thing in the other half of the images have a large error."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(100, 100, generator=generator)
    scores[range(100), range(100)] += 1
    small = cross_fitted_error(scores, torch.arange(100))
    scores[::2] += 1
    assert cross_fitted_error(scores, torch.arange(100)) > small + 0.05


def test_too_few(matcher: SceneGraphMatcher) -> None:
    with pytest.raises(ValueError, match=r"needs 20 images .* got 19"):
        matcher.calibrate(world("dev", 19))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format: expected"),
        ({"slope": None}, "slope: expected a float, got None"),
        ({"slope": -1.0}, "slope, ceiling"),
        ({"ceiling": 1.5}, "slope, ceiling"),
        ({"word": "x"}, "word: expected a float"),
        ({"fingerprint": 3}, "fingerprint: expected a str"),
        ({"more": 1}, "more: unknown field"),
    ],
)
def test_wrong_files(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "calibration.json"
    calibration = Calibration("abc", 20, 40, 2.0, -1.0, 0.9, 0.01, 0.1)
    calibration.save(path)
    assert Calibration.load(path) == calibration
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=f"calibration.json: {message}"):
        Calibration.load(path)
