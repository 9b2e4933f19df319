"""Files of an index: cut, locked, rebuilt, exported."""

import errno
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from pyg_sgm.index import SceneGraphIndex
from pyg_sgm.index.header import Header
from pyg_sgm.index.store import LanceStore
from pyg_sgm.io import locked
from tests.helpers.indexes import small_matcher
from tests.helpers.training import world

pytest.importorskip("lancedb")
TEXT = "a dog chasing a cat"


@pytest.fixture
def index(tmp_path: Path) -> SceneGraphIndex:
    found = SceneGraphIndex.create(tmp_path / "a.idx", small_matcher())
    found.add(world())
    return found


def found(index: SceneGraphIndex) -> list[tuple[str, float]]:
    return [(hit.id, round(hit.score, 5)) for hit in index.search(TEXT, 20).hits]


def test_all_is_well(index: SceneGraphIndex) -> None:
    assert index.verify() == []
    info = index.info()
    assert info["num_images"] == 12
    assert info["segments"] == 1
    assert set(info["bounds"]) == {"objects", "relations", "summary"}
    assert info["segment_bytes"] > 0


@pytest.mark.parametrize("name", ["objects.npy", "objects.coarse.npy", "positions.npy"])
def test_cut_segments_are_told_and_rebuilt(name: str, index: SceneGraphIndex) -> None:
    before = found(index)
    (file,) = Path(index.uri).glob(f"segments/*/{name}")
    file.write_bytes(file.read_bytes()[:-10])
    assert any(name in line for line in index.verify())
    fresh = SceneGraphIndex.open(index.uri, index.matcher)
    with pytest.raises(ValueError, match=rf"{name}.*index rebuild"):
        fresh.search(TEXT)
    again = SceneGraphIndex.rebuild(index.uri, index.matcher)
    assert again.verify() == []
    assert found(again) == before


def test_changed_bytes_are_found(index: SceneGraphIndex) -> None:
    (file,) = Path(index.uri).glob("segments/*/summary.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert any("summary.npy: has changed" in line for line in index.verify())


def test_cut_rows_are_told(index: SceneGraphIndex) -> None:
    (file,) = Path(index.uri).glob("images.lance/data/*.lance")
    file.write_bytes(file.read_bytes()[:-100])
    fresh = SceneGraphIndex.open(index.uri, index.matcher)
    assert fresh.verify()
    with pytest.raises((ValueError, OSError), match=r"a\.idx: cannot read the rows.*elsewhere$"):
        fresh.record(world().image_ids[0])


def test_an_index_of_another_version(index: SceneGraphIndex) -> None:
    store = LanceStore(index.uri)
    text = store.header()
    assert text is not None
    store.write_header(text.replace('"format_version": 1', '"format_version": 9'))
    with pytest.raises(ValueError, match="an index of version 9"):
        SceneGraphIndex.open(index.uri, index.matcher)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"segments": ["', '"segments": ["../'),
        ('"dtype": "float16"', '"dtype": "object"'),
        ('"version": 1', '"version": "x"'),
        ('"fields": [', '"fields": [7, '),
        ('"table": "images"', '"table": 3'),
        ("{", ""),
    ],
)
def test_a_header_that_is_none(old: str, new: str, index: SceneGraphIndex) -> None:
    text = index._text
    assert old in text
    with pytest.raises(ValueError, match="here"):
        Header.of_text(text.replace(old, new), "here")


def test_two_writers(index: SceneGraphIndex) -> None:
    with locked(index.uri), pytest.raises(ValueError, match="another process is writing"):
        index.add(world("dev"))
    assert len(index) == 12


def test_a_full_disk(index: SceneGraphIndex) -> None:
    before = found(index)
    full = OSError(errno.ENOSPC, "No space left on device")
    with (
        patch("pyg_sgm.index.segment.np.save", side_effect=full),
        pytest.raises(OSError, match="No space"),
    ):
        index.add(world("dev"))
    assert found(index) == before
    assert not list(Path(index.uri).glob("segments/.*"))
    assert index.add(world("dev")).unchanged == 12
    assert len(index) == 24


def test_optimizing_keeps_what_is_there(index: SceneGraphIndex) -> None:
    for start in range(0, 12, 2):
        index.add(world("dev").select_images([start, start + 1]))
    index.remove(world().image_ids[:9])
    before = found(index)
    reader = SceneGraphIndex.open(index.uri, index.matcher)
    assert found(reader) == before
    with pytest.warns(UserWarning, match="cleanup_older_than"):
        index.optimize(timedelta(0))
    assert index.info()["versions"] == 1
    assert index.info()["fragments"] == 1
    assert found(index) == before
    assert found(reader) == before
    assert index.verify() == []


def test_rebuilding_with_another_model(index: SceneGraphIndex) -> None:
    index.add(world("dev"), {world("dev").image_ids[0]: {"year": 1999}})
    other = small_matcher(seed=1)
    old = SceneGraphIndex.open(index.uri, index.matcher)
    before = found(old)
    with pytest.raises(ValueError, match="is not known: give the images"):
        SceneGraphIndex.rebuild(index.uri, other)
    again = SceneGraphIndex.rebuild(index.uri, other, world())
    assert found(again) == found(fresh_index(index.uri + "2", other))
    assert SceneGraphIndex.open(index.uri, other).ids == world().image_ids
    assert before
    with pytest.raises(ValueError, match="built with the model"):
        old.search(TEXT)


def fresh_index(uri: str, matcher) -> SceneGraphIndex:
    index = SceneGraphIndex.create(uri, matcher)
    index.add(world())
    return index


def test_exports(index: SceneGraphIndex, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    assert index.export(tmp_path / "a.npz") == 12
    arrays = np.load(tmp_path / "a.npz")
    assert arrays["ids"].tolist() == index.ids
    expected: Any = index.matcher.encode_images(world()).encoding
    assert arrays["objects.ptr"].tolist() == expected.objects.ptr.tolist()
    torch.testing.assert_close(
        torch.from_numpy(arrays["objects"]).float(), expected.objects.x, atol=1e-3, rtol=1e-3
    )
    assert index.export(tmp_path / "a.parquet") == 12
    rows = pq.read_table(tmp_path / "a.parquet")
    assert rows["id"].to_pylist() == index.ids
    assert np.array(rows["objects"][0].as_py()).shape == (int(expected.objects.sizes[0]), 8)
    with pytest.raises(ValueError, match="expected a file"):
        index.export(tmp_path / "a.csv")


def test_one_line_of_a_store_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYG_SGM_CACHE", str(tmp_path / "cache"))
    uri = f"file://{tmp_path}/far.idx"
    index = SceneGraphIndex.create(uri, small_matcher())
    index.add(world())
    before = found(index)
    monkeypatch.setenv("PYG_SGM_CACHE", str(tmp_path / "another"))
    assert found(SceneGraphIndex.open(uri, index.matcher)) == before


def test_importing_needs_no_lancedb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(ImportError, match=r"pip install pyg_sgm\[index\]"):
        LanceStore(tmp_path)
