"""A matcher and an index on every device, against the same matcher on the CPU."""

from pathlib import Path

import pytest
import torch

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.index.coarse import EXTRA
from pyg_sgm.index.header import Header
from pyg_sgm.index.rows import fields_of
from pyg_sgm.index.search import best_images, contributions, query_scores, upper_bounds
from pyg_sgm.index.segment import open_segment, write_segment
from pyg_sgm.index.snapshot import Snapshot
from pyg_sgm.models.explanation import Attention
from pyg_sgm.retrieval import EncodedImages, Query, encode_queries
from tests.helpers.devices import assert_near
from tests.helpers.indexes import SMALL, small_matcher
from tests.helpers.training import world

NAMES = pytest.mark.parametrize("name", list(SMALL))
TOLERANCE = 1e-5


def both(name: str, device: torch.device) -> tuple[SceneGraphMatcher, SceneGraphMatcher]:
    """The same matcher on the CPU and on the device."""
    return small_matcher(name).eval(), small_matcher(name).eval().to(device)


@NAMES
def test_scores(name: str, device: torch.device) -> None:
    cpu, matcher = both(name, device)
    data = world()
    expected = cpu.score(data, data)
    scores = matcher.score(data, data)
    assert scores.device.type == "cpu"
    assert_near(scores, expected.double(), TOLERANCE)
    pairs = matcher.score_pairs(data, data, data.image_of_text)
    assert_near(pairs, expected[data.image_of_text, torch.arange(len(data.texts))], TOLERANCE)
    assert matcher.fingerprint == cpu.fingerprint


@NAMES
def test_answers(name: str, device: torch.device) -> None:
    cpu, matcher = both(name, device)
    data = world()
    text, one = data.texts[0], data.select_images([2])
    for k in (1, 5):
        found, expected = (m.search_images(text, data, k) for m in (matcher, cpu))
        assert [one.id for one in found] == [one.id for one in expected]
        found, expected = (m.search_similar(one, data, k) for m in (matcher, cpu))
        assert [one.id for one in found] == [one.id for one in expected]
        found, expected = (m.search_texts(one, data, k) for m in (matcher, cpu))
        assert [one.score for one in found] == pytest.approx(
            [one.score for one in expected], abs=TOLERANCE
        )
    prior = [float(i) for i in range(len(data.images))]
    found, expected = (m.rerank(text, data, prior) for m in (matcher, cpu))
    assert [one.id for one in found] == [one.id for one in expected]
    query = Query(texts=(text,), exclude=(data.texts[5],))
    found, expected = (m.search_images(query, data, 5) for m in (matcher, cpu))
    assert [one.id for one in found] == [one.id for one in expected]


@pytest.mark.parametrize("name", ["sgm", "sgm photos"])
def test_weighed_words(name: str, device: torch.device) -> None:
    cpu, matcher = both(name, device)
    data = world()
    word = data.texts[0].objects[0]
    query = Query(texts=(data.texts[0],), weights={word: 3.0})
    found, expected = (m.search_images(query, data, 12) for m in (matcher, cpu))
    assert [one.score for one in found] == pytest.approx(
        [one.score for one in expected], abs=TOLERANCE
    )


@NAMES
def test_explanations(name: str, device: torch.device) -> None:
    cpu, matcher = both(name, device)
    data = world()
    one = data.select_images([0])
    told, expected = (m.explain(one, data.texts[0]) for m in (matcher, cpu))
    assert told.score == pytest.approx(expected.score, abs=TOLERANCE)
    if isinstance(told, Attention):
        assert_near(told.weights, expected.weights, TOLERANCE)
    else:
        assert told.levels == pytest.approx(expected.levels, abs=TOLERANCE)
        assert [m.similarity for m in told.matches] == pytest.approx(
            [m.similarity for m in expected.matches], abs=TOLERANCE
        )


