"""Certified search finds what scoring everything finds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pyg_sgm.evaluation import with_query_bank
from pyg_sgm.index import SceneGraphIndex
from pyg_sgm.index import view as module
from pyg_sgm.index.coarse import CoarseQuery, coarse_rows, exact_products, node_major, principal
from pyg_sgm.index.search import upper_bounds
from pyg_sgm.ops import Packed
from pyg_sgm.retrieval import Query, SceneGraphMatcher, encode_queries
from pyg_sgm.retrieval.reranking import PriorWeight
from tests.helpers.indexes import SMALL, WITHOUT_BOUNDS, small_matcher
from tests.helpers.training import world

pytest.importorskip("lancedb")


@pytest.fixture(autouse=True)
def always_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW", 0)


@pytest.mark.parametrize("num_queries", [5, 30])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_products_of_coarse_rows_are_upper_bounds(
    exact: bool, dtype: torch.dtype, num_queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if exact and not exact_products():
        pytest.skip("no exact products of int8 here")
    monkeypatch.setattr("pyg_sgm.index.coarse.exact_products", lambda: exact)
    torch.manual_seed(0)
    spread = torch.linspace(1, 0.01, 40)
    x = (torch.randn(500, 40) * spread * torch.rand(500, 1) * 9).to(dtype)
    q = torch.randn(num_queries, 40)
    q[0] = 0
    whole = q.double() @ x.double().t()
    loose = []
    for count in (1, 14, 30, 40):
        directions, outside = principal(x.float())
        assert outside[0] == pytest.approx(1)
        assert outside[-1] == pytest.approx(0, abs=1e-9)
        coarse, frame = coarse_rows(x, directions[:, :count])
        assert coarse.dtype == torch.int8
        assert coarse.shape == (500, count + 2)
        query = CoarseQuery.of(q, frame)
        bounds = query.products(coarse) * query.unit + query.slack[:, None]
        assert (bounds.double() >= whole).all()
        loose.append(float((bounds - whole).mean()))
    assert loose == sorted(loose, reverse=True)
    assert loose[-1] < 0.1 * float(whole.std())


def test_no_nodes_have_coarse_rows_too() -> None:
    coarse, frame = coarse_rows(torch.zeros(0, 40), torch.eye(40)[:, :14])
    assert coarse.shape == (0, 16)
    assert CoarseQuery.of(torch.randn(3, 40), frame).products(coarse).shape == (3, 0)


def test_nodes_of_a_size_lie_side_by_side() -> None:
    sizes = torch.tensor([2, 0, 3, 2, 1, 2])
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
    x = torch.arange(10)
    rows, order, blocks = node_major(Packed(x, ptr), block_rows=4)
    assert order.tolist() == [4, 0, 3, 5, 2]
    assert blocks == [(1, 1), (2, 2), (2, 1), (3, 1)]
    # The first nodes of images 0 and 3, then their second ones.
    assert rows.tolist() == [7, 0, 5, 1, 6, 8, 9, 2, 3, 4]


@pytest.mark.parametrize("name", SMALL)
def test_equals_the_full_ranking(name: str, tmp_path: Path) -> None:
    matcher = small_matcher(name)
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher, dtype="float32")
    data = world(num_images=60)
    half = data.select_images(range(30))
    index.add(half)
    index.add(data, {image.id: {"place": i % 3} for i, image in enumerate(data.images)})
    gone = [data.images[i].id for i in (3, 31, 58)]
    index.remove(gone)
    left = data.select_images([i for i, image in enumerate(data.images) if image.id not in gone])
    texts = world("dev", num_images=6).texts
    for k in (1, 7, 100):
        results = index.search_many(texts, k)
        for text, result in zip(texts, results, strict=True):
            expected = matcher.search_images(text, left, k)
            assert [hit.id for hit in result.hits] == [one.id for one in expected]
            assert [hit.score for hit in result.hits] == pytest.approx(
                [one.score for one in expected], abs=1e-5
            )
            assert result.certified == (name not in WITHOUT_BOUNDS)
            assert (result.num_images, len(result.hits)) == (57, min(k, 57))
    if name not in WITHOUT_BOUNDS:
        assert index.search(texts[0], 1).num_scored < 57


@pytest.mark.parametrize("name", ["sgm", "sgm photos", "vse"])
def test_a_query_bank_is_certified_too(name: str, tmp_path: Path) -> None:
    """What it takes off differs from image to image, so that it changes the ranking."""
    plain = small_matcher(name)
    saved = plain.saved
    graphs = world("dev", num_images=9).encode(saved.vocabularies)
    model = with_query_bank(saved.model.eval(), graphs, num_images=9)
    matcher = SceneGraphMatcher._of(replace(saved, model=model))
    data, texts = world(num_images=60), world("test", num_images=6).texts
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher, dtype="float32")
    index.add(data)
    scores = matcher.score(data, texts)
    assert not torch.equal(scores.argsort(0), plain.score(data, texts).argsort(0))
    bounds = upper_bounds(index._newest(), index._model, encode_queries(matcher, texts))
    assert bounds is not None
    assert (bounds >= scores.t()).all()
    for result, own in zip(index.search_many(texts, 7), scores.t(), strict=True):
        best = own.topk(7)
        assert [hit.id for hit in result.hits] == [data.image_ids[i] for i in best.indices]
        assert [hit.score for hit in result.hits] == pytest.approx(best.values.tolist(), abs=1e-5)
        assert result.certified
        assert result.num_scored < 60
        assert all("hubness" in hit.levels for hit in result.hits)


def test_bounds_are_above_scores_and_close(tmp_path: Path) -> None:
    matcher = small_matcher()
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher, dtype="float32")
    index.add(world(num_images=40))
    texts = world("dev", num_images=10).texts
    seen = index._newest()
    bounds = upper_bounds(seen, index._model, encode_queries(matcher, texts))
    assert bounds is not None
    scores = matcher.score(world(num_images=40), texts).t()
    assert (bounds >= scores).all()
    assert float((bounds - scores).mean()) < 0.5 * float(scores.std())


def test_exclusions_photos_and_several_parts(tmp_path: Path) -> None:
    matcher, data = small_matcher(), world(num_images=40)
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher, dtype="float32")
    index.add(data)
    first, second = world("dev", num_images=2).texts[:2]
    queries = [
        Query((first,), exclude=(second,)),
        Query((first, second)),
        Query(exclude=(first,)),
        Query((first,), images=(data.images[3],)),
    ]
    features = {k: v.select(torch.tensor([3])) for k, v in data.features.items()}
    shown = matcher.encode_images(
        data.replace(images=data.images[3:4], features=features, texts=[], image_of_text=[])
    )
    plain = [*queries[:3], replace(queries[3], images=(shown,))]
    for query, same in zip(queries, plain, strict=True):
        expected = [one for one in matcher.search_images(same, data, 40)]
        if query.images:
            expected = [one for one in expected if one.id != data.images[3].id]
        found = index.search(query, 10)
        assert [hit.id for hit in found.hits] == [one.id for one in expected[:10]]
        for hit in found.hits:
            assert sum(hit.levels.values()) == pytest.approx(hit.score, abs=1e-5)
        assert found.num_images == 40 - len(query.images)
    assert any(hit.levels["excluded"] < 0 for hit in index.search(queries[0], 40).hits)


def test_an_image_that_is_there_is_not_its_own_answer(tmp_path: Path) -> None:
    index = SceneGraphIndex.create(tmp_path / "a.idx", small_matcher())
    index.add(world())
    own = world().images[2]
    found = index.search(Query.of(index.record(own.id)), 20)
    assert own.id not in [hit.id for hit in found.hits]
    assert len(found.hits) == found.num_images == 11


def test_threshold(tmp_path: Path) -> None:
    index = SceneGraphIndex.create(tmp_path / "a.idx", small_matcher())
    index.add(world(num_images=40))
    text = world("dev").texts[0]
    scores = [hit.score for hit in index.search(text, 40).hits]
    found = index.search(text, 40, threshold=scores[4])
    assert [hit.score for hit in found.hits] == pytest.approx(scores[:5])
    assert index.search(text, 40, threshold=99.0).hits == []


def test_reranks_candidates(tmp_path: Path) -> None:
    index = SceneGraphIndex.create(tmp_path / "a.idx", small_matcher())
    index.add(world())
    text = world().texts[0]
    whole = index.search(text, 12)
    some = [hit.id for hit in whole.hits[3:9]]
    found = index.rerank(text, some[::-1])
    assert [hit.id for hit in found.hits] == some
    assert found.num_scored == 6
    prior = [float(i) for i in range(6)]
    found = index.rerank(text, some, prior, weight=50.0, k=3)
    assert [hit.id for hit in found.hits] == some[:2:-1]
    own = torch.tensor([hit.score for hit in whole.hits[3:9]])
    unit = float(own.std(correction=0)) * 50 / 1.707825  # by the deviation of 0 to 5
    assert found.hits[0].levels["prior"] == pytest.approx(2.5 * unit, rel=1e-3)
    assert sum(found.hits[0].levels.values()) == pytest.approx(found.hits[0].score, abs=1e-4)
    with pytest.raises(ValueError, match="named twice"):
        index.rerank(text, [some[0], some[0]])
    with pytest.raises(ValueError, match="k must be at least 1"):
        index.rerank(text, some, k=0)
    with pytest.raises(ValueError, match="2 scores for 1"):
        index.rerank(text, some[:1], [1.0, 2.0])
    with pytest.raises(ValueError, match="no image 'x'"):
        index.rerank(text, ["x"])


def test_reranks_by_the_weight_that_was_fitted(tmp_path: Path) -> None:
    matcher = small_matcher()
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher)
    index.add(world())
    ids, prior = world().image_ids[:6], [0.3, 0.1, 0.9, 0.2, 0.8, 0.5]
    asked = ("a dog chasing a cat", ids, prior)
    assert matcher.prior_weight == 1
    assert index.rerank(*asked) == index.rerank(*asked, weight=1.0)
    matcher._prior_weight = PriorWeight(matcher.fingerprint, 4.0)
    assert index.rerank(*asked) == index.rerank(*asked, weight=4.0)
    assert index.rerank(*asked) != index.rerank(*asked, weight=1.0)
    some = world().select_images(range(6))
    assert matcher.rerank(asked[0], some, prior) == matcher.rerank(asked[0], some, prior, 4.0)
    matcher._prior_weight = PriorWeight("of another model", 4.0)
    assert matcher.prior_weight == 1


def test_not_a_number_is_an_error(tmp_path: Path) -> None:
    matcher = small_matcher()
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher)
    index.add(world())
    query = encode_queries(matcher, [world().texts[0]])[0]
    text: Any = query.parts[0][1].encoding
    text.objects.x[0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        index.search(query)
