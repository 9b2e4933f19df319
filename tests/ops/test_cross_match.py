"""HOAD's operations against references node by node."""

import math

import pytest
import torch
from torch import Tensor

from pyg_sgm.nn.graph_match import block_cosine
from pyg_sgm.ops import (
    Packed,
    cross_attention,
    cross_match,
    cross_match_pairs,
    distraction,
    distraction_pairs,
    distraction_vector,
    multi_perspective_cosine,
)
from tests.helpers.packed import ragged

X_SIZES = [5, 0, 9, 1, 4, 4]
Y_SIZES = [2, 3, 0, 1]
DIM, PERSPECTIVES = 6, 3


def cosine(a: Tensor, b: Tensor) -> float:
    norm = float(a.norm() * b.norm())
    return float(a @ b) / norm if norm > 0 else 0.0


def matching_vector(own: Tensor, other: Tensor, beta: Tensor, weight: Tensor) -> Tensor:
    """Eq. 4 to 7 and 9 for one direction of one pair."""
    total = torch.zeros(len(weight), dtype=torch.float64)
    for node, share in zip(own, beta, strict=True):
        alpha = [max(cosine(node, o), 0.0) for o in other]
        if sum(alpha) == 0:
            continue
        seen = sum(a * o for a, o in zip(alpha, other, strict=True)) / sum(alpha)
        total += share * torch.tensor([cosine(w * node, w * seen) for w in weight])
    return total


