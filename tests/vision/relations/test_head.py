"""The relation head: its forward pass against NumPy, properties, files and bad input."""

import math

import numpy as np
import pytest
import torch

from pyg_sgm.vision.relations.head import RelationHead
from pyg_sgm.vision.relations.network import RelationNetwork, pair_geometry

LABELS = ["man", "dog", "traffic light"]
PREDICATES = ["on", "have", "near", "wear"]


def boxes(count: int, seed: int = 0) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, 1, (count, 2, 2))
    corners.sort(axis=1)
    corners[:, 1] = np.maximum(corners[:, 1], corners[:, 0] + 1e-2).clip(max=1)
    corners[:, 0] = np.minimum(corners[:, 0], corners[:, 1] - 1e-2)
    return corners.reshape(count, 4)


@pytest.fixture
def head() -> RelationHead:
    torch.manual_seed(0)
    network = RelationNetwork(3, len(PREDICATES), vector_channels=5, channels=8).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    network.own.weight.data[0] = 0
    network.geometry_mean.uniform_(-0.5, 0.5)
    network.geometry_std.uniform_(0.5, 2)
    return RelationHead(network, LABELS, torch.randn(3, 5), PREDICATES)


def reference_geometry(a: list[float], b: list[float]) -> list[float]:
    """One pair, number by number."""
    wa, ha, wb, hb = a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1]
    dx, dy = (b[0] + b[2] - a[0] - a[2]) / 2, (b[1] + b[3] - a[1] - a[3]) / 2
    left, top = min(a[0], b[0]), min(a[1], b[1])
    width, height = max(a[2], b[2]) - left, max(a[3], b[3]) - top
    gap_x, gap_y = max(a[0], b[0]) - min(a[2], b[2]), max(a[1], b[1]) - min(a[3], b[3])
    shared = max(-gap_x, 0) * max(-gap_y, 0)
    out = [*a, *b, *map(math.log, (wa, ha, wb, hb))]
    out += [dx / wa, dy / ha, dx / wb, dy / hb, math.log(wb / wa), math.log(hb / ha)]
    out += [shared / (wa * ha), shared / (wb * hb), shared / (wa * ha + wb * hb - shared)]
    for box in (a, b):
        out += [(box[0] - left) / width, (box[1] - top) / height]
        out += [(box[2] - left) / width, (box[3] - top) / height]
    return [*out, math.log(width), math.log(height), gap_x / width, gap_y / height]


def reference_forward(network: RelationNetwork, x: np.ndarray, y: np.ndarray, pair: list) -> tuple:
    """Logits of one pair: embeddings of subject and object, boxes."""
    w = {name: value.double().numpy() for name, value in network.state_dict().items()}

    def linear(name: str, value: np.ndarray) -> np.ndarray:
        return w[f"{name}.weight"] @ value + w[f"{name}.bias"]

    p = np.concatenate([x, y, linear("first", x) * linear("second", y)])
    g = (np.array(reference_geometry(*pair)) - w["geometry_mean"]) / w["geometry_std"]
    g = np.maximum(linear("geometry", np.clip(g, -5, 5)), 0)
    h = linear("pair", p) + linear("place", g)
    h = (h - h.mean()) / np.sqrt(h.var() + 1e-5) * w["norm.weight"] + w["norm.bias"]
    h = np.maximum(linear("hidden", np.maximum(h, 0)), 0)
    out = linear("out", h) + linear("usual", p)
    return out[:-1], out[-1]


