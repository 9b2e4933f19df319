"""Backbones by name."""

import warnings
from collections.abc import Callable
from functools import partial

from torch import nn

from pyg_sgm.vision.backbones.efficientnet import EfficientNetLite0, EfficientNetLite2
from pyg_sgm.vision.backbones.others import (
    open_clip_backbone,
    timm_backbone,
    transformers_backbone,
)

DEFAULT_BACKBONE = "efficientnet_lite0"

_SHIPPED: dict[str, Callable[[], nn.Module]] = {
    "efficientnet_lite0": EfficientNetLite0.pretrained,
    "efficientnet_lite2": EfficientNetLite2.pretrained,
    "efficientnet_lite0_middle": partial(EfficientNetLite0.pretrained, middle=True),
    "efficientnet_lite2_middle": partial(EfficientNetLite2.pretrained, middle=True),
}
_OTHERS: dict[str, Callable[[str], nn.Module]] = {
    "timm": timm_backbone,
    "hf": transformers_backbone,
    "open_clip": open_clip_backbone,
}


def backbone_names(name: str) -> list[str]:
    """The names of the networks that a name joins by ``+``.

    Args:
        name (str): Such as ``"efficientnet_lite0+efficientnet_lite2"``. Names of version 0.1,
            ``efficientnet-lite0`` and models of timm without ``timm:``, are still known.

    Example:
        >>> backbone_names("efficientnet_lite0+hf:google/vit-base-patch16-224")
        ['efficientnet_lite0', 'hf:google/vit-base-patch16-224']
    """
    return [_today(part) for part in name.split("+")]


def is_shipped(name: str) -> bool:
    """Whether all networks of a name come with a package, so that nothing is fetched for it."""
    return all(part in _SHIPPED for part in backbone_names(name))


def open_backbone(name: str) -> nn.Module:
    """A network by its name: a module from pixels 0 ... 255 in RGB to a feature map.

    Args:
        name (str): ``efficientnet_lite0``, ``efficientnet_lite2``, the same with ``_middle`` for a
            stage more of their maps, ``timm:NAME``, ``hf:NAME`` (a vision transformer of
            transformers, or the vision tower of its CLIP or SigLIP) or
            ``open_clip:MODEL/PRETRAINED``.

    Raises:
        ImportError: If the package of the network is absent.
        ValueError: If the name is of no such form, or there is no such network.
    """
    if name in _SHIPPED:
        return _SHIPPED[name]()
    kind, _, rest = name.partition(":")
    if kind in _OTHERS and rest:
        return _OTHERS[kind](rest)
    known = ", ".join([*_SHIPPED, *(f"{kind}:NAME" for kind in _OTHERS)])
    raise ValueError(f"backbone {name!r}: expected one of {known}, or several joined by +")


def _today(name: str) -> str:
    if name == "efficientnet-lite0" or (name and ":" not in name and name not in _SHIPPED):
        new = DEFAULT_BACKBONE if name == "efficientnet-lite0" else f"timm:{name}"
        warnings.warn(f"backbone {name!r} is now {new!r}", DeprecationWarning, stacklevel=3)
        return new
    return name