def setup(dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    x, x_ptr = ragged(X_SIZES, DIM, 0)
    y, y_ptr = ragged(Y_SIZES, DIM, 1)
    x[0] = 0  # a node that attends to nothing
    generator = torch.Generator().manual_seed(2)
    rand = [torch.rand(n, generator=generator, dtype=torch.float64) for n in (len(x), len(y))]
    weights = torch.randn(2, PERSPECTIVES, DIM, generator=generator, dtype=torch.float64)
    return {
        **{"x": x.to(dtype), "x_ptr": x_ptr, "y": y.to(dtype), "y_ptr": y_ptr},
        **{"x_beta": rand[0].to(dtype), "y_beta": rand[1].to(dtype)},
        **{"x_weight": weights[0].to(dtype), "y_weight": weights[1].to(dtype)},
    }


def head(m_x: Tensor, m_y: Tensor) -> Tensor:
    weight = torch.linspace(-1, 2, 2 * PERSPECTIVES, dtype=m_x.dtype, device=m_x.device)
    return (torch.cat([m_x, m_y], -1) * weight).sum(-1).sigmoid()


def all_scores(t: dict[str, Tensor], **options: object) -> Tensor:
    x, y = Packed(t["x"], t["x_ptr"]), Packed(t["y"], t["y_ptr"])
    side = [t[name] for name in ("x_beta", "y_beta", "x_weight", "y_weight")]
    return cross_match(x, y, *side, head, **options)  # type: ignore[arg-type, call-arg]


def reference_scores(t: dict[str, Tensor]) -> Tensor:
    t = {k: v.double() if v.is_floating_point() else v for k, v in t.items()}
    scores = torch.zeros(len(X_SIZES), len(Y_SIZES), dtype=torch.float64)
    for i in range(len(X_SIZES)):
        for j in range(len(Y_SIZES)):
            a = slice(t["x_ptr"][i], t["x_ptr"][i + 1])
            b = slice(t["y_ptr"][j], t["y_ptr"][j + 1])
            m_x = matching_vector(t["x"][a], t["y"][b], t["x_beta"][a], t["x_weight"])
            m_y = matching_vector(t["y"][b], t["x"][a], t["y_beta"][b], t["y_weight"])
            scores[i, j] = head(m_x, m_y)
    return scores


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_pairs_equal_reference(dtype: torch.dtype) -> None:
    t = setup(dtype)
    torch.testing.assert_close(all_scores(t).double(), reference_scores(t), atol=1e-5, rtol=0)


def test_pairs_equal_all_pairs() -> None:
    t = setup()
    x, y = Packed(t["x"], t["x_ptr"]), Packed(t["y"], t["y_ptr"])
    x_index, y_index = torch.tensor([3, 0, 1, 5, 0]), torch.tensor([0, 1, 1, 2, 3])
    side = [t[name] for name in ("x_beta", "y_beta", "x_weight", "y_weight")]
    for attention in (True, False):
        scores = head(*cross_match_pairs(x, y, x_index, y_index, *side, attention))  # type: ignore[call-arg]
        every = all_scores(t, attention=attention)
        torch.testing.assert_close(scores, every[x_index, y_index])


def test_gradcheck() -> None:
    t = setup()
    # Away from the kinks at zero weight and at the node of zeros.
    t["x"] = t["x"] + 3.0
    names = ["x", "y", "x_beta", "y_beta", "x_weight", "y_weight"]
    inputs = [t[name].requires_grad_() for name in names]

    def score(*values: Tensor) -> Tensor:
        return all_scores({**t, **dict(zip(names, values, strict=True))})

    assert torch.autograd.gradcheck(score, inputs)


def test_without_attention_is_the_mean() -> None:
    t = setup()
    x, y = Packed(t["x"], t["x_ptr"]), Packed(t["y"], t["y_ptr"])
    side = [t[name] for name in ("x_beta", "y_beta", "x_weight", "y_weight")]
    index = torch.tensor([2]), torch.tensor([1])
    m_x, _ = cross_match_pairs(x, y, *index, *side, attention=False)
    nodes, seen = t["x"][5:14], t["y"][2:5].mean(0)
    expected = torch.zeros(PERSPECTIVES, dtype=torch.float64)
    for node, share in zip(nodes, t["x_beta"][5:14], strict=True):
        expected += share * torch.stack(
            [torch.tensor(cosine(w * node, w * seen)) for w in t["x_weight"]]
        )
    torch.testing.assert_close(m_x[0], expected)


def test_nothing_shared_gives_finite_scores_and_gradients() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    y = torch.tensor([[-1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    ptr, share = torch.tensor([0, 2, 2]), torch.ones(2)
    weight = torch.zeros(PERSPECTIVES, 2, requires_grad=True)
    for w in (weight, torch.ones(PERSPECTIVES, 2, requires_grad=True)):
        scores = cross_match(Packed(x, ptr), Packed(y, ptr), share, share, w, w, head)
        torch.testing.assert_close(scores, torch.full((2, 2), 0.5))
        for grad in torch.autograd.grad(scores.sum(), [x, y, w]):
            assert grad.isfinite().all()


def test_attention_row_of_zeros() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0]], requires_grad=True)
    attention = cross_attention(x, torch.eye(2))
    seen = attention @ torch.eye(2)
    torch.testing.assert_close(seen, torch.tensor([[0.0, 0.0], [0.5**0.5, 0.5**0.5]]))
    multi_perspective_cosine(x, seen, torch.ones(1, 2)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("size", [1e-3, 300.0])
def test_cosines_in_float16_do_not_see_lengths(size: float) -> None:
    x, y = (size * torch.ones(1, DIM, dtype=torch.float16) for _ in range(2))
    weight = torch.ones(2, DIM, dtype=torch.float16)
    assert multi_perspective_cosine(x, y, weight).tolist() == [[1.0, 1.0]]
    assert block_cosine(x, y, 2).tolist() == [[1.0, 1.0]]


def test_distraction_equals_reference() -> None:
    x, x_ptr = ragged(X_SIZES, DIM, 0)
    y, y_ptr = ragged(Y_SIZES, DIM, 1)
    pairs = [(0, 0), (2, 1), (3, 3), (4, 0), (2, 3), (1, 0), (5, 2)]
    eps = 1e-8
    expected = []
    for i, j in pairs:
        reference, query = x[x_ptr[i] : x_ptr[i + 1]], y[y_ptr[j] : y_ptr[j + 1]]
        vector = torch.zeros(len(reference), dtype=torch.float64)
        for node in query:
            row = torch.tensor([max(cosine(node, r), 0.0) for r in reference])
            if len(row) and row.sum() > 0:
                vector += row / row.sum()
        if len(vector) and vector.sum() > 0:
            vector /= vector.sum()
        expected.append(-sum((float(v) + eps) * math.log(float(v) + eps) for v in vector))
    query_index = torch.tensor([j for _, j in pairs])
    reference_index = torch.tensor([i for i, _ in pairs])
    out = distraction_pairs(Packed(y, y_ptr), Packed(x, x_ptr), query_index, reference_index)
    torch.testing.assert_close(out, torch.tensor(expected, dtype=torch.float64))


def test_votes_of_nobody() -> None:
    vector = distraction_vector(torch.zeros(3, 4))
    assert vector.tolist() == [0, 0, 0, 0]
    assert distraction(vector).isfinite()


def test_blocks_equal_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = [torch.randint(0, high, (30,), generator=generator).tolist() for high in (12, 5)]
    sides = [Packed(*ragged(size, DIM, seed)) for seed, size in enumerate(sizes)]
    beta = [torch.rand(len(side.x), generator=generator, dtype=torch.float64) for side in sides]
    weight = torch.rand(2, PERSPECTIVES, DIM, generator=generator, dtype=torch.float64)
    whole = cross_match(*sides, *beta, *weight, head)  # type: ignore[call-arg]
    few = cross_match(*sides, *beta, *weight, head, max_memory=60_000)  # type: ignore[call-arg]
    torch.testing.assert_close(few, whole)
    with pytest.raises(ValueError, match="too small for one pair") as error:
        cross_match(*sides, *beta, *weight, head, max_memory=1000)  # type: ignore[call-arg]
    needed = int(str(error.value).split(": ")[1].split()[0])
    least = cross_match(*sides, *beta, *weight, head, max_memory=needed)  # type: ignore[call-arg]
    torch.testing.assert_close(least, whole)
    i, j = torch.randperm(30, generator=generator), torch.randperm(30, generator=generator)
    shuffled = [side.select(index) for side, index in zip(sides, (i, j), strict=True)]
    betas = [
        Packed(b[:, None], side.ptr).select(index).x[:, 0]
        for b, side, index in zip(beta, sides, (i, j), strict=True)
    ]
    scores = cross_match(*shuffled, *betas, *weight, head)  # type: ignore[call-arg]
    torch.testing.assert_close(scores, whole[i][:, j])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.02), (torch.float16, 1e-5)])
