"""Features of regions: one pass of a backbone over the image, then the mean over each box."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyg_sgm.vision.backbones.efficientnet import EfficientNetLite0
from pyg_sgm.vision.images import Photo

DEFAULT_BACKBONE = "efficientnet-lite0"
DEFAULT_SIZE = 416


class RegionFeatures:
    """Features of boxes, from the last feature map of a network.

    Every image is resized to one square, so boxes in ``[0, 1]`` hold for the map as they are.

    Args:
        backbone: :obj:`"efficientnet-lite0"`, the name of a model of timm, or a module that maps
            pixels 0 ... 255 in RGB, ``[batch, 3, size, size]``, to features
            ``[batch, dim, height, width]``, on any device. (default: :obj:`"efficientnet-lite0"`)
        size: Side in pixels of the images that the network sees. (default: ``416``)
        dtype: What the network computes in, :obj:`"float32"` or :obj:`"bfloat16"`, which is 2 to 3
            times as fast where the processor has instructions for it. Features then are slightly
            other ones, with a cosine to those of single precision of .998 in the mean.
            (default: :obj:`"float32"`)

    Raises:
        ImportError: If the package of the backbone is absent.
        ValueError: If timm has no such model, the backbone gives no feature map, or the size is
            less than 1.

    Example:
        >>> regions = RegionFeatures(nn.AvgPool2d(4), size=8)
        >>> photo = Photo(np.full((5, 9, 3), 255, np.uint8), (9, 5))
        >>> regions([photo], [np.array([[0, 0, 1, 1], [0.5, 0.5, 0.6, 0.6]])])[0].round(2)
        array([[255., 255., 255.],
               [255., 255., 255.]], dtype=float32)
    """

    def __init__(
        self,
        backbone: str | nn.Module = DEFAULT_BACKBONE,
        *,
        size: int = DEFAULT_SIZE,
        dtype: str = "float32",
    ) -> None:
        if size < 1:
            raise ValueError(f"size: expected at least 1 pixel, got {size}")
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype: expected float32 or bfloat16, got {dtype!r}")
        name = backbone if isinstance(backbone, str) else type(backbone).__name__
        net = _named(backbone) if isinstance(backbone, str) else backbone
        # The layout in which convolutions are fastest, and a box's mean is a product of matrices.
        self._net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._size = size
        self._half = dtype == "bfloat16"
        tensors = chain(self._net.parameters(), self._net.buffers())
        self._device = next((tensor.device for tensor in tensors), torch.device("cpu"))
        with torch.inference_mode():
            out = self._net(torch.zeros(1, 3, size, size, device=self._device))
        if not isinstance(out, Tensor) or out.dim() != 4:
            raise ValueError(f"backbone {name}: gives no feature map [batch, dim, height, width]")
        self.dim = out.shape[1]
        # A name says how a network is built, a module is known by its printed form.
        digest = _digest(net, "" if isinstance(backbone, str) else repr(net))
        self.fingerprint = (
            f"{name} {digest} dim {self.dim} size {size}{' bfloat16' if self._half else ''}"
        )

    def __call__(self, photos: Sequence[Photo], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The features of the boxes of each image.

        Args:
            photos: The images.
            boxes: One array ``[num_boxes, 4]`` an image, x1, y1, x2, y2 in ``[0, 1]``.

        Returns:
            One float32 array ``[num_boxes, dim]`` an image.
        """
        pixels = [self._square(photo.pixels) for photo in photos]
        with torch.inference_mode():
            # Boxes image by image, so that no feature depends on what else is in the batch.
            return [
                pool_boxes(image, torch.from_numpy(box).to(self._device)).cpu().numpy()
                for image, box in zip(self._maps(pixels), boxes, strict=True)
            ]

    def _maps(self, pixels: Sequence[np.ndarray]) -> Iterator[Tensor]:
        # One image at a time is fastest on a CPU, whose caches then hold the maps in between.
        step = 1 if self._device.type == "cpu" else len(pixels)
        for i in range(0, len(pixels), step):
            batch = torch.from_numpy(np.stack(pixels[i : i + step])).to(self._device)
            # Channels are last in memory already: [batch, size, size, 3] seen as [batch, 3, ..].
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                maps = self._net(batch.permute(0, 3, 1, 2).float())
            yield from maps.float()

    def _square(self, pixels: np.ndarray) -> np.ndarray:
        from PIL import Image

        size = (self._size, self._size)
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def pool_boxes(image: Tensor, boxes: Tensor) -> Tensor:
    r"""Mean of a feature map over boxes.

    The map is constant within each of its cells, and every cell counts by its overlap with the
    box: exact for any box, however small, and without samples to choose.

    Args:
        image: Feature map, ``[dim, height, width]``.
        boxes: ``[num_boxes, 4]`` x1, y1, x2, y2 in ``[0, 1]``, none of them empty.

    Returns:
        ``[num_boxes, dim]``.

    Example:
        >>> image = torch.tensor([[[0.0, 4.0], [0.0, 8.0]]])
        >>> boxes = torch.tensor([[0, 0, 1, 1], [0.5, 0, 1, 0.5], [0.25, 0, 0.75, 0.5]])
        >>> pool_boxes(image, boxes).flatten()
        tensor([3., 4., 2.])
    """
    dim, height, width = image.shape
    across = _overlap(boxes[:, 0], boxes[:, 2], width)  # [num_boxes, width]
    down = _overlap(boxes[:, 1], boxes[:, 3], height)  # [num_boxes, height]
    share = (down[:, :, None] * across[:, None, :]).flatten(1).to(image.dtype)
    return share @ image.permute(1, 2, 0).reshape(-1, dim)


