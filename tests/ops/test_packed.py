"""Packed node sets."""

import pytest
import torch

from pyg_sgm.ops import Packed
from tests.helpers.packed import ragged


def test_select_and_padded_equal_slices() -> None:
    x, ptr = ragged([2, 0, 3, 1], 4, 0)
    nodes = Packed(x, ptr)
    index = torch.tensor([2, 1, 2, 0])
    taken = nodes.select(index)
    padded, mask = nodes.padded(index)
    assert padded.shape == (4, 3, 4)
    for g, i in enumerate(index.tolist()):
        expected = x[ptr[i] : ptr[i + 1]]
        assert torch.equal(taken.x[taken.ptr[g] : taken.ptr[g + 1]], expected)
        assert torch.equal(padded[g][mask[g]], expected)
        assert padded[g][~mask[g]].abs().sum() == 0
    assert nodes.batch.tolist() == [0, 0, 2, 2, 2, 3]
    assert nodes.sizes.tolist() == [2, 0, 3, 1]


def test_graphs_that_are_not_there_and_masks() -> None:
    nodes = Packed(*ragged([2, 0, 3, 1], 4, 0))
    for index in ([2, 3, 4], [4], [0, 9]):
        with pytest.raises(IndexError):
            nodes.select(torch.tensor(index))
    for mask in ([True, False, True, True], [False, True, False, False], [False] * 4):
        taken = nodes.select(torch.tensor(mask))
        expected = nodes.select(torch.tensor(mask).nonzero()[:, 0])
        assert torch.equal(taken.x, expected.x)
        assert torch.equal(taken.ptr, expected.ptr)


def test_nothing() -> None:
    nodes = Packed(torch.zeros(0, 4), torch.tensor([0]))
    assert len(nodes) == 0
    padded, mask = nodes.padded()
    assert padded.shape == (0, 0, 4)
    assert mask.shape == (0, 0)
    empty = Packed(torch.zeros(0, 4), torch.tensor([0, 0, 0]))
    assert empty.padded()[0].shape == (2, 0, 4)
    assert len(empty.select(torch.tensor([1, 0, 1]))) == 3


def test_to() -> None:
    nodes = Packed(torch.zeros(2, 4), torch.tensor([0, 2])).to(torch.float64)
    assert nodes.x.dtype == torch.float64
    assert nodes.ptr.dtype == torch.long
