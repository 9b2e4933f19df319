"""From a folder of images to a folder of graphs."""

import json
import os
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

Image = pytest.importorskip("PIL.Image")

from pyg_sgm.io import locked  # noqa: E402
from pyg_sgm.vision import (  # noqa: E402
    Detections,
    DetectionsFile,
    Extractor,
    Grid,
    Photo,
    RegionFeatures,
    RelationHead,
    extract,
    join,
    open_extractor,
    open_graphs,
    read_skipped,
)
from pyg_sgm.vision._shards import shard_files  # noqa: E402
from pyg_sgm.vision.relations.network import RelationNetwork  # noqa: E402


class Finder:
    """Finds a person and a horse where the image's mean colours say."""

    fingerprint = "finder"
    labels = ("person", "horse")

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [self.find(photo) for photo in photos]

    def find(self, photo: Photo) -> Detections:
        x, y, count = photo.pixels.reshape(-1, 3).mean(0) / 512
        boxes = np.float32([[x, y, x + 0.4, y + 0.4], [x, y + 0.2, x + 0.4, y + 0.5]])
        n = 2 if count < 0.4 else 0
        return Detections(boxes[:n], self.labels[:n], np.float32([0.9, 0.8])[:n])


@pytest.fixture
def extractor() -> Extractor:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.ReLU())
    features = RegionFeatures(net, size=32)
    return Extractor(join(Grid(), Finder()), features, RelationHead.load())


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    files = {}
    for i in range(11):
        pixels = rng.integers(0, 256, (20 + i, 30, 3)) * rng.random(3)
        files[f"{i:02d}.png"] = folder / f"{i:02d}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(files[f"{i:02d}.png"])
    return files


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_graphs_and_features(extractor: Extractor, images: dict[str, Path], tmp_path: Path) -> None:
    summary = extract(images, tmp_path / "graphs.sg", extractor, shard_size=4)
    assert (summary.extracted, summary.kept, summary.skipped) == (11, 0, {})
    records, features = open_graphs(tmp_path / "graphs.sg")
    assert [record.id for record in records] == list(images)
    assert records[3].size == (30, 23)
    for i, record in enumerate(records):
        photo = Photo(np.asarray(Image.open(images[record.id])), (0, 0), record.id)
        (graph,) = extractor([photo])
        assert record.boxes is not None
        assert record.objects == list(graph.record.objects)
        assert np.allclose(record.boxes, graph.record.boxes, atol=1e-6)
        assert list(record.relations) == list(graph.record.relations)
        assert np.allclose(record.scores["object"], graph.record.scores["object"], atol=1e-4)
        for kind in ("object", "relation"):
            rows = features[kind].select(torch.tensor([i])).spans.rows()
            value = features[kind].rows[rows].numpy()
            assert value.dtype == np.float32
            assert (value == graph.features[kind].astype(np.float16)).all()
    assert any(record.relations for record in records)
    assert all(len(record.objects) in (10, 12) for record in records)


def test_attributes(extractor: Extractor, images: dict[str, Path], tmp_path: Path) -> None:
    def size_words(pixels: np.ndarray, boxes: np.ndarray) -> list[list[tuple[str, float]]]:
        assert (pixels.shape[1], pixels.dtype) == (30, np.uint8)
        return [[("large", float(box[2]))] if box[2] - box[0] > 0.9 else [] for box in boxes]

    named = Extractor(extractor.detector, extractor.features, None, size_words)
    for unknown in (size_words, lambda pixels, boxes: [[] for _ in boxes], partial(size_words)):
        with pytest.raises(ValueError, match="give it an attribute `fingerprint`"):
            _ = Extractor(extractor.detector, extractor.features, None, unknown).fingerprint
    size_words.fingerprint = "sizes 0.9"  # type: ignore[attr-defined]
    assert named.fingerprint["attributes"] == "sizes 0.9"
    assert named.fingerprint != Extractor(extractor.detector, extractor.features).fingerprint
    extract(images, tmp_path / "graphs.sg", named)
    for record in open_graphs(tmp_path / "graphs.sg")[0]:
        assert record.attributes == [(0, "large")]
        assert record.scores["attribute"] == [1.0]
        assert not record.relations


