from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pyg_sgm.data import text_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.index import SceneGraphIndex, adding
from pyg_sgm.index.store import KEPT
from pyg_sgm.retrieval import encode_query
from tests.helpers.indexes import SMALL, WITHOUT_BOUNDS, small_matcher
from tests.helpers.training import world

pytest.importorskip("lancedb")


def named(dataset: SceneGraphDataset, name: str) -> SceneGraphDataset:
    """The one image of a dataset under another name."""
    return dataset.replace(images=[replace(dataset.images[0], id=name)])


@pytest.fixture
def index(tmp_path: Path) -> SceneGraphIndex:
    found = SceneGraphIndex.create(tmp_path / "world.idx", small_matcher())
    images = world().images
    found.add(world(), {image.id: {"year": 2000 + i} for i, image in enumerate(images)})
    return found


@pytest.mark.parametrize("shards", [None, 2])
def test_a_run_that_was_moved(shards: int | None, tmp_path: Path) -> None:
    matcher = small_matcher()
    matcher.save_pretrained(tmp_path / "run")
    where = tmp_path / "world.idx"
    index = SceneGraphIndex.create(where, matcher, run=tmp_path / "run", shards=shards)
    index.add(world())
    (tmp_path / "run").rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"index rebuild .* --run RUN` notes where"):
        SceneGraphIndex.open(where)
    SceneGraphIndex.rebuild(where, matcher, run=tmp_path / "moved")
    found = SceneGraphIndex.open(where)
    assert found.ids == index.ids
    assert found.verify() == []


@pytest.mark.parametrize("name", SMALL)
def test_finds_what_the_matcher_ranks_first(name: str, tmp_path: Path) -> None:
    matcher, data = small_matcher(name), world()
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher, dtype="float32")
    index.add(data)
    for text in data.texts[:6]:
        expected = matcher.search_images(text, data, k=5)
        found = index.search(text, k=5)
        assert [hit.id for hit in found.hits] == [one.id for one in expected]
        assert [hit.rank for hit in found.hits] == [1, 2, 3, 4, 5]
        for hit, one in zip(found.hits, expected, strict=True):
            assert hit.score == pytest.approx(one.score, abs=1e-5)
            assert sum(hit.levels.values()) == pytest.approx(hit.score, abs=1e-5)
        assert found.certified == (name not in WITHOUT_BOUNDS)
        assert found.num_images == len(data)


def test_half_precision_changes_scores_by_little(index: SceneGraphIndex) -> None:
    (text,) = world().texts[:1]
    exact = index.matcher.score(world(), [text])[:, 0]
    found = index.search(text, k=12)
    place = {id: i for i, id in enumerate(world().image_ids)}
    stored = torch.tensor([hit.score for hit in found.hits])
    torch.testing.assert_close(
        stored, exact[[place[hit.id] for hit in found.hits]], atol=5e-3, rtol=0
    )


def test_equal_scores_are_in_the_order_of_adding(tmp_path: Path) -> None:
    index = SceneGraphIndex.create(tmp_path / "a.idx", small_matcher("sgm paper"))
    for name in ("c", "a", "b"):
        index.add(named(world().select_images([3]), name))
    assert [hit.id for hit in index.search(world().texts[0]).hits] == ["c", "a", "b"]
    assert index.ids == ["c", "a", "b"]


def test_unchanged_images_are_skipped_and_changed_ones_replaced(index: SceneGraphIndex) -> None:
    again = index.add(world())
    assert (again.added, again.replaced, again.unchanged) == (0, 0, 12)
    first = world().image_ids[0]
    changed = named(world("dev").select_images([0]), first)
    done = index.add(changed)
    assert (done.added, done.replaced, done.unchanged) == (0, 1, 0)
    assert list(index.record(first).objects) == list(changed.images[0].objects)
    assert len(index) == 12


def test_removed_images_are_gone(index: SceneGraphIndex) -> None:
    first = world().image_ids[0]
    assert index.remove([first, "nobody"]) == 1
    assert first not in index
    assert len(index) == 11
    assert first not in [hit.id for hit in index.search("a dog", k=12).hits]
    assert [len(found.hits) for found in index.search_many("a dog", 3)] == [3]
    assert index.remove(world().image_ids[1]) == 1
    with pytest.raises(ValueError, match="no image"):
        index.record(first)


@pytest.mark.parametrize("shards", [None, 2])
def test_what_is_added_after_removals_is_scored_by_itself(
    shards: int | None, tmp_path: Path
) -> None:
    """Segments keep the encodings of the last images, which were removed."""
    data = world("train", 24)
    matcher = small_matcher()
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher, dtype="float32", shards=shards)
    index.add(data.select_images(range(20)))
    index.remove(data.image_ids[16:20])
    index.add(data.select_images(range(20, 24)))
    place = {id: i for i, id in enumerate(data.image_ids)}
    expected = matcher.score(data, ["a dog"])[:, 0]
    hits = index.search("a dog", k=24).hits
    assert len(hits) == 20
    scores = torch.tensor([hit.score for hit in hits])
    torch.testing.assert_close(scores, expected[[place[hit.id] for hit in hits]])


