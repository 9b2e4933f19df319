"""Fine-tuning of a backbone from pixels, on a tiny one."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from pyg_sgm.data import image_record, text_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.training import finetune
from pyg_sgm.training.finetuning import _augmented, last_blocks
from pyg_sgm.vision.region_features import pool_batch, pool_boxes
from tests.helpers.language_model import tiny_encoder
from tests.helpers.pixels import Net, cats_and_dogs


@pytest.fixture
def photos(tmp_path: Path) -> SceneGraphDataset:
    return cats_and_dogs(tmp_path)


def test_the_last_blocks_learn(photos: SceneGraphDataset) -> None:
    net, before = Net(), Net().state_dict()
    losses: list[float] = []
    options = {"blocks": 2, "epochs": 8, "images_per_batch": 6, "size": 16, "lr": 1e-3}
    rng = torch.get_rng_state()
    finetune(net, photos, tiny_encoder(), **options, progress=lambda *step: losses.append(step[2]))
    assert torch.equal(torch.get_rng_state(), rng)
    assert sum(losses[-4:]) < sum(losses[:4]) - 0.2
    changed = {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    expected = {"blocks.1", "blocks.2", "head"}
    assert {name.rpartition(".")[0] for name in changed} == expected
    assert not any(parameter.requires_grad for parameter in net.parameters())
    again = Net()
    finetune(again, photos, tiny_encoder(), **options)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in net.state_dict().items())


def test_mirrored_boxes_see_the_same() -> None:
    """A mean over a box is that of the mirrored box in the mirrored photo."""
    torch.manual_seed(1)
    pixels = torch.rand(8, 3, 8, 8) * 100 + 60  # far from what is clipped
    box = torch.tensor([[0, 0, 0.5, 1], [0.25, 0.5, 0.75, 1], [0.1, 0.2, 0.3, 0.9]]).repeat(8, 1)
    image = torch.arange(8).repeat_interleave(3)
    other, moved = _augmented(pixels, box, image)
    mirrored = ~torch.isclose(moved, box).all(dim=1).view(8, 3)[:, 0]
    assert 0 < mirrored.sum() < 8
    seen, known = pool_batch(other, moved, image), pool_batch(pixels, box, image)
    # Brightness and contrast are one line for all boxes of a photo.
    for i in range(8):
        rows = image == i
        slope = (seen[rows].diff(dim=0) / known[rows].diff(dim=0)).flatten()
        assert torch.allclose(slope, slope[:1].expand_as(slope), rtol=1e-3)
        assert 0.8 <= slope[0] <= 1.2
        assert torch.allclose(other[i].mean() / pixels[i].mean(), torch.ones(()), atol=0.2001)


def test_pooling_of_a_batch_is_that_of_each() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 5, 4, 6, generator=generator, dtype=torch.double, requires_grad=True)
    low = torch.rand(7, 2, generator=generator) * 0.6
    boxes = torch.cat([low, low + 0.05 + 0.3 * torch.rand(7, 2, generator=generator)], dim=1)
    image = torch.tensor([0, 2, 2, 1, 0, 2, 2])
    pooled = pool_batch(maps, boxes, image)
    each = [pool_boxes(maps[i], boxes[n : n + 1]) for n, i in enumerate(image)]
    assert torch.allclose(pooled, torch.cat(each))
    assert torch.autograd.gradcheck(lambda x: pool_batch(x, boxes, image), maps)


def test_a_loss_that_is_none_is_told(photos: SceneGraphDataset) -> None:
    options = {"blocks": 2, "epochs": 2, "images_per_batch": 6, "size": 16}
    with pytest.raises(ValueError, match=r"step \d+: loss .* norm of its gradient .*: lower lr"):
        finetune(Net(), photos, tiny_encoder(), **options, lr=1e30)
    for wrong in ({"lr": -1.0}, {"lr": math.nan}, {"weight_decay": -1.0}, {"size": 0}):
        with pytest.raises(ValueError, match="expected"):
            finetune(Net(), photos, tiny_encoder(), **(options | wrong))


def test_what_cannot_be_trained_is_told(photos: SceneGraphDataset) -> None:
    with pytest.raises(ValueError, match=r"an epoch and two photos in a batch.*epochs 0"):
        finetune(Net(), photos, tiny_encoder(), epochs=0)
    with pytest.raises(ValueError, match="blocks: expected 1 to 3 of this backbone, got 4"):
        last_blocks(Net(), 4)
    with pytest.raises(ValueError, match="blocks: expected 1 to 0"):
        last_blocks(nn.Conv2d(3, 4, 1), 1)
    for image, lack in (
        (image_record(["dog"], [[0, 0, 1, 1]], id="x"), "file"),
        (image_record(["dog"], id="x", file="x.png"), "boxes"),
    ):
        broken = SceneGraphDataset([image], [text_record("a dog")], [0])
        with pytest.raises(ValueError, match=f"image 'x' has no {lack}"):
            finetune(Net(), broken, tiny_encoder())
