"""Re-ranking by distraction against a sorted list for every query."""

import math

import pytest
import torch
from torch import Tensor

from pyg_sgm.datasets import SceneWorld
from pyg_sgm.evaluation.rerank import (
    evaluate_reranked,
    rerank_by_distraction,
    reranked,
    top_distractions,
)
from pyg_sgm.metrics.retrieval import retrieval_metrics
from pyg_sgm.models import HOAD, VSE, GraphSizes
from pyg_sgm.ops import Packed, distraction, stream_ranks

IMAGE_SIZES, TEXT_SIZES = [3, 0, 5, 1, 2], [2, 1, 0, 4, 3]


def graphs(sizes: list[int], seed: int) -> Packed:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(sizes), 4, generator=generator, dtype=torch.float64)
    return Packed(x, torch.tensor([0, *sizes]).cumsum(0))


def entropy(query: Tensor, reference: Tensor) -> float:
    """Eq. 10 of one pair, node by node."""
    vector = [0.0] * len(reference)
    for node in query:
        row = [max(float(node @ r / (node.norm() * r.norm())), 0.0) for r in reference]
        for j, weight in enumerate(row):
            vector[j] += weight / sum(row) if sum(row) else 0.0
    total = sum(vector)
    vector = [v / total if total else 0.0 for v in vector]
    return -sum((v + 1e-8) * math.log(v + 1e-8) for v in vector)


@pytest.mark.parametrize("gamma", [0.0, 4e-3, 0.5, -0.5])
@pytest.mark.parametrize("k", [1, 3, 10])
def test_equals_reference(k: int, gamma: float) -> None:
    image, text = graphs([3, 2, 5, 1, 0], 0), graphs([2, 1, 3, 0, 2, 1, 5], 1)
    image_of_text = torch.tensor([0, 0, 1, 2, 3, 4, 4])
    scores = torch.rand(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    first = stream_ranks(lambda i, t: scores[i][:, t], 5, image_of_text, k, (2, 3))
    out = rerank_by_distraction(first, image, text, image_of_text, gamma)
    images = [image.x[a:b] for a, b in zip(image.ptr, image.ptr[1:], strict=False)]
    texts = [text.x[a:b] for a, b in zip(text.ptr, text.ptr[1:], strict=False)]
    true = [(image_of_text == i).nonzero().squeeze(1).tolist() for i in range(5)]
    cases = (
        (out.top_texts, out.top_text_scores, out.image_ranks, scores, images, texts, true),
        (
            *(out.top_images, out.top_image_scores, out.text_ranks, scores.t(), texts, images),
            image_of_text[:, None].tolist(),
        ),
    )
    for top, top_scores, ranks, matrix, queries, references, truth in cases:
        for q, query in enumerate(queries):
            order = sorted(range(len(references)), key=lambda r: -float(matrix[q, r]))
            fused = {
                r: float(matrix[q, r]) + gamma * entropy(query, references[r]) for r in order[:k]
            }
            expected = sorted(order[:k], key=lambda r: -fused[r])
            assert top[q].tolist() == expected
            assert top_scores[q].tolist() == pytest.approx([fused[r] for r in expected])
            # Another reference of the truth is no obstacle to the first.
            after = [*expected, *order[k:]]
            best = next(i for i, r in enumerate(after) if r in truth[q])
            assert int(ranks[q]) == 1 + best


def test_blocks_equal_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    image, text = graphs(IMAGE_SIZES, 0), graphs(TEXT_SIZES, 1)
    truth = torch.tensor([0, 1, 2, 3, 4])
    scores = torch.rand(5, 5, dtype=torch.float64)
    ranking = stream_ranks(lambda i, t: scores[i][:, t], 5, truth)
    whole = rerank_by_distraction(ranking, image, text, truth)
    monkeypatch.setattr("pyg_sgm.evaluation.rerank.PAIRS_PER_BLOCK", 3)
    parts = rerank_by_distraction(ranking, image, text, truth)
    for a, b in zip(vars(whole).values(), vars(parts).values(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_right_one_among_equals_is_last() -> None:
    image_of_text = torch.tensor([0, 1, 2])
    ranking = stream_ranks(lambda i, t: torch.eye(3)[i][:, t], 3, image_of_text, k=3)
    even = 1 - torch.eye(3).gather(1, ranking.top_texts)
    out = reranked(ranking, (even, torch.zeros(3, 3)), image_of_text, gamma=1.0)
    assert out.image_ranks.tolist() == [3, 3, 3]
    assert out.text_ranks.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_near(dtype: torch.dtype) -> None:
    image, text = (nodes.to(dtype) for nodes in (graphs(IMAGE_SIZES, 0), graphs(TEXT_SIZES, 1)))
    truth = torch.arange(5)
    ranking = stream_ranks(lambda i, t: torch.eye(5)[i][:, t], 5, truth)
    expected = top_distractions(ranking, image.to(torch.float64), text.to(torch.float64))
    for scores, wide in zip(top_distractions(ranking, image, text), expected, strict=True):
        torch.testing.assert_close(scores, wide.float())
    votes = torch.tensor([0.5, 0.5, 0.0], dtype=dtype)
    assert distraction(votes).item() == pytest.approx(math.log(2), abs=1e-4)


def test_nan_is_no_rank() -> None:
    ranking = stream_ranks(lambda i, t: torch.eye(3)[i][:, t], 3, torch.arange(3), k=3)
    zero = torch.zeros(3, 3)
    with pytest.raises(ValueError, match="a distraction score is NaN"):
        reranked(ranking, (zero, zero * math.nan), torch.arange(3), gamma=1.0)


def test_evaluation_before_and_after() -> None:
    world = SceneWorld("dev", num_images=12, captions_per_image=2, feature_dim=0)
    vocabularies = world.vocabularies()
    graphs = world.encode(vocabularies)
    sizes = GraphSizes.of(vocabularies)
    torch.manual_seed(0)
    model = HOAD(sizes, dim=8, hidden=8, embed=8, num_perspectives=4)
    before, after = evaluate_reranked(model, graphs, k=5, gamma=10.0)
    image = model.eval().encode_image(graphs.images.batch())
    scores = model.score(image, model.encode_text(graphs.texts.batch())).detach()
    assert before == retrieval_metrics(scores, graphs.image_of_text)
    assert after != before
    assert after["t2i"]["r5"] == before["t2i"]["r5"]  # the same five are only put in order
    assert after["i2t"]["r5"] == before["i2t"]["r5"]
    with pytest.raises(ValueError, match="k must be at least 1"):
        evaluate_reranked(model, graphs, k=0)
    with pytest.raises(ValueError, match="no nodes to attend with"):
        evaluate_reranked(VSE(sizes, dim=8, embed=8), graphs)
