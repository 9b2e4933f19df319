"""Blocks of pairs against one pair at a time."""

import pytest
import torch
from torch import Tensor

from pyg_sgm.ops import Packed, PaddedGraphs, _pair_blocks, pair_block_scores


def packed(sizes: list[int], dim: int = 3) -> Packed:
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    return Packed(torch.randn(int(ptr[-1]), dim, dtype=torch.float64, requires_grad=True), ptr)


def largest_product(x: PaddedGraphs, y: PaddedGraphs) -> Tensor:
    assert x.nodes.size(1) >= 1
    product = torch.einsum("and,bmd->abnm", x.nodes, y.nodes)
    absent = ~(x.mask[:, None, :, None] & y.mask[:, None])
    best = product.masked_fill(absent, -torch.inf).amax((2, 3))
    return best.clamp(min=-9) + 100 * x.graphs[:, None] + 10 * y.graphs


@pytest.mark.parametrize("cache", [1, 500, 2**21])
def test_of_all_pairs(cache: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pair_blocks, "CACHE", cache)
    torch.manual_seed(0)
    x, y = packed([3, 0, 1, 5, 2]), packed([2, 7, 0, 1])
    scores = pair_block_scores(largest_product, x, y, width=3)
    for i in range(5):
        for j in range(4):
            a, b = x.select(torch.tensor([i])).x, y.select(torch.tensor([j])).x
            best = (a @ b.t()).max() if len(a) and len(b) else torch.tensor(-9.0)
            assert scores[i, j].item() == pytest.approx(best.item() + 100 * i + 10 * j)
    scores.sum().backward()
    grads = [x.x.grad, y.x.grad]
    x.x.grad = y.x.grad = None
    monkeypatch.setattr(_pair_blocks, "CACHE", 2**21)
    pair_block_scores(largest_product, x, y, width=3).sum().backward()
    for grad, side in zip(grads, (x, y), strict=True):
        assert grad is not None
        torch.testing.assert_close(grad, side.x.grad)


def test_of_none() -> None:
    assert pair_block_scores(largest_product, packed([]), packed([1, 2]), 3).shape == (0, 2)
    assert pair_block_scores(largest_product, packed([1]), packed([]), 3).shape == (1, 0)
