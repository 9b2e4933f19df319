"""Networks of other libraries as maps, on small random weights."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pyg_sgm.vision import Photo, RegionFeatures
from pyg_sgm.vision.backbones import EfficientNetLite0, open_backbone, registry
from pyg_sgm.vision.backbones.others import FeatureMap
from pyg_sgm.vision.backbones.registry import full_names, save_finetuned

WHITE = Photo(np.full((8, 8, 3), 255, np.uint8), (8, 8))


def fake(monkeypatch: pytest.MonkeyPatch, name: str, **functions: Any) -> None:
    module = ModuleType(name)
    vars(module).update(functions)
    monkeypatch.setitem(sys.modules, name, module)


class Patches(nn.Module):
    """A tiny vision transformer: a class token, then the means of patches row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = SimpleNamespace(patch_size=(4, 4))
        self.pretrained_cfg = {
            "mean": (0, 0, 0),
            "std": (1, 1, 1),
            "input_size": (3, 8, 8),
            "fixed_input_size": True,
        }

    def forward_features(self, x: Tensor) -> Tensor:
        assert x.shape[-2:] == (8, 8)
        tokens = nn.functional.avg_pool2d(x, 4).flatten(2).transpose(1, 2)
        return torch.cat([torch.full_like(tokens[:, :1], 9), tokens], dim=1)


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.5, 1.0)}
        self.pretrained_cfg |= {"input_size": (3, 224, 224)}

    def forward_features(self, x: Tensor) -> Tensor:
        return x


class ChannelsLast(Convolutions):
    output_fmt = "NHWC"

    def forward_features(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


def create_model(name: str, pretrained: bool) -> nn.Module:
    models = {"net": Convolutions, "last": ChannelsLast, "vit": Patches}
    if name not in models:
        raise RuntimeError(f"Unknown model ({name})")
    return models[name]()


def test_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "timm", create_model=create_model)
    whole = [np.array([[0, 0, 1, 1]])]
    for name in ("net", "last"):
        (seen,) = RegionFeatures(f"timm:{name}", size=8)([WHITE], whole)
        assert np.allclose(seen, [[2, 1, 0.5]])
    with pytest.raises(ValueError, match="backbone 'timm:other': Unknown model"):
        RegionFeatures("timm:other")


def test_tokens_become_a_map(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "timm", create_model=create_model)
    image = torch.zeros(1, 3, 16, 16)
    image[0, 0, :8, 8:] = 255  # red, upper right
    image[0, 1, 8:, :8] = 255  # green, lower left
    out = open_backbone("timm:vit")(image)  # which resizes to 8 x 8
    assert out.shape == (1, 3, 2, 2)
    assert torch.allclose(out[0, 0], torch.tensor([[0.0, 1], [0, 0]]), atol=0.2)
    assert torch.allclose(out[0, 1], torch.tensor([[0.0, 0], [1, 0]]), atol=0.2)


def test_names_of_version_0_1(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "timm", create_model=create_model)
    with pytest.warns(DeprecationWarning, match="backbone 'net' is now 'timm:net'"):
        old = RegionFeatures("net", size=8)
    assert old.fingerprint == RegionFeatures("timm:net", size=8).fingerprint


def test_several_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "timm", create_model=create_model)
    boxes = [np.array([[0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9]])]
    photo = Photo(np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8), (7, 9))
    both, net, vit = (
        RegionFeatures(name, size=16) for name in ("timm:net+timm:vit", "timm:net", "timm:vit")
    )
    assert (both.dim, net.dim, vit.dim) == (6, 3, 3)
    expected = [np.concatenate([net([photo], boxes)[0], vit([photo], boxes)[0]], axis=1)]
    assert np.array_equal(both([photo], boxes), expected)
    assert both.fingerprint != RegionFeatures("timm:vit+timm:net", size=16).fingerprint


