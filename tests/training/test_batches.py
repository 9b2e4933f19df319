import pytest
import torch

from pyg_sgm.training.batches import BatchOrder, epoch_batches
from tests.helpers.training import world

TEXTS = torch.tensor([2, 0, 1, 1, 0, 2, 2, 0, 1, 3])


@pytest.mark.parametrize("captions", [1, 2, 5])
@pytest.mark.parametrize("images", [1, 2, 3, 100])
def test_every_text_once(images: int, captions: int) -> None:
    batches = epoch_batches(TEXTS, images, captions, seed=1, epoch=4)
    assert sorted(torch.cat(batches).tolist()) == list(range(10))


def test_groups_are_of_one_image() -> None:
    for batch in epoch_batches(TEXTS, 1, 2, seed=0, epoch=0):
        assert len(TEXTS[batch].unique()) == 1
        assert len(batch) <= 2


def test_batches_are_of_nearly_one_size() -> None:
    image_of_text = torch.arange(811).repeat_interleave(5)
    batches = epoch_batches(image_of_text, 64, 5, seed=0, epoch=0)
    assert {len(batch) for batch in batches} == {310, 315}
    assert all(len(image_of_text[batch].unique()) * 5 == len(batch) for batch in batches)


@pytest.mark.parametrize("images", [2, 3, 4])
@pytest.mark.parametrize("count", range(2, 12))
def test_no_image_is_alone(count: int, images: int) -> None:
    assert min(map(len, epoch_batches(torch.arange(count), images, 5, seed=0, epoch=0))) >= 2


def test_pure_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        torch.randperm(3)  # other random numbers are of no influence
        return torch.cat(epoch_batches(TEXTS, 2, 1, seed, epoch)).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_number_of_batches_is_that_of_any_epoch() -> None:
    counts = {len(epoch_batches(TEXTS, 2, 2, seed=0, epoch=epoch)) for epoch in range(20)}
    assert len(counts) == 1


def test_ranks_share_each_batch() -> None:
    graphs = world().encode(world().vocabularies())
    whole = BatchOrder(graphs, 4, 2, seed=3)
    shares = [BatchOrder(graphs, 4, 2, seed=3, rank=rank, world_size=3) for rank in range(3)]
    for order in (whole, *shares):
        order.set_epoch(5)
    for batch, *parts in zip(whole, *shares, strict=True):
        assert torch.equal(batch, torch.cat(parts))
    assert len(whole) == len(list(whole))


def test_too_many_devices() -> None:
    graphs = world().encode(world().vocabularies())
    with pytest.raises(ValueError, match="batches of 2 texts for 3 devices"):
        BatchOrder(graphs, 1, 2, seed=0, world_size=3)


def test_no_text() -> None:
    empty = world().select_images([])
    with pytest.raises(ValueError, match="no text"):
        BatchOrder(empty.encode(empty.vocabularies()), 1, 1, seed=0)
