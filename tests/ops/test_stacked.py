"""Stacked cross attention against a loop over nodes."""

import math

import pytest
import torch
from torch import Tensor

from pyg_sgm.ops import Packed, l2_normalize, stacked_attention, stacked_weights
from tests.helpers.packed import ragged

X_SIZES, Y_SIZES = [3, 0, 5, 1], [2, 4, 0]


def graphs(sizes: list[int], seed: int) -> Packed:
    x, ptr = ragged(sizes, 4, seed)
    return Packed(l2_normalize(x), ptr)


def reference(query: Tensor, other: Tensor, pooling: str, sharp: float, pool_sharp: float) -> float:
    if not len(query) or not len(other):
        return 0.0
    s = (query @ other.t()).tolist()
    norm = [math.sqrt(sum(max(row[r], 0.0) ** 2 for row in s)) for r in range(len(other))]
    relevance = []
    for q, row in zip(query, s, strict=True):
        share = [max(v, 0.0) / n if n else 0.0 for v, n in zip(row, norm, strict=True)]
        weights = [math.exp(sharp * v) for v in share]
        seen = sum(w * r for w, r in zip(weights, other, strict=True)) / sum(weights)
        relevance.append(float(q @ seen / seen.norm()))
    if pooling == "average":
        return sum(relevance) / len(relevance)
    return math.log(sum(math.exp(pool_sharp * r) for r in relevance)) / pool_sharp


@pytest.mark.parametrize("block", [2**23, 1])
@pytest.mark.parametrize("pooling", ["average", "lse"])
def test_equals_reference(pooling: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyg_sgm.ops._stacked.BLOCK", block)
    x, y = graphs(X_SIZES, 0), graphs(Y_SIZES, 1)
    out = stacked_attention(x, y, 4.0, pooling, 5.0)  # type: ignore[arg-type]
    for i in range(len(X_SIZES)):
        for j in range(len(Y_SIZES)):
            a, b = x.x[x.ptr[i] : x.ptr[i + 1]], y.x[y.ptr[j] : y.ptr[j + 1]]
            expected = reference(a, b, pooling, 4.0, 5.0)
            assert float(out[i, j]) == pytest.approx(expected, abs=1e-12), (i, j)


@pytest.mark.parametrize("pooling", ["average", "lse"])
def test_gradcheck(pooling: str) -> None:
    x, y = graphs(X_SIZES, 0), graphs(Y_SIZES, 1)

    def score(a: Tensor, b: Tensor) -> Tensor:
        return stacked_attention(Packed(a, x.ptr), Packed(b, y.ptr), 4.0, pooling)  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(score, (x.x.requires_grad_(), y.x.requires_grad_()))


def test_no_nodes_at_all() -> None:
    none = Packed(torch.zeros(0, 4), torch.tensor([0, 0]))
    some = Packed(torch.eye(4), torch.tensor([0, 1, 4]))
    assert stacked_attention(none, some).tolist() == [[0.0, 0.0]]
    assert stacked_attention(some, none).tolist() == [[0.0], [0.0]]
    nobody = Packed(torch.zeros(0, 4), torch.tensor([0]))
    assert stacked_attention(nobody, some).shape == (0, 2)
    assert stacked_attention(some, nobody).shape == (2, 0)


def test_nodes_of_zeros_give_finite_gradients() -> None:
    x = torch.zeros(2, 4, requires_grad=True)
    nodes = Packed(x, torch.tensor([0, 2]))
    for other in (nodes, Packed(torch.eye(4), torch.tensor([0, 4]))):
        scores = stacked_attention(nodes, other)
        (grad,) = torch.autograd.grad(scores.sum(), x)
        assert scores.isfinite().all()
        assert grad.isfinite().all()


def test_weights_are_what_the_similarity_is_made_of() -> None:
    x, y = graphs([3], 0), graphs([4], 1)
    weights = stacked_weights(x.x, y.x, 4.0)
    torch.testing.assert_close(weights.sum(1), torch.ones(3, dtype=weights.dtype))
    cosine = torch.cosine_similarity(x.x, weights @ y.x, dim=1)
    scores = stacked_attention(x, y, 4.0, "average")
    torch.testing.assert_close(cosine.mean(), scores[0, 0])
