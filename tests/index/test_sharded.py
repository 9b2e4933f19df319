"""An index in shards: what one index over the same images is."""

import json
import multiprocessing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from pyg_sgm.data import text_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.distributed import LocalPool
from pyg_sgm.index import SceneGraphIndex, ShardedIndex, adding, building, view
from pyg_sgm.index.shards import FILE, Shards, shard_of
from tests.helpers.indexes import SMALL, small_matcher
from tests.helpers.training import world

pytest.importorskip("lancedb")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "FEW", 0)  # bounds are always asked
    monkeypatch.setattr(adding, "CHUNK", 16)


def years(data: SceneGraphDataset) -> dict[str, dict[str, Any]]:
    return {image.id: {"year": 2000 + i} for i, image in enumerate(data.images)}


def both(
    folder: Path, data: SceneGraphDataset, name: str = "sgm", shards: int = 3
) -> tuple[SceneGraphIndex, SceneGraphIndex]:
    matcher = small_matcher(name)
    one = SceneGraphIndex.create(folder / "one.idx", matcher)
    many = SceneGraphIndex.create(folder / "many.idx", matcher, shards=shards)
    for index in (one, many):
        index.add(data, years(data))
    return one, many


def answers(index: SceneGraphIndex, queries: list[Any], **options: Any) -> list[dict[str, Any]]:
    """All that is told, but how many images were scored."""
    found = index.search_many(queries, **options)
    return [{**result.to_dict(), "num_scored": 0} for result in found]


@pytest.mark.parametrize("name", SMALL)
def test_the_answers_of_one_index_to_the_last_bit(name: str, tmp_path: Path) -> None:
    data = world(num_images=60)
    one, many = both(tmp_path, data, name)
    assert many.ids == one.ids == list(data.image_ids)
    queries = [*data.texts[:12], *data.images[:3]]
    for options in ({"k": 1}, {"k": 7}, {"k": 100}, {"k": 5, "where": "year > 2030"}):
        assert answers(many, queries, **options) == answers(one, queries, **options)
    best = one.search(data.texts[0], k=3).hits
    at = best[1].score
    assert answers(many, [data.texts[0]], threshold=at)[0]["hits"] == [
        hit.to_dict() for hit in best[:2]
    ]


def test_later_shards_stop_early(tmp_path: Path) -> None:
    """Images of one shard are the best of all; the others need not be scored one by one."""
    data = world(num_images=80)
    _, many = both(tmp_path, data, shards=2)
    scored = many.search(data.texts[0], k=1).num_scored
    parts = [
        building.open_shard(Path(many.uri), n, text, many.matcher)
        for n, text in enumerate(Shards.read(Path(many.uri)).headers)
    ]
    assert scored < sum(part.search(data.texts[0], k=1).num_scored for part in parts)


def test_equal_scores_are_in_the_order_of_adding(tmp_path: Path) -> None:
    first = world().images[3]
    same = [first.__class__(**{**vars(first), "id": f"{i}"}) for i in (5, 1, 4, 9, 0, 7, 2)]
    part = world().select_images([3])
    features = {
        name: type(one)(one.rows, one.spans.select(torch.zeros(7, dtype=torch.long)))
        for name, one in part.features.items()
    }
    data = SceneGraphDataset(same, [], [], features=features)
    one, many = both(tmp_path, data)
    for k in (3, 7):
        found = [[hit.id for hit in index.search("a dog", k=k).hits] for index in (one, many)]
        assert found[0] == found[1] == ["5", "1", "4", "9", "0", "7", "2"][:k]


def test_what_else_an_index_does(tmp_path: Path) -> None:
    data = world(num_images=30)
    one, many = both(tmp_path, data)
    text = text_record("a dog chasing a cat", relations=[("dog", "chasing", "cat")])
    ids = one.ids[::3]
    for index in (one, many):
        assert len(index) == 30
        assert ids[0] in index
        assert "nobody" not in index
    prior = [float(i % 4) for i in range(len(ids))]
    assert many.rerank(text, ids, prior, k=5) == one.rerank(text, ids, prior, k=5)
    with pytest.raises(ValueError, match="there is no image 'nobody'"):
        many.rerank(text, ["nobody"])
    told = [index.explain(text, ids[1]) for index in (many, one)]
    assert told[0].levels == told[1].levels
    assert told[0].score == told[1].score
    assert many.record(ids[2]).relations == one.record(ids[2]).relations
    known, expected = many.info(), one.info()
    assert known["shards"] == 3
    for name in ("num_images", "fields", "bounds", "model", "dtype"):
        assert known[name] == expected[name]
    assert many.verify() == []
    with pytest.raises(ValueError, match="export its shards one by one"):
        many.export(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"^filter .*month"):
        many.search(text, where="month > 1")