@pytest.mark.parametrize("kind", ["vit", "clip", "siglip", "dinov2"])
def test_transformers(tmp_path: Path, kind: str) -> None:
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"intermediate_size": 8, "image_size": 16, "patch_size": 8}
    torch.manual_seed(0)
    if kind == "vit":
        net = transformers.ViTModel(transformers.ViTConfig(**small))
    elif kind == "dinov2":
        net = transformers.Dinov2Model(transformers.Dinov2Config(**small))
    else:
        text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        text |= {"intermediate_size": 8, "vocab_size": 9, "projection_dim": 8}
        text |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
        name = {"clip": "CLIP", "siglip": "Siglip"}[kind]
        config = getattr(transformers, f"{name}Config")(vision_config=small, text_config=text)
        net = getattr(transformers, f"{name}Model")(config)
    net.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}'
    )
    backbone = open_backbone(f"hf:{tmp_path}").eval()
    image = torch.rand(1, 3, 32, 32) * 255
    with torch.inference_mode():
        out = backbone(image)
        tower = getattr(net, "vision_model", net).eval()
        pixels = (image / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor(
            [0.2, 0.3, 0.4]
        ).view(3, 1, 1)
        options = {} if kind == "dinov2" else {"interpolate_pos_encoding": True}
        tokens = tower(pixel_values=pixels, **options).last_hidden_state
    assert out.shape == (1, 8, 4, 4)
    assert tokens.shape[1] == 16 + (kind != "siglip")
    for row in range(4):
        for column in range(4):
            token = tokens[0, -16 + 4 * row + column]
            assert torch.allclose(out[0, :, row, column], token, atol=1e-4)


def test_open_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    class Visual(nn.Module):
        image_size, image_mean, image_std = (8, 8), (0.0, 0.5, 1.0), (1.0, 0.5, 1.0)

        def forward_intermediates(self, x: Tensor, **options: Any) -> dict[str, list[Tensor]]:
            assert options["normalize_intermediates"]
            return {"image_intermediates": [nn.functional.avg_pool2d(x, 4)]}

    asked = []

    def create_model(name: str, pretrained: str) -> SimpleNamespace:
        asked.append((name, pretrained))
        return SimpleNamespace(visual=Visual())

    fake(monkeypatch, "open_clip", create_model=create_model)
    out = open_backbone("open_clip:ViT-B-32/openai")(torch.full((1, 3, 16, 16), 255.0))
    assert asked == [("ViT-B-32", "openai")]
    assert torch.allclose(
        out, torch.tensor([1.0, 1, 0]).view(1, 3, 1, 1).expand(1, 3, 2, 2), atol=1e-6
    )
    monkeypatch.setattr(Visual, "image_size", 8)  # as that of a ResNet
    assert open_backbone("open_clip:RN50/openai")(torch.zeros(1, 3, 9, 9)).shape == (1, 3, 2, 2)
    with pytest.raises(ValueError, match="expected open_clip:MODEL/PRETRAINED"):
        open_backbone("open_clip:ViT-B-32")


def test_tokens_that_are_no_map() -> None:
    net = nn.Conv2d(3, 5, 8, 8)
    pooled = FeatureMap(net, lambda x: net(x).mean(dim=(2, 3))[:, None], [0.5] * 3, [0.5] * 3)
    with pytest.raises(ValueError, match="Conv2d gives 1 tokens, which are not those of 16 x 16"):
        pooled(torch.zeros(1, 3, 16, 16))


def test_a_network_on_patches_of_its_own(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"intermediate_size": 8, "num_patches": 4, "patch_size": 8}
    net = transformers.Siglip2VisionModel(transformers.Siglip2VisionConfig(**small))
    net.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ValueError, match="takes patches of its own, not pixels"):
        open_backbone(f"hf:{tmp_path}")


def test_names_that_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("", "timm:", "onnx:net", "efficientnet_lite0+"):
        with pytest.raises(ValueError, match="expected one of efficientnet_lite0"):
            RegionFeatures(name, size=8)
    (tmp_path / "config.json").write_text("{}")
    pytest.importorskip("transformers")
    with pytest.raises(ValueError, match="backbone 'hf:"):
        open_backbone(f"hf:{tmp_path}")


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, name in (
        ("timm", "timm:net"),
        ("transformers", "hf:some/net"),
        ("open_clip", "open_clip:ViT-B-32/openai"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ImportError, match=f"{name}.*pip install {package}"):
            open_backbone(name)


def test_a_finetuned_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tuned.safetensors"
    net = EfficientNetLite0().eval()
    save_finetuned(path, "efficientnet_lite0", net)
    shipped = EfficientNetLite0().eval()
    monkeypatch.setitem(registry._SHIPPED, "efficientnet_lite0", lambda: shipped)
    image = torch.rand(1, 3, 32, 32) * 255
    expected = net(image)
    assert not torch.allclose(shipped(image), expected)
    assert torch.equal(open_backbone(f"finetuned:{path}")(image), expected)
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(path.read_bytes())
    prints = [RegionFeatures(f"finetuned:{p}", size=32).fingerprint for p in (path, moved)]
    assert prints[0] == prints[1]
    assert prints[0] != RegionFeatures("efficientnet_lite0", size=32).fingerprint
    monkeypatch.chdir(tmp_path)
    assert full_names("finetuned:tuned.safetensors+timm:x") == f"finetuned:{path}+timm:x"

    fake(monkeypatch, "timm", create_model=create_model)
    save_finetuned(moved, "timm:net", Convolutions())
    with pytest.raises(ValueError, match="its weights are of 'timm:net': give it, FILE,name=timm"):
        open_backbone(f"finetuned:{moved}")
    with pytest.raises(ValueError, match="its weights are of 'timm:net'"):
        open_backbone(f"finetuned:{moved},name=timm:vit")
    with pytest.raises(ValueError, match=r"moved.safetensors': no weights of timm:net"):
        open_backbone(f"finetuned:{moved},name=timm:net")  # which has buffers of its own
    moved.write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"moved.safetensors': missing, or no fine-tuned backbone"):
        open_backbone(f"finetuned:{moved}")
