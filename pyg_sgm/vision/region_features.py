"""Features of regions: one pass of a backbone over the image, then the mean over each box."""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.io import digest
from pyg_sgm.vision.backbones.registry import (
    DEFAULT_BACKBONE,
    FINETUNED,
    backbone_names,
    open_backbone,
)
from pyg_sgm.vision.images import Photo

DEFAULT_SIZE = 416
_LARGEST_SIZE = 2048


class RegionFeatures:
    """Features of boxes, from the last feature maps of one or several networks.

    Every image is resized to one square, so boxes in ``[0, 1]`` hold for the maps as they are. The
    features of several networks stand side by side.

    Args:
        backbone (str or nn.Module, optional): Names of networks joined by ``+``, see
            :func:`~pyg_sgm.vision.backbones.open_backbone`; or a module that maps pixels 0 ... 255
            in RGB, ``[batch, 3, size, size]``, to features ``[batch, dim, height, width]``, on any
            device. (default: :obj:`"efficientnet_lite0"`)
        size (int, optional): Side in pixels of the images that the networks see, at most 2048.
            (default: :obj:`416`)
        dtype (str, optional): What the networks compute in, :obj:`"float32"` or :obj:`"bfloat16"`,
            which is 2 to 5 times as fast where the processor has instructions for it. Features then
            are slightly other ones, with a cosine to those of single precision of .998 in the mean.
            (default: :obj:`"float32"`)

    Raises:
        ImportError: If the package of a backbone is absent.
        ValueError: If there is no such backbone, it gives no feature map, or the size or the dtype
            is another.

    Example:
        >>> regions = RegionFeatures(nn.AvgPool2d(4), size=8)
        >>> photo = Photo(np.full((5, 9, 3), 255, np.uint8), (9, 5))
        >>> regions([photo], [np.array([[0, 0, 1, 1], [0.5, 0.5, 0.6, 0.6]])])[0].round(2)
        array([[255., 255., 255.],
               [255., 255., 255.]], dtype=float32)
    """

    @renamed_arguments(half="dtype")
    def __init__(
        self,
        backbone: str | nn.Module = DEFAULT_BACKBONE,
        *,
        size: int = DEFAULT_SIZE,
        dtype: str = "float32",
    ) -> None:
        if not 1 <= size <= _LARGEST_SIZE:
            raise ValueError(f"size: expected 1 to {_LARGEST_SIZE} pixels, got {size}")
        if isinstance(dtype, bool):  # an argument of version 0.1, half
            dtype = "bfloat16" if dtype else "float32"
        if dtype not in ("float32", "bfloat16"):
            raise ValueError(f"dtype: expected float32 or bfloat16, got {dtype!r}")
        if isinstance(backbone, str):
            names = backbone_names(backbone)
            nets = [open_backbone(name) for name in names]
            forms = [""] * len(nets)  # a name says how a network is built
        else:
            names, nets, forms = [type(backbone).__name__], [backbone], [repr(backbone)]
        # The layout in which convolutions are fastest, and a box's mean is a product of matrices.
        self._nets = [
            net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for net in nets
        ]
        self._size = size
        self._half = dtype == "bfloat16"
        tensors = chain.from_iterable((*net.parameters(), *net.buffers()) for net in nets)
        self._device = next((tensor.device for tensor in tensors), torch.device("cpu"))
        self.dim = sum(map(self._channels, self._nets, names))
        networks = " + ".join(
            f"{_short(name)} {_digest(net, form)}"
            for name, net, form in zip(names, nets, forms, strict=True)
        )
        ending = " bfloat16" if self._half else ""
        self.fingerprint = f"{networks} dim {self.dim} size {size}{ending}"

    def __call__(self, photos: Sequence[Photo], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The features of the boxes of each image.

        Args:
            photos (list of Photo): The images.
            boxes (list of ndarray): One array ``[num_boxes, 4]`` per image, x1, y1, x2, y2 in ``[0,
                1]``.

        Returns:
            One float32 array ``[num_boxes, dim]`` per image.
        """
        pixels = [square(photo.pixels, self._size) for photo in photos]
        with torch.inference_mode():
            # Boxes image by image, so that no feature depends on what else is in the batch.
            return [
                self._pooled(maps, torch.from_numpy(box).to(self._device))
                for maps, box in zip(self._maps(pixels), boxes, strict=True)
            ]

    def _pooled(self, maps: Sequence[Tensor], boxes: Tensor) -> np.ndarray:
        parts = [pool_boxes(image, boxes) for image in maps]
        return torch.cat(parts, dim=1).cpu().numpy()

    def _maps(self, pixels: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, ...]]:
        """The map of each network, image by image."""
        # One image at a time is fastest on a CPU, whose caches then hold the maps in between.
        step = 1 if self._device.type == "cpu" else len(pixels)
        for i in range(0, len(pixels), step):
            batch = torch.from_numpy(np.stack(pixels[i : i + step])).to(self._device)
            # Channels are last in memory already: [batch, size, size, 3] seen as [batch, 3, ..].
            batch = batch.permute(0, 3, 1, 2).float()
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                maps = [net(batch) for net in self._nets]
            yield from zip(*(one.float() for one in maps), strict=True)

    def _channels(self, net: nn.Module, name: str) -> int:
        """Channels of a network's map, from an empty image."""
        with torch.inference_mode():
            out = net(torch.zeros(1, 3, self._size, self._size, device=self._device))
        if not isinstance(out, Tensor) or out.dim() != 4:
            raise ValueError(f"backbone {name}: gives no feature map [batch, dim, height, width]")
        return out.shape[1]


def square(pixels: np.ndarray, size: int) -> np.ndarray:
    """An image as a square, uint8 ``[size, size, 3]``.

    Args:
        pixels (ndarray): uint8 ``[height, width, 3]``.
        size (int): Side in pixels.
    """
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))


