"""Two towers, on small random weights."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_sgm.vision import ImageError, TwoTowers, open_towers
from tests.helpers.towers import LENGTH, MEAN, PIECES, SIZE, STD, save_towers

Image = pytest.importorskip("PIL.Image")

KINDS = pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
TEXTS = ["a dog", "a red cat and a blue dog and a cat", "cat"]  # the second is too long


def pictures(count: int, size: int = SIZE) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (size, size, 3), np.uint8) for _ in range(count)]


def features(net: nn.Module, side: str, **inputs: Tensor) -> Tensor:
    out = getattr(net, f"get_{side}_features")(**inputs)
    return out if isinstance(out, Tensor) else out.pooler_output


@KINDS
@torch.no_grad()
def test_vectors_are_those_of_the_net(tmp_path: Path, kind: str) -> None:
    net = save_towers(tmp_path, kind)
    towers = open_towers(f"hf:{tmp_path}")
    images = pictures(3)
    pixels = torch.tensor(np.stack(images)).permute(0, 3, 1, 2) / 255
    normal = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    expected = F.normalize(features(net, "image", pixel_values=normal), dim=1)
    torch.testing.assert_close(towers.encode_images(images), expected, rtol=1e-4, atol=1e-5)
    for text, found in zip(TEXTS, towers.encode_texts(TEXTS), strict=True):
        ids = [1, *[PIECES.index(word) for word in text.split()][: LENGTH - 2], 2]
        if kind == "Siglip":
            ids += [0] * (LENGTH - len(ids))  # which its tower was trained to see
        vector = F.normalize(features(net, "text", input_ids=torch.tensor([ids])), dim=1)[0]
        torch.testing.assert_close(found, vector, rtol=1e-4, atol=1e-5, msg=text)
    scores = towers(images, TEXTS)
    assert scores.shape == (3, 3)
    vectors = towers.encode_images(images), towers.encode_texts(TEXTS)
    assert torch.allclose(scores, vectors[0] @ vectors[1].T, atol=1e-6)
    assert scores.std() > 0.01


@KINDS
def test_one_alone_is_as_among_others(tmp_path: Path, kind: str) -> None:
    save_towers(tmp_path, kind)
    towers = open_towers(f"hf:{tmp_path}")
    images, texts = pictures(35, size=20), ["a dog", "cat"] * 20
    Image.fromarray(images[34]).save(tmp_path / "last.png")
    scores = towers(images, texts)
    assert scores.shape == (35, 40)
    alone = towers([tmp_path / "last.png"], texts[39:])
    assert torch.allclose(alone, scores[34:, 39:], atol=1e-5)


def test_siglip_reads_small_letters(tmp_path: Path) -> None:
    save_towers(tmp_path, "Siglip")
    small, large = open_towers(f"hf:{tmp_path}").encode_texts(["a dog", "A Dog"])
    assert torch.equal(small, large)


def test_open_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def encode_image(self, x: Tensor) -> Tensor:
            return self.scale * x.mean(dim=(2, 3))

        def encode_text(self, tokens: Tensor) -> Tensor:
            return F.one_hot(tokens[:, 0], 3) * self.scale

    def create_model_and_transforms(name: str, pretrained: str) -> Any:
        if name != "ViT-B-32":
            raise RuntimeError(f"Model config for {name} not found")
        assert pretrained == "openai"
        return Net(), None, lambda image: torch.tensor(np.array(image)).permute(2, 0, 1) / 255

    module = ModuleType("open_clip")
    vars(module).update(
        create_model_and_transforms=create_model_and_transforms,
        get_tokenizer=lambda name: lambda texts: torch.tensor([["rgb".index(t[0])] for t in texts]),
    )
    monkeypatch.setitem(sys.modules, "open_clip", module)
    towers = open_towers("open_clip:ViT-B-32/openai")
    scores = towers([Image.new("RGB", (5, 4), color) for color in ("red", "blue")], ["r", "b"])
    assert torch.allclose(scores, torch.eye(2))
    with pytest.raises(ValueError, match="expected open_clip:MODEL/PRETRAINED"):
        open_towers("open_clip:ViT-B-32")
    with pytest.raises(ValueError, match="two towers 'open_clip:none/x': Model config for none"):
        open_towers("open_clip:none/x")


def test_names_that_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("", "hf:", "clip", "timm:net"):
        with pytest.raises(ValueError, match="expected hf:NAME or open_clip:MODEL/PRETRAINED"):
            open_towers(name)
    for package, name in (("transformers", "hf:a/net"), ("open_clip", "open_clip:ViT-B-32/x")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(ImportError, match=f"two towers '{name}' need .*pip install"):
                open_towers(name)
    pytest.importorskip("transformers")
    with pytest.raises(ValueError, match="no such folder"):
        open_towers(f"hf:{tmp_path}/none")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="two towers 'hf:"):
        open_towers(f"hf:{tmp_path}")


def test_one_tower_is_none(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save_towers(tmp_path, "CLIP")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.ViTConfig(**sizes, intermediate_size=8, image_size=16, patch_size=8)
    transformers.ViTModel(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"two towers 'hf:.*text"):
        open_towers(f"hf:{tmp_path}")


def test_a_broken_photo_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_text("no image")
    towers = TwoTowers(nn.Identity(), lambda images: torch.ones(len(images), 2), lambda texts: None)
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        towers.encode_images([tmp_path / "broken.jpg"])
