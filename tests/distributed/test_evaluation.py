"""Recalls by a pool: those of one process, whatever dies."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.data import PairedGraphs
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.distributed import LocalPool, RayPool, SerialPool
from pyg_sgm.evaluation import evaluate, evaluate_in_parts
from tests.helpers.cluster import killing


@pytest.fixture(scope="module", params=["sgm", "hoad", "vse"])
def matcher(request: pytest.FixtureRequest) -> SceneGraphMatcher:
    torch.manual_seed(0)
    options = {"hidden": 16} if request.param != "vse" else {}
    matcher = SceneGraphMatcher(request.param, dim=16, embed=8, **options)
    world = SceneWorld("train", num_images=20)
    bank = {"query_bank": 8} if request.param == "sgm" else {}
    return matcher.fit(world, epochs=1, progress=False, **bank)


@pytest.fixture(scope="module")
def graphs(matcher: SceneGraphMatcher) -> PairedGraphs:
    graphs = SceneWorld("dev", num_images=50, captions_per_image=3).encode(matcher.vocabularies)
    # Texts in any order, as files may have them.
    order = torch.randperm(len(graphs), generator=torch.Generator().manual_seed(0))
    return PairedGraphs(graphs.images, graphs.texts.select(order), graphs.image_of_text[order])


@pytest.mark.parametrize("images_per_part", [13, 50, 512])
def test_the_same_recalls(
    matcher: SceneGraphMatcher, graphs: PairedGraphs, images_per_part: int, tmp_path: Path
) -> None:
    saved = matcher.saved
    parts = evaluate_in_parts(saved, graphs, SerialPool(), tmp_path, images_per_part)
    assert parts == evaluate(saved.model, graphs)
    assert not list(tmp_path.iterdir())


def test_every_image_has_a_text(
    matcher: SceneGraphMatcher, graphs: PairedGraphs, tmp_path: Path
) -> None:
    some = PairedGraphs(graphs.images, graphs.texts, graphs.image_of_text.clamp(max=48))
    with pytest.raises(ValueError, match="image 49 has no text"):
        evaluate_in_parts(matcher.saved, some, SerialPool(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "ray"])
def test_the_same_recalls_by_a_pool(kind: str, nodes: Any, tmp_path: Path) -> None:
    matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
    matcher.fit(SceneWorld("train", num_images=20), epochs=1, progress=False)
    world = SceneWorld("dev", num_images=30, captions_per_image=2)
    pool = LocalPool(workers=1) if kind == "local" else RayPool(nodes.address)
    with killing(times=int(kind == "ray"), every=0.02) as killed:
        assert matcher.evaluate(world, pool=pool, folder=tmp_path) == matcher.evaluate(world)
    assert len(killed) == int(kind == "ray")
    with pytest.raises(ValueError, match="a pool evaluates all images together, not 5 folds"):
        matcher.evaluate(world, 5, pool, tmp_path)