def test_images_that_are_there_take_other_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not named stays, and nothing is encoded again."""
    data = world(num_images=40)
    encoded = adding.encoding_columns
    changed = {id: {"year": 7, "place": "Kiel"} for id in data.image_ids[5:30]}
    for index in both(tmp_path, data):
        monkeypatch.setattr(adding, "encoding_columns", None)
        done = index.add(data, changed | {data.image_ids[1]: {"year": 2001}})
        assert (done.added, done.replaced, done.unchanged) == (0, 25, 15)
        monkeypatch.setattr(adding, "encoding_columns", encoded)
        found = {hit.id: hit.metadata for hit in index.search("a dog", k=40).hits}
        expected = {id: {**row, **changed.get(id, {})} for id, row in years(data).items()}
        assert {id: {"place": None} | dict(row) for id, row in found.items()} == {
            id: {"place": None} | row for id, row in expected.items()
        }
        assert len(index.search("a dog", k=40, where="place = 'Kiel'").hits) == 25
        assert index.add(data).unchanged == 40
        nothing: dict[str, Any] = {"year": None, "place": None}
        only = {data.image_ids[5]: nothing, data.image_ids[6]: {"place": "Bonn"}}
        assert index.add(data, only).replaced == 1
        assert len(index.search("a dog", k=40, where="place = 'Kiel' and year = 7").hits) == 24
        with pytest.raises(ValueError, match="column 'year' holds int64"):
            index.add(data, {data.image_ids[0]: {"year": "old"}})
        # One that has changed keeps its metadata too.
        other = world("dev").select_images([0])
        first = other.replace(images=[replace(other.images[0], id=data.image_ids[3])])
        assert index.add(first).replaced == 1
        (hit,) = index.search("a dog", where="year = 2003").hits
        assert hit.id == data.image_ids[3]
        assert index.verify() == []


@pytest.mark.filterwarnings("ignore:optimize")
def test_changes(tmp_path: Path) -> None:
    data = world(num_images=40)
    one, many = both(tmp_path, data)
    reader = SceneGraphIndex.open(many.uri, many.matcher)
    more = world("dev", num_images=20)
    place = {more.image_ids[0]: {"place": "Kiel"}}
    for index in (one, many):
        assert index.remove([*data.image_ids[:6], "nobody"]) == 6
        assert index.remove(data.image_ids[6]) == 1
        done = index.add(data.select_images([*range(5), *range(20, 25)]))
        assert (done.added, done.replaced, done.unchanged) == (5, 0, 5)
        assert index.add(more, place).added == 20
    queries = list(data.texts[:6])
    assert reader.ids == one.ids
    assert answers(reader, queries) == answers(one, queries)
    where = "place = 'Kiel'"
    assert answers(reader, queries[:1], where=where) == answers(one, queries[:1], where=where)
    many.optimize(kept=timedelta(0))
    assert answers(reader, queries) == answers(one, queries)
    assert many.info()["versions"] <= 2 * 3
    assert reader.verify() == []


def test_a_write_to_several_shards_is_seen_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = world(num_images=40)
    one, many = both(tmp_path, data.select_images(range(20)))
    reader = SceneGraphIndex.open(many.uri, many.matcher)
    before, queries = answers(one, list(data.texts[:3])), list(data.texts[:3])
    written: list[int] = []
    whole = building.write

    def breaks(task: building.ToWrite, matcher: Any) -> tuple[int, str]:
        written.append(task.number)
        if len(written) == 3:
            raise OSError("no space is left")
        return whole(task, matcher)

    monkeypatch.setattr("pyg_sgm.index.sharded.write", breaks)
    with pytest.raises(OSError, match="no space"):
        many.add(data)
    assert written == [0, 1, 2]
    again = SceneGraphIndex.open(many.uri, many.matcher)
    for index in (reader, many, again):
        assert len(index) == 20
        assert answers(index, queries) == before
    monkeypatch.setattr("pyg_sgm.index.sharded.write", whole)
    # What was written to two of three shards is taken back by another change, ...
    many.remove(data.image_ids[:1])
    assert set(many.ids) == set(data.image_ids[1:20])
    # ... and a call that goes on does all of it.
    one.remove(data.image_ids[:1])
    for index in (one, many):
        assert index.add(data).added == 21
    assert reader.ids == one.ids
    assert answers(reader, queries) == answers(one, queries)


def test_an_addition_that_broke_off_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = world(num_images=60)
    matcher = small_matcher()
    many = SceneGraphIndex.create(tmp_path / "many.idx", matcher, shards=2)
    encoded: list[int] = []
    whole = building._encode_to

    def breaks(*arguments: Any) -> None:
        encoded.append(1)
        if len(encoded) == 3:
            raise KeyboardInterrupt
        whole(*arguments)

    monkeypatch.setattr(building, "_encode_to", breaks)
    with pytest.raises(KeyboardInterrupt):
        many.add(data)
    assert len(many) == 0
    many.add(data)
    assert len(encoded) == 5  # four parts, one of them twice
    assert many.ids == list(data.image_ids)
    assert not (tmp_path / "many.idx" / "adding").exists()


def test_an_addition_that_broke_off_takes_the_metadata_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = world(num_images=20)
    many = SceneGraphIndex.create(tmp_path / "many.idx", small_matcher(), shards=2)
    monkeypatch.setattr("pyg_sgm.index.sharded.write", None)
    with pytest.raises(TypeError):
        many.add(data, {data.image_ids[0]: {"year": "unknown"}})
    monkeypatch.undo()
    many.add(data, years(data))
    assert many.search("a dog", where="year = 2000").hits[0].id == data.image_ids[0]


def test_a_shard_may_be_empty(tmp_path: Path) -> None:
    data = world(num_images=2)
    many = SceneGraphIndex.create(tmp_path / "many.idx", small_matcher(), shards=5)
    assert many.add([]).added == 0
    assert many.add(data).added == 2
    assert {hit.id for hit in many.search("a dog").hits} == set(data.image_ids)


def test_another_matcher(tmp_path: Path) -> None:
    data = world(num_images=20)
    one, many = both(tmp_path, data)
    other = small_matcher(seed=1)
    with pytest.raises(ValueError, match="built with the model sgm"):
        SceneGraphIndex.open(many.uri, other)
    for index in (one, many):
        SceneGraphIndex.rebuild(index.uri, other, data)
    new = [SceneGraphIndex.open(index.uri, other) for index in (one, many)]
    queries = list(data.texts[:3])
    assert answers(new[1], queries, where="year > 2005") == answers(
        new[0], queries, where="year > 2005"
    )
    with pytest.raises(ValueError, match="built with the model sgm"):
        len(many)
    again = SceneGraphIndex.rebuild(many.uri, other)
    assert answers(again, queries) == answers(new[0], queries)


def test_opens_the_run_that_it_was_made_with(tmp_path: Path) -> None:
    matcher = small_matcher()
    matcher.save_pretrained(tmp_path / "run")
    SceneGraphIndex.create(tmp_path / "a.idx", matcher, run=tmp_path / "run", shards=2).add(world())
    assert len(SceneGraphIndex.open(tmp_path / "a.idx").search("a dog", k=3).hits) == 3


def test_what_is_no_index_in_shards(tmp_path: Path) -> None:
    matcher = small_matcher()
    with pytest.raises(ValueError, match="shards: at least 1, got 0"):
        SceneGraphIndex.create(tmp_path / "a.idx", matcher, shards=0)
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher, shards=2)
    assert index.search("a dog").hits == []
    assert index.remove(["a"]) == 0
    with pytest.raises(ValueError, match="exists already"):
        SceneGraphIndex.create(tmp_path / "a.idx", matcher, shards=2)
    path = tmp_path / "a.idx" / FILE
    whole = json.loads(path.read_text())
    for change, message in (
        ({"format_version": 9}, "no index in shards of version 1"),
        ({"shards": []}, "shards: expected a list of headers"),
        ({"shards": [1]}, "shards: expected a list of headers"),
        ({"shards": ["{}"]}, "no index of pyg_sgm"),
        ({"next": None}, "next: expected a number"),
    ):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(ValueError, match=message):
            SceneGraphIndex.open(tmp_path / "a.idx", matcher)
    one = SceneGraphIndex.create(tmp_path / "one.idx", matcher)
    with pytest.raises(ValueError, match="only an index in shards"):
        SceneGraphIndex.open(one.uri, matcher, ray="auto")


def test_images_are_spread_evenly() -> None:
    counts = [0] * 8
    for i in range(8000):
        counts[shard_of(f"{i:012d}.jpg", 8)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


@pytest.mark.slow
def test_built_by_processes(tmp_path: Path) -> None:
    data = world(num_images=60)
    one, _ = both(tmp_path, data)
    many = SceneGraphIndex.create(tmp_path / "pool.idx", small_matcher(), shards=3)
    assert isinstance(many, ShardedIndex)
    many.add(data, years(data), pool=LocalPool(workers=2))
    queries = list(data.texts[:6])
    assert answers(many, queries) == answers(one, queries)
    assert not multiprocessing.active_children()
