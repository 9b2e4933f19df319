"""Photos from files to answers: made graphs, encoded, written, found."""

from pathlib import Path

import pytest
import torch

pytest.importorskip("PIL.Image")
pytest.importorskip("lancedb")

from pyg_sgm.index import SceneGraphIndex
from pyg_sgm.index.writing import EXTRACTING
from pyg_sgm.retrieval import Query, SceneGraphMatcher
from tests.helpers.service import draw_photo, photo_index


@pytest.fixture
def index(tmp_path: Path) -> SceneGraphIndex:
    return photo_index(tmp_path)


def test_photos_that_are_new_changed_or_broken(index: SceneGraphIndex, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    draw_photo(photos / "new.png", "white", "black")
    draw_photo(photos / "3.png", "black", "white")
    (photos / "broken.png").write_bytes((photos / "4.png").read_bytes()[:50])
    scored = {hit.id: hit.score for hit in index.search("a red ball", 12).hits}
    with pytest.warns(UserWarning, match="1 of 14 images"):
        done = index.add(photos)
    assert (done.added, done.replaced, done.unchanged) == (1, 1, 11)
    assert "cut short" in done.skipped["broken.png"]
    with pytest.warns(UserWarning, match="1 of 14 images"):  # there is nothing else to do
        again = index.add(photos)
    assert (again.added, again.replaced, again.unchanged) == (0, 0, 13)
    assert again.skipped == done.skipped
    with pytest.raises(ValueError, match="cut short"):
        index.add(photos / "broken.png")
    assert len(index) == 13
    assert "broken.png" not in index
    new = {hit.id: hit.score for hit in index.search("a red ball", 13).hits}
    assert {id for id in scored if abs(new[id] - scored[id]) > 1e-5} == {"3.png"}
    assert not (Path(index.uri) / EXTRACTING).exists()
    assert index.verify() == []

    # The row is what the extractor says of the file.
    record = index.record("new.png")
    assert record.file == photos / "new.png"
    assert {"ball", "box"} <= set(record.objects)
    matcher = index.matcher
    scores = matcher.score([photos / "new.png"], ["a white ball on a black box"])
    found = {hit.id: hit for hit in index.search("a white ball on a black box", 13).hits}
    assert found["new.png"].score == pytest.approx(float(scores), abs=5e-3)

    # A photo is most like itself, whether it is a file or a row.
    best = index.search(Query(images=(photos / "new.png",)), 1).hits[0]
    assert best.id == "new.png"


def test_photos_that_were_moved(index: SceneGraphIndex, tmp_path: Path) -> None:
    before = index.search("a red ball", 12).hits
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    done = index.add(tmp_path / "elsewhere")
    assert (done.added, done.replaced, done.unchanged) == (0, 12, 0)
    assert index.record("3.png").file == tmp_path / "elsewhere" / "3.png"
    hits = index.search("a red ball", 12).hits
    assert [(hit.id, hit.score, hit.metadata) for hit in hits] == [
        (hit.id, hit.score, hit.metadata) for hit in before
    ]


@pytest.mark.parametrize("shards", [None, 2])
def test_one_photo_by_two_names(index: SceneGraphIndex, tmp_path: Path, shards: int | None) -> None:
    other = SceneGraphIndex.create(tmp_path / "other.idx", index.matcher, shards=shards)
    other.add(tmp_path / "photos")
    with pytest.warns(UserWarning, match=r"1 photo in the index by another name too.*'3.png'"):
        other.add(tmp_path / "photos" / "3.png")


@pytest.mark.parametrize("shards", [None, 2])
def test_a_rebuild_says_what_is_lost(
    index: SceneGraphIndex, tmp_path: Path, shards: int | None
) -> None:
    other = SceneGraphIndex.create(tmp_path / "other.idx", index.matcher, shards=shards)
    other.add(tmp_path / "photos")
    (tmp_path / "photos" / "3.png").unlink()
    matcher = SceneGraphMatcher._of(index.matcher.saved)
    matcher.extractor = index.matcher.extractor
    with torch.no_grad():
        next(matcher.model.parameters()).mul_(2)
    with pytest.warns(UserWarning, match="cannot be read") as caught:
        assert len(SceneGraphIndex.rebuild(other.uri, matcher)) == 11
    told = "1 photo whose files cannot be read left out of the index: '3.png'"
    assert told in [str(warning.message) for warning in caught]


def test_an_index_of_photos_none_of_which_can_be_read(
    index: SceneGraphIndex, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no photo")
    for shards in (None, 2):
        empty = SceneGraphIndex.create(tmp_path / f"{shards}.idx", index.matcher, shards=shards)
        with pytest.raises(ValueError, match=r"broken.png: cut short or no image"):
            empty.add(tmp_path / "broken.png")
        assert len(empty) == 0


def test_an_addition_that_broke_off_goes_on(
    index: SceneGraphIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    for number in range(5):
        draw_photo(photos / f"new{number}.png", "red", "black")
    monkeypatch.setattr("pyg_sgm.index.adding.CHUNK", 2)

    def stop(done: int, total: int) -> None:
        if done == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.add(photos, progress=stop)
    assert len(index) == 12  # nothing of it is seen
    done = index.add(photos)
    assert (done.added, done.unchanged, len(index)) == (3, 14, 17)