def test_half_precision_sums_in_float32(dtype: torch.dtype, tolerance: float) -> None:
    t = setup(dtype)
    scores = all_scores(t)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores.double(), reference_scores(t), atol=tolerance, rtol=0)


def test_what_many_nodes_see_is_finite_in_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of like nodes the sum grows with their number, and its square more so."""
    monkeypatch.setattr("pyg_sgm.ops._cross_match.product_dtype", lambda *_: torch.float16)
    x, x_ptr = ragged([100, 1], DIM, 0)
    y, y_ptr = ragged([60, 2], DIM, 1)
    x, y = (8 * (side + 2) for side in (x, y))
    weight = torch.rand(2, PERSPECTIVES, DIM, generator=torch.Generator().manual_seed(2)).half()
    i, j = torch.cartesian_prod(torch.arange(2), torch.arange(2)).unbind(1)

    def side(dtype: torch.dtype) -> tuple[Tensor, ...]:
        return torch.ones(len(x), dtype=dtype), torch.ones(len(y), dtype=dtype), *weight.to(dtype)

    nodes = [Packed(x.half(), x_ptr), Packed(y.half(), y_ptr)]
    scores = cross_match(*nodes, *side(torch.float16), lambda a, b: (a + b).sum(-1))  # type: ignore[call-arg]
    exact = [n.to(torch.float64) for n in nodes]
    a, b = cross_match_pairs(*exact, i, j, *side(torch.float64))  # type: ignore[call-arg]
    expected = (a + b).sum(-1).view(2, 2).float()
    torch.testing.assert_close(scores, expected, atol=0, rtol=2e-3)


@pytest.mark.parametrize(("x_sizes", "y_sizes"), [([], []), ([2], []), ([], [3]), ([0, 0], [0])])
def test_empty_collections(x_sizes: list[int], y_sizes: list[int]) -> None:
    x, y = Packed(*ragged(x_sizes, DIM, 0)), Packed(*ragged(y_sizes, DIM, 1))
    weight = torch.ones(2, PERSPECTIVES, DIM, dtype=torch.float64)
    scores = cross_match(x, y, torch.ones(len(x.x)), torch.ones(len(y.x)), *weight, head)  # type: ignore[call-arg]
    assert scores.shape == (len(x), len(y))
    assert (scores == 0.5).all()


def test_inputs_that_do_not_fit() -> None:
    graph, beta = Packed(*ragged([2, 3], DIM, 0)), torch.ones(5)
    weight = torch.ones(PERSPECTIVES, DIM)
    with pytest.raises(ValueError, match="y_beta has shape"):
        cross_match(graph, graph, beta, beta[:4], weight, weight, head)
    with pytest.raises(ValueError, match="x_weight has shape"):
        cross_match(graph, graph, beta, beta, weight[:, :2], weight, head)
    with pytest.raises(ValueError, match="several devices"):
        cross_match(graph, graph, beta.to("meta"), beta, weight, weight, head)