def test_a_stopped_rebuild_starts_over_when_images_have_changed(
    index: SceneGraphIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, first = small_matcher(seed=5), world().image_ids[0]
    monkeypatch.setattr(adding, "CHUNK", 4)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SceneGraphIndex.rebuild(index.uri, other, world(), progress=stop)
    index.remove(first)
    left = world().select_images(range(1, 12))
    assert SceneGraphIndex.rebuild(index.uri, other, left).ids == left.image_ids


def test_a_stopped_rebuild_outlives_optimizing(
    index: SceneGraphIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, done = small_matcher(seed=5), []
    monkeypatch.setattr(adding, "CHUNK", 4)

    def stop(count: int, total: int) -> None:
        done.append(count)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SceneGraphIndex.rebuild(index.uri, other, world(), progress=stop)
    index._clean(KEPT)
    SceneGraphIndex.rebuild(index.uri, other, world(), progress=lambda *at: done.append(at[0]))
    assert done == [4, 8, 12]


def test_nobody_writes_while_an_index_is_optimized(
    index: SceneGraphIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what they have just published might be removed."""
    reader = SceneGraphIndex.open(index.uri, index.matcher)

    def tidy(*_: object) -> None:
        with pytest.raises(ValueError, match="another process is writing"):
            reader.add(world("dev", num_images=3))

    monkeypatch.setattr(index._store, "tidy", tidy)
    index.optimize()


def test_queries_that_another_model_encoded_are_refused(index: SceneGraphIndex) -> None:
    query = encode_query(small_matcher(seed=5), "a dog")
    with pytest.raises(ValueError, match="encoded by another model"):
        index.search(query)


def test_metadata_given_again_change_nothing(index: SceneGraphIndex) -> None:
    first = world().image_ids[0]
    values = {first: {"tags": ("a", "b"), "weight": float("nan")}}
    assert index.add(world(), values).replaced == 1
    assert index.add(world(), values).replaced == 0


def test_another_reader_sees_what_was_added(index: SceneGraphIndex) -> None:
    reader = SceneGraphIndex.open(index.uri, index.matcher)
    assert len(reader) == 12
    index.add(world("dev", num_images=3))
    assert len(reader) == 15
    assert reader.search("a dog", k=20).num_images == 15


def test_graphs_come_back_as_they_were(index: SceneGraphIndex) -> None:
    for image in world().images:
        found = index.record(image.id)
        assert found.objects == image.objects
        assert found.relations == image.relations
        assert found.attributes == image.attributes
        assert found.boxes is not None
        assert (found.boxes == image.boxes).all()


def test_conditions(index: SceneGraphIndex) -> None:
    found = index.search("a dog", k=20, where="year >= 2009")
    assert found.num_images == 3
    assert sorted(hit.metadata["year"] for hit in found.hits) == [2009, 2010, 2011]
    assert index.search("a dog", where="year > 3000").hits == []
    assert index.info()["fields"] == {"year": "int64"}


@pytest.mark.parametrize(
    "where",
    [
        "path LIKE '/%'",
        '"PATH" IS NULL',
        "`hash` > 'a'",
        "year > 1 -- '",
        "year > 1 /* ' */ AND path = ''",
        "_rowid > 1",
        "encoded_objects IS NULL",
        "year >",
        "nothing = 1",
        "year = 'a'",
        "year > 1; DROP TABLE images",
        "x" * 20_000,
    ],
)
def test_wrong_conditions_are_named(where: str, index: SceneGraphIndex) -> None:
    with pytest.raises(ValueError, match=r"^filter") as error:
        index.search("a dog", where=where)
    assert "encoded_summary" not in str(error.value)
    assert index.uri not in str(error.value)


def test_columns_of_metadata(index: SceneGraphIndex) -> None:
    more = world("dev", num_images=2)
    first, second = more.image_ids
    index.add(more, {first: {"place": "Kiel", "year": 1999, "sea": True}})
    assert index.search("a dog", where="place = 'Kiel'").hits[0].metadata == {
        "place": "Kiel",
        "year": 1999,
        "sea": True,
    }
    with pytest.raises(ValueError, match=r"column 'sea' holds bool.*others than true and false"):
        index.add(more, {second: {"sea": 7}})
    with pytest.raises(ValueError, match="column 'year' holds int64"):
        index.add(world("test", num_images=1), {world("test").image_ids[0]: {"year": "old"}})
    with pytest.raises(ValueError, match="cannot be a column"):
        index.add(more, {second: {"hash": 1}})


def test_another_matcher_is_refused(index: SceneGraphIndex) -> None:
    with pytest.raises(ValueError, match=r"built with the model sgm .* not sgm"):
        SceneGraphIndex.open(index.uri, small_matcher(seed=1))
    with pytest.raises(ValueError, match="does not say which run"):
        SceneGraphIndex.open(index.uri)


def test_opens_the_run_that_it_was_made_with(tmp_path: Path) -> None:
    small_matcher().save_pretrained(tmp_path / "run")
    matcher = small_matcher()
    SceneGraphIndex.create(tmp_path / "a.idx", matcher, run=tmp_path / "run").add(world())
    assert len(SceneGraphIndex.open(tmp_path / "a.idx").search("a dog", k=3).hits) == 3


def test_what_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such index"):
        SceneGraphIndex.open(tmp_path / "a.idx", small_matcher())
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(FileNotFoundError, match="no index"):
        SceneGraphIndex.open(tmp_path, small_matcher())
    with pytest.raises(ValueError, match="exists already"):
        SceneGraphIndex.create(tmp_path, small_matcher())


def test_explains(index: SceneGraphIndex) -> None:
    text = text_record("a dog chasing a cat", relations=[("dog", "chasing", "cat")])
    best = index.search(text, k=1).hits[0]
    told = index.explain(text, best.id)
    assert told.score == pytest.approx(best.score, abs=1e-5)
    assert told.levels == pytest.approx(best.levels, abs=1e-5)


def test_an_empty_index(tmp_path: Path) -> None:
    index = SceneGraphIndex.create(tmp_path / "a.idx", small_matcher())
    assert len(index) == 0
    assert index.search("a dog").hits == []
    assert index.remove(["a"]) == 0
    assert index.info()["num_images"] == 0