def union_boxes(boxes: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """The smallest boxes around pairs of boxes, ``[num_pairs, 4]``.

    Example:
        >>> union_boxes(np.array([[0, 0, 0.5, 0.5], [0.25, 0.25, 1, 0.75]]), [(0, 1)])
        array([[0.  , 0.  , 1.  , 0.75]])
    """
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    a, b = boxes[first], boxes[second]
    return np.concatenate([np.minimum(a[:, :2], b[:, :2]), np.maximum(a[:, 2:], b[:, 2:])], axis=1)


def _overlap(low: Tensor, high: Tensor, cells: int) -> Tensor:
    """Share of each interval in ``[0, 1]`` that lies in each of the equal cells, in sum 1."""
    edge = torch.arange(cells + 1, dtype=torch.double, device=low.device) / cells
    low, high = low.double()[:, None], high.double()[:, None]
    part = (torch.minimum(high, edge[1:]) - torch.maximum(low, edge[:-1])).clamp(min=0)
    return part / (high - low)


def _named(name: str) -> nn.Module:
    if name == DEFAULT_BACKBONE:
        return EfficientNetLite0.pretrained()
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"backbone {name!r} needs timm: pip install timm") from error
    try:
        return _Timm(timm.create_model(name, pretrained=True))
    except RuntimeError as error:
        raise ValueError(f"backbone {name!r}: {error}") from error


class _Timm(nn.Module):
    """A model of timm on pixels 0 ... 255."""

    mean: Tensor
    std: Tensor

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        mean, std = (torch.tensor(net.pretrained_cfg[x]).view(3, 1, 1) for x in ("mean", "std"))
        self.register_buffer("mean", mean * 255)
        self.register_buffer("std", std * 255)

    def forward(self, x: Tensor) -> Tensor:
        return self.net.forward_features((x - self.mean) / self.std)


def _digest(net: nn.Module, form: str) -> str:
    """Tells networks apart by their form and their weights."""
    sha = hashlib.sha256(form.encode())
    for name, value in net.state_dict().items():
        sha.update(name.encode())
        sha.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return sha.hexdigest()[:16]