def test_boxes_too_small_to_be_written(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    boxes = [[0.5, 0.5, 0.5 + 4e-7, 0.6], [0.1, 0.1, 0.4, 0.4]]
    lines = [{"image": id, "boxes": boxes, "labels": ["man", "dog"]} for id in images]
    file = tmp_path / "found.jsonl"
    file.write_text("".join(json.dumps(line | {"normalized": True}) + "\n" for line in lines))
    small = Extractor(DetectionsFile(file), extractor.features)
    assert extract(images, tmp_path / "graphs.sg", small).extracted == len(images)
    records, _ = open_graphs(tmp_path / "graphs.sg")
    assert all(record.objects == ["dog"] for record in records)


class Crowd:
    """Finds five things; the labels of two are unknown to the relation head."""

    fingerprint = "crowd"
    labels = ("man", "horse", "xyzzy", "clothing")

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        boxes = [[0, 0, 0.4, 1], [0.3, 0.3, 0.9, 1], [0, 0, 0.1, 0.1], [0, 0, 0.4, 1], [0, 0, 1, 1]]
        labels = ("man", "horse", "xyzzy", "clothing", "<unk>")
        return [
            Detections(np.float32(boxes), labels, np.float32([0.9, 0.8, 0.5, 0.9, 1]))
            for _ in photos
        ]


def test_cells_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="pairs: 3: the detector names no objects"):
        open_extractor("grid:5", pairs=3)


def test_pairs_are_candidates_of_relations(extractor: Extractor, images: dict[str, Path]) -> None:
    photo = Photo(np.asarray(Image.open(images["00.png"])), (0, 0), "a")
    crowd = Extractor(Crowd(), extractor.features, extractor.relations, pairs=3)
    plain = Extractor(Crowd(), extractor.features, extractor.relations)
    assert crowd.fingerprint != plain.fingerprint
    (graph,) = crowd([photo])
    # The three most prominent: neither the region without a label nor what is worn.
    ends = [(s, o) for s, _, o in graph.record.relations]
    assert ends == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    names = {(s, o): name for s, name, o in graph.record.relations}
    scores = dict(zip(ends, graph.record.scores["relation"], strict=True))
    assert all((names[pair] == "<unk>") == (2 in pair) for pair in ends)
    assert all((scores[pair] == 0) == (2 in pair) for pair in ends)
    assert extractor.relations is not None
    boxes = graph.record.boxes
    assert boxes is not None
    (found,) = extractor.relations.relations([["man", "horse"]], [boxes[:2]], [[0.9, 0.8]])
    assert {(s, name, o): round(c, 6) for s, name, o, c in found} == {
        (s, names[s, o], o): round(scores[s, o], 6) for s, o in ((0, 1), (1, 0))
    }
    union = np.array([[0, 0, 0.9, 1]], np.float32)
    (expected,) = extractor.features([photo], [union])
    assert np.allclose(graph.features["relation"][[0, 2]], expected[[0, 0]])
    without = Extractor(Crowd(), extractor.features, pairs=2)([photo])[0]
    assert without.record.relations == [(0, "<unk>", 1), (1, "<unk>", 0)]


