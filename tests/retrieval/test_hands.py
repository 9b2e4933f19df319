"""Matchers in other precisions, copied, pickled, and shared by threads."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_sgm.datasets import SceneWorld
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.training import Recipe

CAPTIONS = ["a dog chasing a cat", "a cat"]
MODELS = {
    "sgm": {"dim": 16, "hidden": 16, "embed": 8, "global_dim": 8, "dropout": 0.5},
    "hoad": {"dim": 16, "hidden": 16, "embed": 8, "num_perspectives": 4},
    "vse": {"dim": 16, "embed": 8},
}


def world(feature_dim: int = 4) -> SceneWorld:
    return SceneWorld("train", num_images=8, captions_per_image=2, feature_dim=feature_dim)


@pytest.fixture(scope="module", params=MODELS)
def matcher(request: pytest.FixtureRequest) -> SceneGraphMatcher:
    matcher = SceneGraphMatcher(request.param, **MODELS[request.param])
    return matcher.fit(world(), recipe=Recipe(epochs=1), progress=False)


@pytest.mark.parametrize(
    ("dtype", "error"), [(torch.float16, 5e-3), (torch.bfloat16, 4e-2), (torch.float64, 1e-5)]
)
def test_precisions(matcher: SceneGraphMatcher, dtype: torch.dtype, error: float) -> None:
    expected, metrics = matcher.score(world(), CAPTIONS), matcher.evaluate(world())
    other = copy.deepcopy(matcher).to(dtype)
    scores = other.score(world(), CAPTIONS)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, expected, atol=error, rtol=0)
    assert other.search_images(CAPTIONS[0], world(), k=1)[0].rank == 1
    assert other.evaluate(world()).keys() == metrics.keys()
    assert torch.equal(matcher.score(world(), CAPTIONS), expected)  # the first is as it was


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_strings_under_autocast(matcher: SceneGraphMatcher, dtype: torch.dtype) -> None:
    expected = matcher.score(world(), CAPTIONS)
    with torch.autocast("cpu", dtype=dtype):
        scores = matcher.score(world(), CAPTIONS)
        matcher.search_images("a man and a dog", world())
    torch.testing.assert_close(scores, expected, atol=4e-2, rtol=0)


def test_copies(matcher: SceneGraphMatcher, tmp_path: Path) -> None:
    """Also of one that has made graphs of files, with networks that cannot be copied."""
    expected = matcher.score(world(), CAPTIONS)
    for other in (copy.deepcopy(matcher), pickle.loads(pickle.dumps(matcher))):
        assert torch.equal(other.score(world(), CAPTIONS), expected)


def test_copies_open_their_extractor_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image = pytest.importorskip("PIL.Image")
    from pyg_sgm.datasets import ImageFolder
    from pyg_sgm.vision import Extractor, RegionFeatures, open_detector

    def open_small(detector: str = "grid") -> Extractor:
        torch.manual_seed(0)
        features = RegionFeatures(torch.nn.Conv2d(3, 5, 8, stride=8), size=32)
        extractor = Extractor(open_detector(detector), features, options={"detector": detector})
        extractor.session = threading.Lock()  # type: ignore[attr-defined]  # has no copies
        return extractor

    for place in ("pyg_sgm.retrieval.prepare", "pyg_sgm.vision.description"):
        monkeypatch.setattr(f"{place}.open_extractor", open_small)
    (tmp_path / "photos").mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    rows = "".join(f"{i}.png,A dog .\n" for i in range(4))
    (tmp_path / "captions.csv").write_text("image,caption\n" + rows)
    data = ImageFolder(tmp_path / "photos", tmp_path / "captions.csv")
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6)
    matcher.fit(data, recipe=Recipe(epochs=1), progress=False)
    file = tmp_path / "photos" / "1.png"
    expected = matcher.score([file], CAPTIONS)
    for other in (copy.deepcopy(matcher), pickle.loads(pickle.dumps(matcher))):
        assert torch.equal(other.score([file], CAPTIONS), expected)


def test_threads_share_a_matcher_in_training_mode() -> None:
    matcher = SceneGraphMatcher("sgm", **MODELS["sgm"])
    matcher.fit(world(), recipe=Recipe(epochs=1), progress=False)
    expected = matcher.score(world(), world().texts)
    matcher.train()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: matcher.score(world(), world().texts), range(24)))
    assert all(torch.equal(scores, expected) for scores in found)
    assert matcher.model is not None
    assert matcher.model.training  # as it was


def test_opening_in_threads_leaves_random_numbers_alone(tmp_path: Path) -> None:
    matcher = SceneGraphMatcher("sgm", **MODELS["sgm"])
    matcher.fit(world(), recipe=Recipe(epochs=1), progress=False).save_pretrained(tmp_path)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: SceneGraphMatcher.from_pretrained(tmp_path), range(16)))
    assert torch.equal(torch.rand(3), expected)
