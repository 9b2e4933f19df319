"""Networks of timm, transformers and open_clip as feature maps."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pyg_sgm.io import only_local


class FeatureMap(nn.Module):
    """A network of another library on pixels 0 ... 255, whose output becomes a map.

    Args:
        net (nn.Module): The network, so that its weights are part of the module.
        features (callable): What maps normalized pixels to a map ``[batch, dim, height, width]``,
            or to tokens ``[batch, num_tokens, dim]``, of which the last ones are those of the
            patches row by row.
        mean (list of float): Mean of each channel in ``[0, 1]``, that the network was trained with.
        std (list of float): Standard deviation of each channel.
        patch (int, optional): Side of a patch in pixels, for tokens. (default: :obj:`1`)
        size (int, optional): Side in pixels of the only images that the network takes, which others
            are resized to. (default: :obj:`None`, it takes any)

    Example:
        >>> net = nn.Conv2d(3, 5, 8, 8)
        >>> tokens = lambda x: net(x).flatten(2).transpose(1, 2)
        >>> FeatureMap(net, tokens, [0.5] * 3, [0.5] * 3, patch=8)(torch.zeros(1, 3, 32, 16)).shape
        torch.Size([1, 5, 4, 2])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        features: Callable[[Tensor], Tensor],
        mean: Sequence[float],
        std: Sequence[float],
        *,
        patch: int = 1,
        size: int | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self._features = features
        self._patch = patch
        self._size = size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255)

    def forward(self, x: Tensor) -> Tensor:
        if self._size is not None and x.shape[-2:] != (self._size, self._size):
            size = (self._size, self._size)
            x = nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
        out = self._features((x - self.mean) / self.std)
        if out.dim() == 4:
            return out
        height, width = (side // self._patch for side in x.shape[-2:])
        if out.shape[1] < height * width:
            raise ValueError(
                f"{type(self.net).__name__} gives {out.shape[1]} tokens, which are not those of "
                f"{height} x {width} patches: its output is no map"
            )
        # Tokens of the class and registers come first.
        patches: Tensor = out[:, out.shape[1] - height * width :].transpose(1, 2)
        return patches.reshape(*patches.shape[:2], height, width)


def timm_backbone(name: str) -> nn.Module:
    """A model of timm with its weights, convolutional or a vision transformer."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"backbone 'timm:{name}' needs timm: pip install timm") from error
    try:
        return timm_map(timm.create_model(name, pretrained=True))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"backbone 'timm:{name}': {error}") from error


def timm_map(net: Any) -> FeatureMap:
    """A network of timm as a map."""
    last = getattr(net, "output_fmt", "NCHW") == "NHWC"  # such as that of Swin
    patch = getattr(getattr(net, "patch_embed", None), "patch_size", (1, 1))

    def features(x: Tensor) -> Tensor:
        out: Tensor = net.forward_features(x)
        return out.permute(0, 3, 1, 2) if last else out

    config = net.pretrained_cfg
    size = config["input_size"][1] if config.get("fixed_input_size") else None
    return FeatureMap(net, features, config["mean"], config["std"], patch=patch[0], size=size)


def transformers_backbone(name: str) -> nn.Module:
    """A vision transformer of transformers, or the vision tower of its CLIP or SigLIP."""
    try:
        from transformers import AutoModel
        from transformers.image_processing_base import ImageProcessingMixin
    except ImportError as error:
        raise ImportError(
            f"backbone 'hf:{name}' needs transformers: pip install transformers"
        ) from error
    try:
        local = only_local(name)
        # Weights in half precision would be computed in it.
        net = AutoModel.from_pretrained(name, use_safetensors=True, local_files_only=local).float()
        pixels, _ = ImageProcessingMixin.get_image_processor_dict(name, local_files_only=local)
        net = getattr(net, "vision_model", net)
        patch = net.config.patch_size
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"backbone 'hf:{name}': {error}") from error
    takes = inspect.signature(net.forward).parameters
    if "spatial_shapes" in takes:
        raise ValueError(f"backbone 'hf:{name}' takes patches of its own, not pixels")
    # Models whose positions do not follow the size of the image by themselves.
    asked = "interpolate_pos_encoding" in takes
    options = {"interpolate_pos_encoding": True} if asked else {}

    def features(x: Tensor) -> Tensor:
        out: Tensor = net(pixel_values=x, **options).last_hidden_state
        return out

    mean, std = (pixels.get(x, [0.5] * 3) for x in ("image_mean", "image_std"))
    return FeatureMap(net, features, mean, std, patch=patch)


def open_clip_backbone(name: str) -> nn.Module:
    """The vision tower of a model of open_clip, ``MODEL/PRETRAINED`` such as
    ``ViT-B-32/laion2b_s34b_b79k``."""
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            f"backbone 'open_clip:{name}' needs open_clip: pip install open_clip_torch"
        ) from error
    model, _, weights = name.partition("/")
    if not weights:  # it would make random ones
        raise ValueError(f"backbone 'open_clip:{name}': expected open_clip:MODEL/PRETRAINED")
    try:
        return open_clip_map(open_clip.create_model(model, pretrained=weights).visual)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"backbone 'open_clip:{name}': {error}") from error


def open_clip_map(net: Any) -> FeatureMap:
    """A vision tower of open_clip as a map."""

    def features(x: Tensor) -> Tensor:
        out = net.forward_intermediates(
            x, indices=1, normalize_intermediates=True, intermediates_only=True
        )
        last: Tensor = out["image_intermediates"][-1]
        return last

    size = net.image_size if isinstance(net.image_size, int) else net.image_size[0]
    return FeatureMap(net, features, net.image_mean, net.image_std, size=size)