def test_result_does_not_depend_on_batches_and_threads(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    results = []
    for batch_size, workers in ((1, 1), (4, 3), (32, 2)):
        out = tmp_path / f"{batch_size}.sg"
        extract(images, out, extractor, batch_size=batch_size, workers=workers, shard_size=5)
        results.append(content(out))
    assert results[0] == results[1] == results[2]
    assert torch.get_num_threads() == threads


def test_going_on_after_a_kill(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(done: int, total: int) -> None:
        if done >= 7:
            raise Killed

    whole, out = tmp_path / "whole.sg", tmp_path / "graphs.sg"
    extract(images, whole, extractor, batch_size=1, shard_size=3)
    with pytest.raises(Killed):
        extract(images, out, extractor, batch_size=1, shard_size=3, progress=kill)
    (out / "000003.object.npy").write_bytes(b"half of a shard")  # never had its graphs
    seen: list[tuple[int, int]] = []
    progress = lambda done, total: seen.append((done, total))  # noqa: E731
    summary = extract(images, out, extractor, batch_size=1, shard_size=3, progress=progress)
    assert (summary.extracted, summary.kept) == (4, 7)  # none is lost but to SIGKILL
    assert (seen[0], seen[-1]) == ((7, 11), (11, 11))
    (records, x), (expected, y) = open_graphs(out), open_graphs(whole)
    assert [vars(r) | {"boxes": r.boxes.tolist()} for r in records] == [  # type: ignore[union-attr]
        vars(r) | {"boxes": r.boxes.tolist()}  # type: ignore[union-attr]
        for r in expected
    ]
    for kind in ("object", "relation"):
        rows = [ragged.rows[ragged.spans.rows()] for ragged in (x[kind], y[kind])]
        assert rows[0].equal(rows[1])
    before = content(out)
    assert extract(images, out, extractor).extracted == 0
    assert content(out) == before


def test_two_writers_do_not_meet(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole.sg", tmp_path / "graphs.sg"
    extract(images, whole, extractor, shard_size=4)
    extract({}, out, extractor)

    def twice() -> list[int]:
        with ThreadPoolExecutor(2) as pool:
            calls = [pool.submit(extract, images, out, extractor, shard_size=4) for _ in range(2)]
            return sorted(call.result().extracted for call in calls)

    with pytest.warns(UserWarning, match=r"graphs.sg: another process is writing to it; waiting"):
        assert twice() == [0, 11]
    assert content(out) == content(whole)


def test_two_at_once_leave_the_threads_of_torch(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    """However they overlap; also for threads that begin later."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    begun, first_ended = threading.Event(), threading.Event()

    def first_waits(done: int, total: int) -> None:
        if done:
            assert begun.wait(60)

    def second_waits(done: int, total: int) -> None:
        begun.set()
        if done:
            assert first_ended.wait(60)

    try:
        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(extract, images, tmp_path / "1.sg", extractor, progress=first_waits)
            two = pool.submit(extract, images, tmp_path / "2.sg", extractor, progress=second_waits)
            one.result()
            first_ended.set()
            two.result()
            assert {pool.submit(torch.get_num_threads).result() for _ in range(4)} == {3}
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_deleted_photos_are_pruned(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "graphs.sg"
    extract(images, out, extractor, shard_size=4)
    Image.new("RGB", (50, 40), (255, 0, 0)).save(images["05.png"])
    rest = {id: path for id, path in images.items() if id not in ("00.png", "09.png")}
    summary = extract(rest, out, extractor, shard_size=4)
    assert (summary.extracted, summary.others, summary.removed) == (1, 2, 0)
    assert len(open_graphs(out)[0]) == 11
    records, features = open_graphs(out)
    rows = [features[kind].rows[features[kind].spans.rows()] for kind in ("object", "relation")]
    summary = extract(rest, out, extractor, prune=True)
    assert (summary.extracted, summary.others, summary.removed) == (0, 0, 3)
    kept, after = open_graphs(out)
    assert [record.id for record in kept] == list(rest)
    assert sum(len(json.loads(path.read_text())) for path in shard_files(out)) == 9
    assert len(list(out.glob("*.npy"))) == 2 * len(shard_files(out))
    order = torch.tensor([i for i, record in enumerate(records) if record.id in rest])
    for kind, value in zip(("object", "relation"), rows, strict=True):
        old = features[kind].select(order).spans
        counts = [len(getattr(records[i], f"{kind}s")) for i in range(11)]
        keep = torch.tensor(np.repeat([r.id in rest for r in records], counts))
        assert len(old.rows()) == int(keep.sum())
        assert torch.equal(after[kind].rows[after[kind].spans.rows()], value[keep])
    before = content(out)
    assert extract(rest, out, extractor, prune=True).removed == 0
    assert content(out) == before


def test_names_that_are_not_utf8(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    line = "two\u2028lines.png"
    files = {odd: images["00.png"], line: images["01.png"]}
    for name in list(files):
        files[f"broken {name}"] = tmp_path / name
        (tmp_path / name).write_bytes(b"broken")
    out = tmp_path / "graphs.sg"
    summary = extract(files, out, extractor)
    assert sorted(summary.skipped) == sorted([f"broken {odd}", f"broken {line}"])
    assert set(read_skipped(out)) == set(summary.skipped)
    assert b"broken caf\\udce9.png" in (out / "skipped.jsonl").read_bytes()
    assert {record.id for record in open_graphs(out)[0]} == {odd, line}
    assert extract(files, out, extractor).extracted == 0


def test_files_come_by_their_ids(extractor: Extractor, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"files: expected .*by its id.*, got list"):
        extract([tmp_path / "a.png"], tmp_path / "graphs.sg", extractor)  # type: ignore[arg-type]
    assert not (tmp_path / "graphs.sg").exists()


def test_leftovers_of_a_kill_are_no_files_of_others(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "graphs.sg"
    out.mkdir()
    (out / ".graphs.json.tmp").write_text("{")
    (out / ".pyg_sgm-1-0123abcd.tmp").write_text("{")
    assert extract(images, out, extractor).extracted == 11
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds files that are no graphs"):
        extract(images, tmp_path / "other", extractor)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 7),
        ("id", None),
        ("source", None),
        ("source", ["a"]),
        ("size", [3]),
        ("size", [0, 4]),
        ("size", None),
        ("objects", None),
        ("objects", [None]),
        ("boxes", [[None] * 4]),
        ("relations", [3]),
        ("relations", [[0, "on", 99]]),
        ("attributes", [["a", "b", "c"]]),
        ("scores", None),
        ("scores", {"object": ["a"]}),
    ],
)
def test_shards_are_checked(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path, field: str, value: object
) -> None:
    out = tmp_path / "graphs.sg"
    extract(images, out, extractor)
    rows = json.loads((out / "000000.json").read_text())
    rows[2][field] = value
    (out / "000000.json").write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=r"000000.json: (image '02.png'|\[2\]): "):
        open_graphs(out)


@pytest.mark.parametrize("dim", [None, 0, -3, "6", True])
def test_headers_are_checked(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path, dim: object
) -> None:
    out = tmp_path / "graphs.sg"
    extract(images, out, extractor)
    header = json.loads((out / "graphs.json").read_text())
    (out / "graphs.json").write_text(json.dumps(header | {"dim": dim}))
    with pytest.raises(ValueError, match=r"graphs.json: dim: expected a positive number"):
        open_graphs(out)


def test_changed_and_new_files(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "graphs.sg"
    some = dict(list(images.items())[:6])
    extract(some, out, extractor)
    Image.new("RGB", (50, 40), (255, 0, 0)).save(images["02.png"])
    summary = extract(images, out, extractor)
    assert (summary.extracted, summary.kept) == (6, 5)
    records, features = open_graphs(out)
    assert [record.id for record in records] == list(images)
    assert records[2].size == (50, 40)
    rows = features["object"].select(torch.tensor([2])).spans.rows()
    red = Photo(np.full((40, 50, 3), (255, 0, 0), np.uint8), (50, 40))
    expected = extractor([red])[0].features["object"].astype(np.float16)
    assert (features["object"].rows[rows].numpy() == expected).all()


def test_copies_of_files_are_not_changed(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "graphs.sg"
    extract(images, out, extractor)
    for path in images.values():
        os.utime(path, (1, 1))
    assert extract(images, out, extractor).kept == len(images)
    # The same size and another content.
    content = bytearray(images["02.png"].read_bytes())
    content[-1] ^= 1
    images["02.png"].write_bytes(content)
    summary = extract(images, out, extractor)
    assert summary.kept == len(images) - 1


def test_nothing_to_do_waits_for_nobody(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "graphs.sg"
    extract(images, out, extractor)
    with locked(out), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert extract(images, out, extractor).kept == len(images)


def test_what_cannot_be_read_is_skipped_and_listed(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "graphs.sg"
    extract(images, out, extractor)
    images["00.png"].write_bytes(images["00.png"].read_bytes()[:90])
    images["01.png"].write_text("no image")
    images["02.png"].write_bytes(b"")
    images["03.png"].unlink()
    images |= {"new.png": images["00.png"], "tiny.png": tmp_path / "tiny.png"}
    Image.new("L", (1, 1)).save(tmp_path / "tiny.png")
    summary = extract(images, out, extractor)
    bad = ["00.png", "01.png", "02.png", "03.png", "new.png"]
    assert sorted(summary.skipped) == bad
    assert summary.extracted == 1
    lines = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == bad
    assert all(str(images[line["image"]]) in line["reason"] for line in lines)
    # A graph from when the file was whole is not given for what is broken now.
    assert {record.id for record in open_graphs(out)[0]} == set(images) - set(bad)
    # A call about other images leaves the list as it is.
    extract({"04.png": images["04.png"]}, out, extractor)
    assert len((out / "skipped.jsonl").read_text().splitlines()) == 5


def test_sizes_are_at_least_one(extractor: Extractor, tmp_path: Path) -> None:
    for sizes in ({"batch_size": 0}, {"shard_size": -1}):
        with pytest.raises(ValueError, match="at least 1"):
            extract({}, tmp_path / "graphs.sg", extractor, **sizes)
    with pytest.raises(ValueError, match="expected 1 to 2048 pixels, got 0"):
        RegionFeatures(nn.ReLU(), size=0)
    with pytest.raises(ValueError, match="expected 1 to 2048 pixels, got 8000"):
        RegionFeatures(nn.ReLU(), size=8000)


def test_a_relation_head_on_features_is_refused(extractor: Extractor) -> None:
    head = RelationHead(RelationNetwork(1, 2, feature_channels=6), [], torch.zeros(0, 100), ["on"])
    with pytest.raises(ValueError, match="needs region features"):
        Extractor(Grid(), extractor.features, head)


def test_nothing_but_broken_images(extractor: Extractor, tmp_path: Path) -> None:
    summary = extract({"a": tmp_path / "a.png"}, tmp_path / "graphs.sg", extractor)
    assert list(summary.skipped) == ["a"]
    assert open_graphs(tmp_path / "graphs.sg")[0] == []


def test_a_folder_is_of_one_extractor(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "graphs.sg"
    extract(images, out, extractor)
    other = Extractor(Grid(), extractor.features)
    assert other.fingerprint != extractor.fingerprint
    with pytest.raises(ValueError, match=r"the graphs were made with detector .*finder.*, not"):
        extract(images, out, other)


def test_folders_that_are_broken(
    extractor: Extractor, images: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match="no folder of graphs"):
        open_graphs(tmp_path / "absent")
    out = tmp_path / "graphs.sg"
    extract(images, out, extractor)
    files = content(out)
    broken = {
        "graphs.json": b'{"format": "other"}',
        "000000.json": files["000000.json"][:-50],
        "000000.object.npy": files["000000.object.npy"][:-50],
        "000000.relation.npy": b"",
        "skipped.jsonl": b"[",
    }
    for name, value in broken.items():
        (out / name).write_bytes(value)
        with pytest.raises(ValueError, match=name):
            open_graphs(out)
        (out / name).write_bytes(files[name])
    rows = json.loads(files["000000.json"])
    rows[3]["objects"].append("dog")
    (out / "000000.json").write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=r"000000.json: image '03.png'"):
        open_graphs(out)
    np.save(out / "000000.object.npy", np.zeros((3, 6), np.float16))
    (out / "000000.json").write_bytes(files["000000.json"])
    with pytest.raises(ValueError, match=r"000000.object.npy: expected \[\d+, 6\], got \[3, 6\]"):
        open_graphs(out)


def test_features_beyond_half_precision(images: dict[str, Path], tmp_path: Path) -> None:
    class Loud(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1e6

    extractor = Extractor(Grid(), RegionFeatures(Loud(), size=8))
    with pytest.raises(ValueError, match=r"image .00.png.: object features"):
        extract(images, tmp_path / "graphs.sg", extractor)