@NAMES
def test_recalls_and_reranking(name: str, device: torch.device) -> None:
    cpu, matcher = both(name, device)
    data = world()
    assert matcher.evaluate(data)["rsum"] == pytest.approx(cpu.evaluate(data)["rsum"], abs=0.05)
    if name in ("vse", "pvse"):
        return  # no nodes to attend with
    for ours, expected in zip(
        matcher.evaluate_reranked(data, k=4, gamma=0.1),
        cpu.evaluate_reranked(data, k=4, gamma=0.1),
        strict=True,
    ):
        assert ours["rsum"] == pytest.approx(expected["rsum"], abs=0.05)


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_files_of_encodings(ending: str, device: torch.device, tmp_path: Path) -> None:
    cpu, matcher = both("sgm", device)
    data = world()
    matcher.encode_images(data).save(tmp_path / f"a.{ending}")
    expected = cpu.score(data, data)
    for reader in (cpu, matcher):
        images = EncodedImages.load(tmp_path / f"a.{ending}", reader)
        assert_near(reader.score(images, data), expected, TOLERANCE)


def test_calibration(device: torch.device) -> None:
    cpu, matcher = both("sgm", device)
    data = world(num_images=24)
    ours, expected = (m.calibrate(data) for m in (matcher, cpu))
    assert ours.slope == pytest.approx(expected.slope, rel=1e-2)
    assert ours.error == pytest.approx(expected.error, abs=1e-2)


def test_saved_from_the_device(device: torch.device, tmp_path: Path) -> None:
    cpu, matcher = both("sgm photos", device)
    matcher.save_pretrained(tmp_path / "saved")
    again = SceneGraphMatcher.from_pretrained(tmp_path / "saved")
    assert torch.equal(again.score(world(), world()), cpu.score(world(), world()))


@pytest.mark.parametrize("name", ["sgm", "sgm photos", "vse", "dvsa"])
def test_scan_and_search_of_an_index(name: str, device: torch.device, tmp_path: Path) -> None:
    """Segments lie on the disk, the model on the device."""
    cpu, matcher = both(name, device)
    data = world(num_images=40)
    encoding = matcher.encode_images(data).encoding.to("cpu")
    levels = cpu.saved.model.bound_levels()
    kept = fields_of(encoding, "float32")
    queries = matcher.encode_texts(data).encoding.to("cpu")
    write_segment(
        tmp_path / "s", torch.arange(40), encoding, kept, levels, queries, width=EXTRA + 6
    )
    segment = open_segment(tmp_path / "s", type(encoding))
    header = Header.__new__(Header)  # the search itself does not read it
    seen = Snapshot(
        header,
        None,
        data.image_ids,
        list(range(40)),
        torch.arange(40),
        [(segment, torch.arange(40))],
    )
    records = list(data.texts[:5])
    asked = [encode_queries(m, [Query.of(r) for r in records]) for m in (matcher, cpu)]
    models = [m.saved.model for m in (matcher, cpu)]
    bounds, expected = (upper_bounds(seen, m, q) for m, q in zip(models, asked, strict=True))
    assert bounds is not None
    assert expected is not None
    assert_near(bounds, expected, 1e-4)
    for number in range(5):
        own = [
            best_images(seen, m, q[number], 5, b[number])
            for m, q, b in zip(models, asked, (bounds, expected), strict=True)
        ]
        assert own[0].places.tolist() == own[1].places.tolist()
        assert_near(own[0].scores, own[1].scores, TOLERANCE)
        exact = query_scores(seen, models[0], asked[0][number], torch.arange(40))
        assert (exact <= bounds[number] + 1e-5).all()
        told = contributions(seen, models[0], asked[0][number], own[0].places)
        assert [sum(part.values()) for part in told] == pytest.approx(
            own[0].scores.tolist(), abs=1e-4
        )


def test_an_index_on_the_disk(device: torch.device, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    from pyg_sgm.index import SceneGraphIndex

    cpu, matcher = both("sgm photos", device)
    found = []
    for number, own in enumerate((cpu, matcher)):
        index = SceneGraphIndex.create(tmp_path / f"{number}.idx", own)
        index.add(world(num_images=30))
        hits = index.search(world().texts[0], 5).hits
        found.append([hit.id for hit in hits])
        index.explain(world().texts[0], hits[0].id)
        query = Query(texts=(world().texts[0],), images=(index.record(hits[0].id),))
        found.append([hit.id for hit in index.search(query, 3).hits])
    assert found[:2] == found[2:]