def pool_boxes(image: Tensor, boxes: Tensor) -> Tensor:
    r"""Mean of a feature map over boxes.

    The map is constant within each of its cells, and every cell counts by its overlap with the
    box: exact for any box, however small, and without samples to choose.

    Args:
        image (Tensor): Feature map, ``[dim, height, width]``.
        boxes (Tensor): ``[num_boxes, 4]`` x1, y1, x2, y2 in ``[0, 1]``, none of them empty.

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


def pool_batch(maps: Tensor, boxes: Tensor, image_of_box: Tensor) -> Tensor:
    """The same of several maps at once, with gradients.

    Args:
        maps (Tensor): Feature maps, ``[num_images, dim, height, width]``.
        boxes (Tensor): ``[num_boxes, 4]``, see :func:`pool_boxes`.
        image_of_box (Tensor): Map of each box, ``[num_boxes]``.

    Returns:
        ``[num_boxes, dim]``.

    Example:
        >>> maps = torch.arange(16.0).view(2, 2, 2, 2)
        >>> boxes = torch.tensor([[0, 0, 1, 1], [0.5, 0, 1, 0.5]])
        >>> pool_batch(maps, boxes, torch.tensor([1, 0]))
        tensor([[ 9.5000, 13.5000],
                [ 1.0000,  5.0000]])
    """
    count, dim, height, width = maps.shape
    across = _overlap(boxes[:, 0], boxes[:, 2], width)
    down = _overlap(boxes[:, 1], boxes[:, 3], height)
    own = (down[:, :, None] * across[:, None, :]).flatten(1).to(maps.dtype)
    # One product for all: a box has zeros at the places of other images.
    share = own.new_zeros(len(boxes), count, height * width)
    share[torch.arange(len(boxes), device=boxes.device), image_of_box] = own
    return share.flatten(1) @ maps.permute(0, 2, 3, 1).reshape(-1, dim)


def union_boxes(boxes: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """The smallest boxes around pairs of boxes, ``[num_pairs, 4]``.

    Args:
        boxes (ndarray): Boxes, ``[num_boxes, 4]``.
        pairs (list of tuple): Two positions of boxes each.

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


def _short(name: str) -> str:
    """A backbone's name without the place of its file, which its digest stands for."""
    return FINETUNED if name.startswith(f"{FINETUNED}:") else name


def _digest(net: nn.Module, form: str) -> str:
    """Tells networks apart by their form and their weights."""
    return digest([form, *chain.from_iterable(net.state_dict().items())])
