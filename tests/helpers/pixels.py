"""Small photos, and a small network on them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pyg_sgm.data import image_record, text_record
from pyg_sgm.datasets import SceneGraphDataset

BOXES = [[0, 0, 1, 1], [0, 0, 0.5, 0.5]]


class Net(nn.Module):
    """A stem, three blocks and a head, always with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.stem = nn.Conv2d(3, 8, 4, stride=4)
            self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
            self.head = nn.Conv2d(8, 12, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x / 255 - 0.5)
        for block in self.blocks:
            x = x + torch.relu(block(x))
        out: torch.Tensor = self.head(x)
        return out


def noise(count: int, size: int = 16) -> list[np.ndarray]:
    """Square photos of noise."""
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (size, size, 3), np.uint8) for _ in range(count)]


def cats_and_dogs(folder: Path) -> SceneGraphDataset:
    """Noise that is bright in the upper left corner of dogs and dark there of cats."""
    Image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    images, texts = [], []
    for i in range(24):
        pixels = random.integers(60, 190, (20, 24, 3), dtype=np.uint8)
        pixels[:10, :12] = random.integers(200, 256) if i % 2 else random.integers(0, 50)
        file = folder / f"{i:02d}.png"
        Image.fromarray(pixels).save(file)
        images.append(image_record(["<unk>", "<unk>"], BOXES, id=file.name, file=file))
        words = "a dog" if i % 2 else "a cat"
        texts += [text_record(f"{words} {('man', 'horse')[n]}", id=f"{i} {n}") for n in range(2)]
    return SceneGraphDataset(images, texts, [i for i in range(24) for _ in range(2)])
