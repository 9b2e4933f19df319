"""Networks on pixels, on every device."""

import copy
from pathlib import Path

import pytest
import torch

from pyg_sgm.data import image_record
from pyg_sgm.training import finetune
from pyg_sgm.training.finetuning import last_blocks
from pyg_sgm.vision import AttributeHead, open_towers
from pyg_sgm.vision.region_features import pool_batch
from tests.helpers.devices import assert_near
from tests.helpers.language_model import tiny_encoder
from tests.helpers.pixels import Net, cats_and_dogs, noise
from tests.helpers.towers import save_towers
from tests.helpers.training import world


def test_pooling(device: torch.device) -> None:
    maps = torch.rand(2, 3, 4, 4)
    boxes = torch.tensor([[0, 0, 0.3, 1], [0.2, 0.5, 0.9, 1], [0.1, 0.1, 0.2, 0.2]])
    image = torch.tensor([1, 0, 1])
    found = pool_batch(maps.to(device), boxes.to(device), image.to(device))
    assert found.device.type == device.type
    assert_near(found, pool_batch(maps, boxes, image).double(), 1e-5)


def test_a_backbone_learns(device: torch.device, tmp_path: Path) -> None:
    net, before = Net(), copy.deepcopy(Net().state_dict())
    losses: list[float] = []
    finetune(
        net, cats_and_dogs(tmp_path), tiny_encoder(), blocks=2, epochs=8, images_per_batch=6,
        size=16, lr=1e-3, device=device, progress=lambda *step: losses.append(step[2]),
    )  # fmt: skip
    assert sum(losses[-4:]) < sum(losses[:4]) - 0.2
    assert {value.device.type for value in last_blocks(net, 2)} == {device.type}
    assert torch.equal(net.stem.weight.cpu(), before["stem.weight"])


def test_two_towers(device: torch.device, tmp_path: Path) -> None:
    save_towers(tmp_path, "CLIP")
    images, texts = noise(5), ["a dog", "a red cat"]
    expected = open_towers(f"hf:{tmp_path}")(images, texts)
    found = open_towers(f"hf:{tmp_path}").to(device)(images, texts)
    assert found.device.type == device.type
    assert_near(found, expected.double(), 1e-4)


def test_attributes(device: torch.device) -> None:
    data = world()
    labels = sorted({label for image in data.images for label in image.objects})
    head = AttributeHead(["red", "wet"], labels, torch.zeros(4), torch.ones(4))
    torch.nn.init.normal_(head.of_features.weight, generator=torch.Generator().manual_seed(0))
    images = [image_record(image.objects, id=image.id) for image in data.images]
    expected = head.name(images, data.features["object"])
    assert sum(len(image.attributes) for image in expected) > 5
    found = head.to(device).name(images, data.features["object"])
    for one, other in zip(found, expected, strict=True):
        assert one.attributes == other.attributes
        assert one.scores.get("attribute") == pytest.approx(other.scores.get("attribute"), abs=2e-4)
