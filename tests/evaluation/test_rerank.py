"""Re-ranking by distraction against a sorted list for every query."""

import math

import pytest
import torch
from torch import Tensor

from pyg_sgm.datasets import SceneWorld
from pyg_sgm.evaluation.rerank import (
    evaluate_reranked,
    rerank,
    rerank_by_distraction,
    reranked_metrics,
    top_distractions,
)
from pyg_sgm.metrics.retrieval import metrics_of_ranks, retrieval_metrics
from pyg_sgm.models import HOAD, VSE, GraphSizes
from pyg_sgm.ops import Packed, ranks, stream_ranks

IMAGE_SIZES, TEXT_SIZES = [3, 0, 5, 1, 2], [2, 1, 0, 4]


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
def test_equals_reference(gamma: float) -> None:
    image, text = graphs(IMAGE_SIZES, 0), graphs(TEXT_SIZES, 1)
    scores = torch.rand(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    out = rerank_by_distraction(scores, image, text, k=3, gamma=gamma)
    images = [image.x[a:b] for a, b in zip(image.ptr, image.ptr[1:], strict=False)]
    texts = [text.x[a:b] for a, b in zip(text.ptr, text.ptr[1:], strict=False)]
    cases = (
        (out.image_to_text, scores, images, texts),
        (out.text_to_image.t(), scores.t(), texts, images),
    )
    for fused, first, queries, references in cases:
        for q, query in enumerate(queries):
            order = sorted(range(len(references)), key=lambda r: -float(first[q, r]))
            expected = {
                r: float(first[q, r]) + gamma * entropy(query, references[r]) for r in order[:3]
            }
            for r in order[:3]:
                assert float(fused[q, r]) == pytest.approx(expected[r])
            reranked = sorted(order[:3], key=lambda r: -expected[r]) + order[3:]
            assert fused[q].argsort(descending=True).tolist() == reranked


def test_any_attention_and_fewer_references_than_k() -> None:
    scores = torch.tensor([[0.5, 0.4]])
    out = rerank(scores, lambda query, reference: reference.float(), k=10, gamma=1.0)
    torch.testing.assert_close(out, torch.tensor([[0.5, 1.4]]))
    assert rerank(torch.zeros(0, 3), lambda query, reference: reference).shape == (0, 3)


def test_blocks_equal_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    image, text = graphs(IMAGE_SIZES, 0), graphs(TEXT_SIZES, 1)
    scores = torch.rand(5, 4, dtype=torch.float64)
    whole = rerank_by_distraction(scores, image, text)
    monkeypatch.setattr("pyg_sgm.evaluation.rerank.PAIRS_PER_BLOCK", 3)
    for a, b in zip(whole, rerank_by_distraction(scores, image, text), strict=True):
        torch.testing.assert_close(a, b)


def test_bad_input() -> None:
    image, text = graphs(IMAGE_SIZES, 0), graphs(TEXT_SIZES, 1)
    with pytest.raises(ValueError, match=r"\(4, 5\) for 5 images and 4 texts"):
        rerank_by_distraction(torch.zeros(4, 5), image, text)
    with pytest.raises(ValueError, match="NaN"):
        rerank_by_distraction(torch.full((5, 4), torch.nan), image, text)
    with pytest.raises(ValueError, match="at least 1"):
        rerank_by_distraction(torch.zeros(5, 4), image, text, k=0)


@pytest.mark.parametrize("gamma", [0.0, 0.5, -0.5])
@pytest.mark.parametrize("k", [1, 3, 10])
def test_metrics_from_the_first_are_those_of_the_matrices(k: int, gamma: float) -> None:
    image, text = graphs([3, 2, 5, 1, 2], 0), graphs([2, 1, 3, 4, 2, 1, 5], 1)
    image_of_text = torch.tensor([0, 0, 1, 2, 3, 4, 4])
    scores = torch.rand(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    ranking = stream_ranks(lambda i, t: scores[i][:, t], 5, image_of_text, k, (2, 3))
    metrics = reranked_metrics(
        ranking, top_distractions(ranking, image, text), image_of_text, gamma
    )
    both = rerank_by_distraction(scores, image, text, k, gamma)
    image_ranks, _ = ranks(both.image_to_text, image_of_text)
    _, text_ranks = ranks(both.text_to_image, image_of_text)
    assert metrics == metrics_of_ranks(image_ranks, text_ranks)


def test_a_right_one_among_equals_is_last() -> None:
    image_of_text = torch.tensor([0, 1, 2])
    ranking = stream_ranks(lambda i, t: torch.eye(3)[i][:, t], 3, image_of_text, k=3)
    even = 1 - torch.eye(3).gather(1, ranking.top_texts)
    metrics = reranked_metrics(ranking, (even, torch.zeros(3, 3)), image_of_text, gamma=1.0)
    assert (metrics["i2t"]["medr"], metrics["t2i"]["medr"]) == (3.0, 1.0)


def test_evaluation_before_and_after() -> None:
    world = SceneWorld("dev", num_images=12, captions_per_image=2, feature_dim=0)
    vocabularies = world.vocabularies()
    graphs = world.encode(vocabularies)
    sizes = GraphSizes(*(len(v) for v in vars(vocabularies).values()))
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
