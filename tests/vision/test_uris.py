"""Graphs of photos at a URI, in a folder at a URI: those of the same photos on the disk."""

import shutil
from pathlib import Path

import pytest
import torch

Image = pytest.importorskip("PIL.Image")

from pyg_sgm.datasets import list_images  # noqa: E402
from pyg_sgm.io import list_files, to_path  # noqa: E402
from pyg_sgm.vision import (  # noqa: E402
    Extractor,
    Grid,
    RegionFeatures,
    extract,
    open_graphs,
    read_skipped,
)
from tests.helpers.pixels import Net, noise  # noqa: E402
from tests.helpers.stores import put_files  # noqa: E402


@pytest.fixture
def extractor() -> Extractor:
    return Extractor(Grid(2), RegionFeatures(Net(), size=32))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "far away").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for i, pixels in enumerate(noise(7)):
        Image.fromarray(pixels).save(folder / ("far away" if i % 2 else "") / f"{i}.png")
    Image.fromarray(noise(1)[0]).save(folder / ".hidden" / "9.png")
    (folder / "a.jpg").write_bytes(b"no image")
    (folder / "b.jpg").write_bytes(b"")
    (folder / "notes.md").write_text("not a photo")
    return folder


def same(found: str | Path, expected: str | Path) -> bool:
    (records, features), (others, their) = open_graphs(found), open_graphs(expected)
    every = torch.arange(len(records))
    return [repr(record) for record in records] == [repr(record) for record in others] and all(
        torch.equal(
            part.rows[part.select(every).spans.rows()],
            their[node].rows[their[node].select(every).spans.rows()],
        )
        for node, part in features.items()
    )


def test_the_same_graphs(store: str, photos: Path, extractor: Extractor, tmp_path: Path) -> None:
    put_files(photos, f"{store}/photos")
    files = list_images(f"{store}/photos")
    assert list(files) == list(list_images(photos))
    out = f"{store}/graphs.sg"
    done = extract(files, out, extractor, shard_size=3)
    assert (done.extracted, done.kept, sorted(done.skipped)) == (7, 0, ["a.jpg", "b.jpg"])
    extract(list_images(photos), tmp_path / "here.sg", extractor, shard_size=3)
    assert same(out, tmp_path / "here.sg")
    # From the files of the store alone, and once more from their copies.
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert same(out, tmp_path / "here.sg")
    assert same(out, tmp_path / "here.sg")
    skipped = read_skipped(out)
    assert "cannot identify image file" in skipped["a.jpg"]
    assert "empty file" in skipped["b.jpg"]
    assert all("photos/" in why for why in skipped.values())
    again = extract(files, out, extractor)
    assert (again.extracted, again.kept, again.skipped) == (0, 7, skipped)


def test_changed_and_deleted_photos(
    store: str, photos: Path, extractor: Extractor, tmp_path: Path
) -> None:
    put_files(photos, f"{store}/photos")
    out = f"{store}/graphs.sg"
    extract(list_images(f"{store}/photos"), out, extractor, shard_size=3)
    Image.fromarray(255 - noise(1)[0]).save(photos / "0.png")
    (to_path(f"{store}/photos") / "0.png").write_bytes((photos / "0.png").read_bytes())
    for folder in (to_path(f"{store}/photos"), photos):
        (folder / "2.png").unlink()
    done = extract(list_images(f"{store}/photos"), out, extractor, prune=True)
    assert (done.extracted, done.kept, done.removed) == (1, 5, 2)
    extract(list_images(photos), tmp_path / "here.sg", extractor)
    assert same(out, tmp_path / "here.sg")
    shards = [name for name in list_files(to_path(out)) if name[0].isdecimal()]
    assert len(shards) % 3 == 0


def test_what_is_not_there(store: str, photos: Path, extractor: Extractor) -> None:
    with pytest.raises(FileNotFoundError, match="nothing: there is no such folder of images"):
        list_images(f"{store}/nothing")
    with pytest.raises(FileNotFoundError, match=r"nothing: no folder of graphs \(graphs.json"):
        open_graphs(f"{store}/nothing")
    put_files(photos, f"{store}/photos")
    with pytest.raises(ValueError, match="photos holds files that are no graphs"):
        extract(list_images(photos), f"{store}/photos", extractor)


def test_a_shard_that_is_cut(store: str, photos: Path, extractor: Extractor) -> None:
    out = to_path(f"{store}/graphs.sg")
    extract(list_images(photos), out, extractor)  # type: ignore[arg-type]
    whole = (out / "000000.json").read_bytes()
    (out / "000000.json").write_bytes(whole[:-40])
    with pytest.raises(ValueError, match=r"graphs\.sg/000000\.json: cut short or not JSON"):
        open_graphs(out)
    (out / "000000.json").write_bytes(whole)
    feature = out / "000000.object.npy"
    feature.write_bytes(feature.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"000000\.object\.npy: cut short"):
        open_graphs(out)
