"""Encoded images on the disk."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pyg_sgm.data import ImageRecord
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.retrieval import EncodedImages, SceneGraphMatcher
from pyg_sgm.training import Recipe

MODELS: dict[str, dict[str, Any]] = {
    "sgm": {"dim": 16, "hidden": 16, "embed": 8, "bidirectional": True, "weigh_nodes": True,
            "global_dim": 4},
    "hoad": {"dim": 16, "hidden": 16, "embed": 8, "num_perspectives": 4},
    "vse": {"dim": 16, "embed": 8},
    "pvse": {"dim": 16, "embed": 8},
}  # fmt: skip
ENDINGS = (".safetensors", ".npz", ".parquet")


def world() -> SceneWorld:
    return SceneWorld("train", num_images=8, captions_per_image=2, feature_dim=0)


def trained(model: str = "sgm", lr: float = 1e-3) -> SceneGraphMatcher:
    matcher = SceneGraphMatcher(model, **MODELS[model])
    return matcher.fit(world(), recipe=Recipe(epochs=1, lr=lr), progress=False)


@pytest.fixture(scope="module")
def matcher() -> SceneGraphMatcher:
    return trained()


def written(path: Path, images: EncodedImages) -> Path:
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
    images.save(path)
    return path


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_is_read(model: str, ending: str, tmp_path: Path) -> None:
    matcher, data = trained(model), world()
    images = matcher.encode_images(data)
    again = EncodedImages.load(written(tmp_path / f"a{ending}", images), matcher)
    assert list(again.ids) == list(images.ids)
    assert torch.equal(matcher.score(again, data), matcher.score(images, data))


def test_of_a_model_with_a_query_bank(tmp_path: Path) -> None:
    matcher = SceneGraphMatcher("vse", **MODELS["vse"])
    matcher.fit(world(), recipe=Recipe(epochs=1, query_bank=4), progress=False)
    images = matcher.encode_images(world())
    again = EncodedImages.load(written(tmp_path / "a.npz", images), matcher)
    assert torch.equal(matcher.score(again, world()), matcher.score(images, world()))


@pytest.mark.parametrize("ending", ENDINGS)
def test_half_precision_and_unread_images(
    matcher: SceneGraphMatcher, ending: str, tmp_path: Path
) -> None:
    """A Parquet file has no rows of images that could not be read."""
    some = [*world().images[:2], ImageRecord("unread", (), has_graph=False), world().images[2]]
    images = matcher.encode_images(some)
    half = EncodedImages(
        images.ids, images.encoding.to(torch.float16), images.known, images.fingerprint
    )
    again = EncodedImages.load(written(tmp_path / f"a{ending}", half), matcher)
    scores, expected = matcher.score(again, "a dog"), matcher.score(images, "a dog")
    if ending == ".parquet":
        expected = expected[images.known]
        assert "unread" not in again.ids
    assert torch.equal(scores.isinf(), expected.isinf())
    torch.testing.assert_close(scores, expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("ending", ENDINGS)
def test_bfloat16(matcher: SceneGraphMatcher, ending: str, tmp_path: Path) -> None:
    images = matcher.encode_images(world())
    short = replace(images, encoding=images.encoding.to(torch.bfloat16))
    again = EncodedImages.load(written(tmp_path / f"a{ending}", short), matcher)
    expected = replace(images, encoding=short.encoding.to(torch.float32))
    assert torch.equal(matcher.score(again, "a dog"), matcher.score(expected, "a dog"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_another_model_is_refused(matcher: SceneGraphMatcher, ending: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"a{ending}", matcher.encode_images(world()))
    with pytest.raises(ValueError, match=rf"a{ending}: fingerprint: .* by another model"):
        EncodedImages.load(path, trained(lr=0.02))


@pytest.mark.parametrize("ending", ENDINGS)
def test_cut_files(matcher: SceneGraphMatcher, ending: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"a{ending}", matcher.encode_images(world()))
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=f"a{ending}: "):
            EncodedImages.load(path, matcher)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objects": None}, "objects.ptr: this is no field"),
        ({"more": np.zeros(8, np.float32)}, "more: this is no field of SGMEncoding"),
        ({"objects.ptr": np.array([0, 9999])}, r"objects\.ptr: not the boundaries"),
        ({"summary": np.full((8, 4), np.nan, np.float32)}, "summary: expected rows of finite"),
        ({"summary": np.zeros((3, 4), np.float32)}, "different numbers of images"),
        ({"known": np.array([0])}, "8 encodings for 8 images do not fit"),
        ({"known": np.arange(8) + 1}, "8 encodings for 8 images do not fit"),
        ({"ids": np.array(["a"])}, "8 encodings for 1 images do not fit"),
        ({"ids": None}, "ids: missing, or no text"),
        ({"ids": np.arange(8)}, "ids: missing, or no text"),
        ({"fingerprint": None}, "fingerprint: missing"),
        ({"ids": np.array([{}] * 8, dtype=object)}, "pickles are never read"),
        ({"summary": np.array(["x"] * 8)}, "summary: expected numbers"),
    ],
)
def test_wrong_arrays(
    matcher: SceneGraphMatcher, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = written(tmp_path / "a.npz", matcher.encode_images(world()))
    with np.load(path) as file:
        arrays = {**file, **change}
    kept = {name: value for name, value in arrays.items() if value is not None}
    np.savez(path, allow_pickle=True, **kept)
    with pytest.raises(ValueError, match=message):
        EncodedImages.load(path, matcher)


def test_wrong_names(matcher: SceneGraphMatcher, tmp_path: Path) -> None:
    images = matcher.encode_images(world())
    for call in (images.save, lambda path: EncodedImages.load(path, matcher)):
        with pytest.raises(ValueError, match=r"a\.pkl: expected a file \.safetensors"):
            call(tmp_path / "a.pkl")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_exports_of_an_index(matcher: SceneGraphMatcher, ending: str, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    from pyg_sgm.index import SceneGraphIndex

    data = world()
    index = SceneGraphIndex.create(tmp_path / "a.idx", matcher, dtype="float32")
    index.add(data, metadata={id: {"share": 0.5} for id in data.image_ids})
    index.export(tmp_path / f"a{ending}")
    again = EncodedImages.load(tmp_path / f"a{ending}", matcher)
    rows = [data.image_ids.index(id) for id in again.ids]
    torch.testing.assert_close(matcher.score(again, data), matcher.score(data, data)[rows])


def test_parquet_of_another_program(matcher: SceneGraphMatcher, tmp_path: Path) -> None:
    """Plain lists, as other stores write them, instead of lists of a fixed size."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = written(tmp_path / "a.parquet", matcher.encode_images(world()))
    table = pq.read_table(path)
    wrong = pa.table({"id": table["id"], "objects": [json.dumps([1])] * 8})
    pq.write_table(wrong.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(ValueError, match="objects: expected lists of numbers"):
        EncodedImages.load(path, matcher)


def test_an_option_that_a_later_version_adds_does_not_make_another_model(
    matcher: SceneGraphMatcher, tmp_path: Path
) -> None:
    matcher.save_pretrained(tmp_path / "saved")
    fingerprints = []
    for change in ({}, {"num_layers": None}, {"num_layers": 2}):
        again = SceneGraphMatcher.from_pretrained(tmp_path / "saved")
        assert again.model is not None
        options = {**again.model.config, **change}
        if change == {"num_layers": None}:  # as if there were none yet
            del options["num_layers"]
        again.model.config = options
        fingerprints.append(again.fingerprint)
    assert fingerprints[0] == fingerprints[1] == matcher.fingerprint != fingerprints[2]
