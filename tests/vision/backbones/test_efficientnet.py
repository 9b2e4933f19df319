"""EfficientNet-lite against its formula."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyg_sgm.vision import EfficientNetLite0, EfficientNetLite2, Photo
from pyg_sgm.vision.backbones.efficientnet import EfficientNetLite
from pyg_sgm.vision.backbones.registry import class_layer, imagenet_classes


def reference(weights: dict[str, Tensor], x: Tensor, strided: set[int], count: int) -> Tensor:
    """EfficientNet-lite in float64 from the weights' names and shapes, batch norms unfolded; the
    last convolution, and an eighth of the last block but one."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            weights[f"{name}.{part}"].double().view(-1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 0.001).sqrt() * weight + bias

    def conv(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = weights[f"{name}.weight"].double()
        kernel, size = weight.shape[-1], x.shape[-1]
        missing = max((int(np.ceil(size / stride)) - 1) * stride + kernel - size, 0)
        before = missing // 2
        x = nn.functional.pad(x, (before, missing - before) * 2)
        return nn.functional.conv2d(x, weight, stride=stride, groups=groups)

    x = norm(conv((x.double() - 127) / 128, "_conv_stem", 2), "_bn0").clamp(0, 6)
    for i in range(count):
        late = x  # at the end, what the last block sees
        block, inside = f"_blocks.{i}", x
        if i:
            inside = norm(conv(x, f"{block}._expand_conv"), f"{block}._bn0").clamp(0, 6)
        inside = conv(inside, f"{block}._depthwise_conv", 2 if i in strided else 1, inside.shape[1])
        inside = norm(inside, f"{block}._bn1").clamp(0, 6)
        inside = norm(conv(inside, f"{block}._project_conv"), f"{block}._bn2")
        x = x + inside if x.shape == inside.shape else inside
    return torch.cat([norm(conv(x, "_conv_head"), "_bn1").clamp(0, 6), late / 8], dim=1)


@pytest.mark.parametrize(
    ("net", "strided", "count", "channels"),
    [(EfficientNetLite0, {1, 3, 5, 11}, 16, 1472), (EfficientNetLite2, {1, 4, 7, 15}, 21, 1488)],
)
def test_pretrained_weights(
    net: type[EfficientNetLite], strided: set[int], count: int, channels: int
) -> None:
    package = pytest.importorskip(net.package)
    path = getattr(package, net.model_file).get_model_file_path()
    weights = torch.load(path, weights_only=True)
    x = torch.rand(1, 3, 70, 70) * 255
    with torch.inference_mode():
        out = net.pretrained()(x)
        expected = reference(weights, x, strided, count)
    assert out.shape == (1, channels, 3, 3)
    assert torch.allclose(out.double(), expected, atol=1e-3)
    assert float(expected.std()) > 0.1


@pytest.mark.parametrize(("net", "at"), [(EfficientNetLite0, 11), (EfficientNetLite2, 15)])
def test_a_stage_more(net: type[EfficientNetLite], at: int) -> None:
    torch.manual_seed(0)
    wide = net(middle=True).eval()  # type: ignore[call-arg]
    plain = net().eval()  # type: ignore[call-arg]
    plain.load_state_dict(wide.state_dict())
    x = torch.rand(1, 3, 70, 70) * 255
    seen = []
    wide.blocks[at - 1].register_forward_hook(lambda *arguments: seen.append(arguments[2]))
    with torch.inference_mode():
        out, expected = wide(x), plain(x)
    assert out.shape[1] == wide.dim == plain.dim + seen[0].shape[1]
    assert torch.equal(out[:, : plain.dim], expected)
    assert seen[0].shape[2:] == (5, 5)
    assert torch.allclose(out[0, plain.dim :, 1, 1], seen[0][0, :, 2:4, 2:4].mean((1, 2)) / 8)


def test_classes_of_networks() -> None:
    names = imagenet_classes()
    assert len(names) == 1000
    assert [names[0], names[207], names[999]] == ["tench", "golden retriever", "toilet tissue"]
    with pytest.raises(ValueError, match="backbone 'efficientnet_lite0\\+hf:other': of"):
        class_layer("efficientnet_lite0+hf:other")
    nets = [EfficientNetLite0, EfficientNetLite2]
    packages = [pytest.importorskip(net.package) for net in nets]
    weight, bias = class_layer("efficientnet_lite0_middle+efficientnet_lite2")
    pooled, logits = [], []
    for net, package, middle in zip(nets, packages, (True, False), strict=True):
        path = getattr(package, net.model_file).get_model_file_path()
        weights = torch.load(path, weights_only=True)
        with torch.inference_mode():
            out = net.pretrained(middle=middle)(torch.rand(1, 3, 64, 64) * 255).mean((2, 3))
        pooled.append(out)
        logits.append(F.linear(out[:, :1280], weights["_fc.weight"], weights["_fc.bias"]))
    found = F.linear(torch.cat(pooled, dim=1), weight, bias)
    torch.testing.assert_close(found, (logits[0] + logits[1]) / 2)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"_conv_stem.weight": torch.zeros(1)}, tmp_path / "other.pth")
    torch.save(Photo, tmp_path / "pickle.pth")
    for name in ("text", "other", "pickle"):
        with pytest.raises(ValueError, match=rf"{name}.pth: no weights of EfficientNet-lite0"):
            EfficientNetLite0.pretrained(tmp_path / f"{name}.pth")
    with pytest.raises(FileNotFoundError):
        EfficientNetLite0.pretrained(tmp_path / "absent.pth")