def test_geometry():
    a, b = boxes(20), boxes(20, seed=1)
    expected = [reference_geometry(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_allclose(pair_geometry(torch.tensor(a), torch.tensor(b)), expected)


def test_forward(head):
    network = head.network.double()
    box = boxes(4)
    label = torch.tensor([1, 2, 0, 1])
    vector = torch.randn(4, 5, dtype=torch.double)
    subject, other = torch.tensor([0, 1, 3, 2]), torch.tensor([1, 0, 2, 0])
    with torch.no_grad():
        x = network.embed(label, vector)
        logits, related = network(x, torch.tensor(box), subject, other)
        own = network.vector(vector)[2]
    np.testing.assert_allclose(x[2], own)  # label 0 has no vector of its own
    for row, (s, o) in enumerate(zip(subject, other, strict=True)):
        pair = [box[s].tolist(), box[o].tolist()]
        expected = reference_forward(network, x[s].numpy(), x[o].numpy(), pair)
        np.testing.assert_allclose(logits[row], expected[0])
        np.testing.assert_allclose(related[row], expected[1])


def test_relations_are_the_best_pairs(head):
    names, box = ["man", "dog", "<unk>", "Traffic_Light", "man"], boxes(5)
    scores = np.array([0.9, 0.5, 1.0, 0.8, 0.3])
    pairs = head.pair_scores([names], [box])
    expected = sorted(
        (
            -(p.max() * r * scores[s] * scores[o]).item(),
            s.item(),
            PREDICATES[int(p.argmax())],
            o.item(),
        )
        for s, o, p, r in zip(
            pairs.subject, pairs.object, pairs.predicate, pairs.related, strict=True
        )
    )
    assert len(expected) == 4 * 3  # the region without a label takes no part
    for limit in (25, 5, 1, 0):
        found = head.relations([names], [box], [scores], max_relations=limit)[0]
        assert [r[:3] for r in found] == [r[1:] for r in expected[:limit]]
        np.testing.assert_allclose([r[3] for r in found], [-r[0] for r in expected[:limit]], 1e-5)


def test_order_of_objects_and_images_does_not_matter(head, monkeypatch):
    rng = np.random.default_rng(0)
    names = [list(rng.choice([*LABELS, "<unk>", "emu"], size)) for size in (6, 0, 1, 9, 4)]
    box = [boxes(len(n), seed) for seed, n in enumerate(names)]
    together = head.relations(names, box)
    alone = [head.relations([n], [b])[0] for n, b in zip(names, box, strict=True)]
    monkeypatch.setattr("pyg_sgm.vision.relations.head._PAIRS", 7)
    for found in (alone, head.relations(names, box)):
        for a, b in zip(together, found, strict=True):
            assert [r[:3] for r in a] == [r[:3] for r in b]
            np.testing.assert_allclose([r[3] for r in a], [r[3] for r in b], rtol=1e-5)

    order = rng.permutation(9)
    moved = head.relations([[names[3][at] for at in order]], [box[3][order]])[0]
    back = [(int(order[s]), p, int(order[o])) for s, p, o, _ in moved]
    assert sorted(back) == sorted(r[:3] for r in together[3])


def test_a_file_gives_the_head_back(head, tmp_path):
    head.save(tmp_path / "head.safetensors")
    again = RelationHead.load(tmp_path / "head.safetensors")
    assert (again.labels, again.predicates) == (head.labels, head.predicates)
    assert again.fingerprint == RelationHead.load(tmp_path / "head.safetensors").fingerprint
    again.save(tmp_path / "again.safetensors")
    assert RelationHead.load(tmp_path / "again.safetensors").fingerprint == again.fingerprint
    (tmp_path / "broken.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"broken\.safetensors"):
        RelationHead.load(tmp_path / "broken.safetensors")


def test_word_vectors_teach_more_labels(head, tmp_path):
    file = tmp_path / "vectors.txt"
    rows = {"red": [1, 2, 3, 4, 5], "panda": [5, 4, 3, 2, 1], "<unk>": [1, 1, 1, 1, 1]}
    file.write_text("".join(f"{w} {' '.join(map(str, v))}\n" for w, v in rows.items()))
    more = head.extended(["red panda", "man", "gnu", "<unk>"], file)
    assert more.labels == [*LABELS, "red panda"]
    assert more.vectors[-1].tolist() == [3, 3, 3, 3, 3]
    assert more.fingerprint != head.fingerprint
    box = boxes(3)
    assert head.relations([["man", "red panda", "<unk>"]], [box]) == [[]]
    assert len(more.relations([["man", "red panda", "<unk>"]], [box])[0]) == 2
    file.write_text("panda 1 2\n")
    with pytest.raises(ValueError, match=r"vectors\.txt: expected word vectors of length 5, got 2"):
        head.extended(["panda"], file)


def test_features_change_the_answer():
    torch.manual_seed(0)
    network = RelationNetwork(4, 4, vector_channels=5, channels=8, feature_channels=6).eval()
    head = RelationHead(network, LABELS, torch.randn(3, 5), PREDICATES)
    names, box, rows = ["man", "<unk>", "dog"], boxes(3), np.random.default_rng(0).random((3, 6))
    without = head.pair_scores([names], [box]).predicate
    changed = rows.copy()
    changed[1] += 1  # of a region that takes no part
    first, second = (head.pair_scores([names], [box], [r]).predicate for r in (rows, changed))
    assert torch.equal(first, second)
    assert not torch.allclose(first, without)
    with pytest.raises(ValueError, match=r"image 0: features: expected finite \[3, 6\]"):
        head.relations([names], [box], features=[rows[:, :5]])


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([[0, 0, 1, 1]], r"image 1: boxes: expected \[2, 4\], got \[1, 4\]"),
        ([[0, 0, 1, 1], [0, 0, 0, 1]], "image 1: boxes: expected x1 < x2"),
        ([[0, 0, 1, 1], [0, 0, 20, 10]], "image 1: boxes: .* in \\[0, 1\\]"),
        ([[0, 0, 1, 1], [0, 0, math.nan, 1]], "image 1: boxes"),
    ],
)
def test_bad_boxes(head, box, message):
    with pytest.raises(ValueError, match=message):
        head.relations([[], ["man", "dog"]], [[], box])


def test_bad_lists(head):
    with pytest.raises(ValueError, match="boxes: expected one per image, 1, got 0"):
        head.relations([["man"]], [])
    with pytest.raises(ValueError, match="image 0: scores: expected 1 finite"):
        head.relations([["man"]], [boxes(1)], [[math.inf]])
    assert head.relations([], [], []) == []


def test_shipped_weights():
    head = RelationHead.load()
    box = [[0.3, 0.1, 0.6, 0.7], [0.2, 0.4, 0.8, 1.0], [0.7, 0.0, 1.0, 0.9]]
    found = head.relations([["person", "horse", "traffic light"]], [box])[0]
    assert len(found) == 6
    assert found[0][:3] in [(0, "on", 1), (0, "ride", 1)]
    confidence = [r[3] for r in found]
    assert confidence == sorted(confidence, reverse=True)
    assert all(0 < value < 1 for value in confidence)


def test_of_many_objects_the_best_are_paired(head: RelationHead) -> None:
    """In time and memory that do not grow with the square of all boxes."""
    count = 3000
    box, labels = boxes(count, seed=3), [LABELS[i % 3] for i in range(count)]
    scores = np.random.default_rng(4).permutation(count) / count
    best = np.sort(scores.argsort()[::-1][:64])
    (found,) = head.relations([labels], [box], [scores], max_relations=40)
    (alone,) = head.relations(
        [[labels[i] for i in best]], [box[best]], [scores[best]], max_relations=40
    )
    assert [(s, p, o) for s, p, o, _ in found] == [(best[s], p, best[o]) for s, p, o, _ in alone]
    (first,) = head.relations([labels], [box])  # without scores the first ones
    assert max(max(s, o) for s, _, o, _ in first) < 64
