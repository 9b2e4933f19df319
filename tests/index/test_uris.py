"""An index in shards at a URI: what an index on the disk is."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lancedb")

from pyg_sgm.index import SceneGraphIndex, adding, building
from pyg_sgm.index.reading import is_index
from pyg_sgm.index.shards import FILE, Shards, is_sharded
from pyg_sgm.index.store import told
from pyg_sgm.io import list_files, to_path
from tests.helpers.indexes import small_matcher
from tests.helpers.stores import object_store, put_files
from tests.helpers.training import world

DATA = world(num_images=24)
QUERIES = [*DATA.texts[:4], DATA.images[3]]


@pytest.fixture(params=["file", "s3"])  # LanceDB has a memory for each connection
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with object_store(request.param, tmp_path) as uri:
        yield uri


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "CHUNK", 12)


def answers(index: SceneGraphIndex) -> list[dict[str, Any]]:
    return [{**one.to_dict(), "num_scored": 0} for one in index.search_many(QUERIES, 7)]


def left(uri: str) -> list[str]:
    return [name for name in list_files(to_path(uri)) if name.startswith("adding")]


def test_the_answers_of_one_index(store: str, tmp_path: Path) -> None:
    matcher = small_matcher()
    one = SceneGraphIndex.create(tmp_path / "one.idx", matcher)
    many = SceneGraphIndex.create(f"{store}/many.idx", matcher, shards=2)
    years = {image.id: {"year": 2000 + i} for i, image in enumerate(DATA.images)}
    first, gone = DATA.select_images(range(12)), DATA.image_ids[5:8]
    reader = SceneGraphIndex.open(many.uri, matcher)
    for change in (
        lambda index: index.add(first, years),
        lambda index: index.remove(gone),
        lambda index: index.add(DATA, years),
        lambda index: index.optimize(),
    ):
        change(one)
        change(many)
        assert reader.ids == one.ids
        assert answers(reader) == answers(one)
    assert many.uri == f"{store}/many.idx"
    assert many.verify() == []
    info = many.info()
    assert (info["num_images"], info["shards"], info["fields"]) == (24, 2, {"year": "int64"})
    assert left(many.uri) == []
    # Another machine has no segments yet.
    shutil.rmtree(tmp_path / "cache")
    assert answers(SceneGraphIndex.open(many.uri, matcher)) == answers(one)


def test_another_matcher(store: str, tmp_path: Path) -> None:
    other = small_matcher(seed=1)
    for place in (tmp_path / "one.idx", f"{store}/many.idx"):
        shards = None if place == tmp_path / "one.idx" else 2
        SceneGraphIndex.create(place, small_matcher(), shards=shards).add(DATA)
        SceneGraphIndex.rebuild(place, other, DATA)
    one, many = (
        SceneGraphIndex.open(p, other) for p in (tmp_path / "one.idx", f"{store}/many.idx")
    )
    assert answers(many) == answers(one)


def test_a_write_to_several_shards_is_seen_at_once(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = SceneGraphIndex.create(f"{store}/many.idx", small_matcher(), shards=2)
    many.add(DATA.select_images(range(12)))
    before = answers(many)
    encoded: list[int] = []
    written: list[int] = []
    whole_encode, whole_write = building._encode_to, building.write

    def encodes(*arguments: Any) -> None:
        encoded.append(1)
        whole_encode(*arguments)

    def breaks(task: building.ToWrite, matcher: Any) -> tuple[int, str]:
        written.append(task.number)
        if len(written) == 2:
            raise OSError("no space is left")
        return whole_write(task, matcher)

    monkeypatch.setattr(building, "_encode_to", encodes)
    monkeypatch.setattr("pyg_sgm.index.sharded.write", breaks)
    with pytest.raises(OSError, match="no space"):
        many.add(DATA)
    assert left(many.uri)
    for index in (many, SceneGraphIndex.open(many.uri, many.matcher)):
        assert len(index) == 12
        assert answers(index) == before
    assert many.add(DATA).added == 12
    assert len(encoded) == 1  # what was encoded is not encoded again
    assert many.ids == list(DATA.image_ids)
    assert left(many.uri) == []


def test_another_writer_is_told(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    many = SceneGraphIndex.create(f"{store}/many.idx", small_matcher(), shards=2)
    many.add(DATA.select_images(range(8)))
    whole = building.write

    def another(task: building.ToWrite, matcher: Any) -> tuple[int, str]:
        home = to_path(many.uri)
        Shards(Shards.read(home).headers, 77).write(home)
        return whole(task, matcher)

    monkeypatch.setattr("pyg_sgm.index.sharded.write", another)
    with pytest.raises(ValueError, match=r"many\.idx: another process has written meanwhile"):
        many.add(DATA)
    assert len(SceneGraphIndex.open(many.uri, many.matcher)) == 8


def test_what_is_there(store: str) -> None:
    matcher = small_matcher()
    assert not is_index(f"{store}/a.idx")
    with pytest.raises(FileNotFoundError, match=r"a\.idx: no index"):
        SceneGraphIndex.open(f"{store}/a.idx", matcher)
    for shards in (None, 2):
        uri = f"{store}/{shards}.idx"
        SceneGraphIndex.create(uri, matcher, shards=shards)
        assert is_index(uri)
        assert is_sharded(uri) == (shards == 2)
        for again in (None, 2):
            with pytest.raises(ValueError, match="exists already"):
                SceneGraphIndex.create(uri, matcher, shards=again)
    (to_path(f"{store}/2.idx") / FILE).write_bytes(b"{")
    with pytest.raises(ValueError, match=r"2\.idx/shards\.json: cut short or not JSON"):
        SceneGraphIndex.open(f"{store}/2.idx", matcher)


def test_what_opens_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    assert not is_sharded("gs://bucket/a.idx")  # one index needs LanceDB alone
    monkeypatch.setattr("pyg_sgm.index.index.is_index", lambda uri: False)
    with pytest.raises(ImportError, match=r"gs://bucket/a\.idx: needs more: pip install gcsfs"):
        SceneGraphIndex.create("gs://bucket/a.idx", small_matcher(), shards=2)


def test_photos_at_an_address(store: str, tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    from tests.helpers.service import photo_index

    one = photo_index(tmp_path)
    for name in os.listdir(tmp_path / "photos"):
        if not name.isascii():  # names in a store are of UTF-8
            (tmp_path / "photos" / name).unlink()
            one.remove([name])
    put_files(tmp_path / "photos", f"{store}/photos")
    many = SceneGraphIndex.create(f"{store}/many.idx", one.matcher, shards=2)
    assert many.add(f"{store}/photos").added == len(one)
    assert many.add(f"{store}/photos").unchanged == len(one)
    found = [(hit.id, hit.score) for hit in one.search("a red ball", 12).hits]
    assert [(hit.id, hit.score) for hit in many.search("a red ball", 12).hits] == found
    file = many.path(found[0][0])
    assert str(file) == f"{store}/photos/{found[0][0]}"
    assert many.search(file, 1).hits[0].id == found[0][0]
    file.unlink()
    assert many.add(f"{store}/photos").unchanged == len(one) - 1


def test_what_a_store_says() -> None:
    said = "IO { body: Some(<Error><Message>There is no such bucket.</Message></Error>) }\nmore"
    message = r"^s3://b/a: cannot read \(the store says: There is no such bucket\); look at the ad"
    with pytest.raises(ValueError, match=message), told("s3://b/a", "read"):
        raise RuntimeError(said)
