"""Sums of layers on photos, and candidate pairs, node by node in float64."""

import math

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_sgm.nn import SceneNodes
from pyg_sgm.nn.conv import PairConv
from pyg_sgm.nn.geometry import pair_geometry

FEATURES, LABELS, OUT = 5, 3, 4
SUBJECTS, OBJECTS = [0, 1, 3, 4], [1, 0, 4, 2]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def boxes(count: int) -> torch.Tensor:
    corner = draw(count, 2, seed=9).sigmoid() / 2
    return torch.cat([corner, corner + 0.1 + draw(count, 2, seed=8).sigmoid() / 3], dim=1)


def graphs() -> HeteroData:
    batch = HeteroData()
    batch["object"].x, batch["object"].box = draw(5, FEATURES), boxes(5)
    batch["object"].ptr, batch["object"].batch = (
        torch.tensor([0, 2, 5]),
        torch.tensor([0, 0, 1, 1, 1]),
    )
    batch["relation"].x = draw(4, FEATURES, seed=1)
    batch["relation"].ptr, batch["relation"].batch = (
        torch.tensor([0, 2, 4]),
        torch.tensor([0, 0, 1, 1]),
    )
    order = torch.arange(4)
    batch["object", "subject_of", "relation"].edge_index = torch.stack(
        [torch.tensor(SUBJECTS), order]
    )
    batch["relation", "has_object", "object"].edge_index = torch.stack(
        [order, torch.tensor(OBJECTS)]
    )
    return batch


def reference_geometry(s: list[float], o: list[float]) -> list[float]:
    """From the words of the docstring, pair by pair."""

    def area(b: list[float]) -> float:
        return (b[2] - b[0]) * (b[3] - b[1])

    dx = (s[0] + s[2]) / 2 - (o[0] + o[2]) / 2
    dy = (s[1] + s[3]) / 2 - (o[1] + o[3]) / 2
    width = ((s[2] - s[0]) + (o[2] - o[0])) / 2
    height = ((s[3] - s[1]) + (o[3] - o[1])) / 2
    both = max(min(s[2], o[2]) - max(s[0], o[0]), 0) * max(min(s[3], o[3]) - max(s[1], o[1]), 0)
    values = [
        dx, dy, dx / width, dy / height, both / area(s), both / area(o),
        both / (area(s) + area(o) - both), math.log(area(s) / area(o)) / 2,
        math.sqrt(area(s)), math.sqrt(area(o)), s[3] - o[3], s[1] - o[1],
    ]  # fmt: skip
    return [min(max(value, -4.0), 4.0) for value in values]


def test_pair_geometry() -> None:
    box = boxes(5)
    found = pair_geometry(box[SUBJECTS], box[OBJECTS])
    rows = [
        reference_geometry(box[s].tolist(), box[o].tolist())
        for s, o in zip(SUBJECTS, OBJECTS, strict=True)
    ]
    torch.testing.assert_close(found, torch.tensor(rows).double())
    tiny = torch.tensor([[0.5, 0.5, 0.5 + 1e-6, 0.5 + 1e-6]])
    assert pair_geometry(tiny, box[:1].float()).isfinite().all()


def linear(weights: dict[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    return weights[f"{name}.weight"] @ x + weights.get(f"{name}.bias", 0)


def geometry(box: list[float]) -> torch.Tensor:
    x1, y1, x2, y2 = box
    return torch.tensor([*box, x2 - x1, y2 - y1, (x2 - x1) * (y2 - y1)]).double()


def test_scene_nodes_follow_their_formula() -> None:
    nodes = SceneNodes(FEATURES, LABELS, OUT).double()
    nodes.norm.running_mean.copy_(draw(FEATURES, seed=5))
    nodes.norm.running_var.copy_(draw(FEATURES, seed=6).exp())
    weights = nodes.eval().state_dict()
    batch, name, predicate = graphs(), draw(5, LABELS, seed=2), draw(4, LABELS, seed=3)
    shift = draw(5, OUT, seed=4)
    x, r, mean = nodes(batch, batch["object"].x, batch["relation"].x, name, predicate, shift)

    def standard(v: torch.Tensor) -> torch.Tensor:
        return (v - weights["norm.running_mean"]) / (weights["norm.running_var"] + 1e-5).sqrt()

    looks = [standard(v) for v in batch["object"].x]
    box = batch["object"].box.tolist()
    expected = [
        linear(weights, "lin_feature", looks[i])
        + linear(weights, "lin_geometry", geometry(box[i]))
        + linear(weights, "lin_label", name[i])
        + shift[i]
        for i in range(5)
    ]
    torch.testing.assert_close(x, torch.stack(expected))
    unit = [value / value.norm() for value in expected]
    for i, (s, o) in enumerate(zip(SUBJECTS, OBJECTS, strict=True)):
        corners = zip(box[s], box[o], (min, min, max, max), strict=True)
        union = linear(weights, "lin_feature", standard(batch["relation"].x[i])) + linear(
            weights, "lin_geometry", geometry([pick(a, b) for a, b, pick in corners])
        )
        pair = torch.tensor(reference_geometry(box[s], box[o])).double()
        scale = math.sqrt(OUT) / 4
        relation = torch.cat([union / union.norm() * scale, pair, predicate[i]])
        p = (
            linear(weights, "predicates.lin_subject", unit[s] * scale)
            + linear(weights, "predicates.lin_object", unit[o] * scale)
            + linear(weights, "predicates.lin_relation", relation)
        )
        torch.testing.assert_close(r[i], torch.cat([unit[s], p / p.norm(), unit[o]]))
    torch.testing.assert_close(mean, torch.stack([sum(looks[:2]) / 2, sum(looks[2:]) / 3]))


def test_whole_channels_of_an_image_are_dropped() -> None:
    nodes = SceneNodes(400, LABELS, OUT, channel_dropout=0.5).double()
    batch = graphs()
    *_, mean = nodes(batch, draw(5, 400), draw(4, 400, seed=1), draw(5, LABELS), draw(4, LABELS))
    gone = mean == 0
    assert gone.double().mean() == pytest.approx(0.5, abs=0.1)
    assert not torch.equal(gone[0], gone[1])
    nodes.eval()
    *_, mean = nodes(batch, draw(5, 400), draw(4, 400, seed=1), draw(5, LABELS), draw(4, LABELS))
    assert not (mean == 0).any()


def test_without_relations_and_without_boxes() -> None:
    nodes = SceneNodes(FEATURES, LABELS, OUT, relations=False).double().eval()
    batch = graphs()
    arguments = (batch["object"].x, batch["relation"].x, draw(5, LABELS), draw(4, LABELS))
    x, r, _ = nodes(batch, *arguments)
    assert x.shape == (5, OUT)
    assert r is None
    del batch["object"].box
    with pytest.raises(ValueError, match="no boxes"):
        nodes(batch, *arguments)


def test_gradients_of_pair_conv() -> None:
    conv = PairConv(3, 2, 3).double()
    order = torch.arange(4)
    edges = (
        torch.stack([torch.tensor(SUBJECTS), order]),
        torch.stack([order, torch.tensor(OBJECTS)]),
    )
    inputs = [draw(5, 3).requires_grad_(), draw(4, 2).requires_grad_()]
    assert torch.autograd.gradcheck(lambda x, r: conv(x, r, *edges), inputs)
