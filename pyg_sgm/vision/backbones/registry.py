"""Backbones by name."""

import os
import warnings
from collections.abc import Callable
from functools import partial
from importlib.resources import files

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pyg_sgm.io import write_tensors
from pyg_sgm.vision.backbones.efficientnet import (
    EfficientNetLite,
    EfficientNetLite0,
    EfficientNetLite2,
)
from pyg_sgm.vision.backbones.others import (
    open_clip_backbone,
    timm_backbone,
    transformers_backbone,
)

DEFAULT_BACKBONE = "efficientnet_lite0"
FINETUNED = "finetuned"

_LITE: dict[str, tuple[type[EfficientNetLite], bool]] = {  # and whether with the middle stage
    "efficientnet_lite0": (EfficientNetLite0, False),
    "efficientnet_lite2": (EfficientNetLite2, False),
    "efficientnet_lite0_middle": (EfficientNetLite0, True),
    "efficientnet_lite2_middle": (EfficientNetLite2, True),
}
_SHIPPED: dict[str, Callable[[], nn.Module]] = {
    name: partial(network.pretrained, middle=middle) for name, (network, middle) in _LITE.items()
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
            transformers, or the vision tower of its CLIP or SigLIP),
            ``open_clip:MODEL/PRETRAINED``, or one of these with the weights of a file of
            :func:`save_finetuned`: ``finetuned:FILE``, or if it is not shipped
            ``finetuned:FILE,name=NAME``.

    Raises:
        ImportError: If the package of the network is absent.
        ValueError: If the name is of no such form, or there is no such network.
    """
    if name in _SHIPPED:
        return _SHIPPED[name]()
    kind, _, rest = name.partition(":")
    if kind == FINETUNED and rest:
        return _finetuned(rest)
    if kind in _OTHERS and rest:
        return _OTHERS[kind](rest)
    known = ", ".join([*_SHIPPED, *(f"{kind}:NAME" for kind in _OTHERS), "finetuned:FILE"])
    raise ValueError(f"backbone {name!r}: expected one of {known}, or several joined by +")


def imagenet_classes() -> list[str]:
    """What the 1,000 classes of ImageNet are called, in English."""
    names = files("pyg_sgm.vision") / "weights" / "imagenet_classes.txt"
    return names.read_text("utf-8").splitlines()


def has_classes(name: str) -> bool:
    """Whether the classes are known that the networks of a name tell apart.

    Args:
        name (str): See :func:`backbone_names`.
    """
    return set(backbone_names(name)) <= set(_LITE)


def class_layer(name: str) -> tuple[Tensor, Tensor]:
    """What tells the classes of ImageNet from region features: weight ``[1000, dim]`` and bias
    ``[1000]`` of the mean logits of the networks.

    Args:
        name (str): Networks joined by ``+``, all of them shipped.

    Raises:
        ValueError: If there are others, whose classes have no names here.
        ImportError: If the package of their weights is absent.
    """
    if not has_classes(name):
        raise ValueError(f"backbone {name!r}: of {', '.join(_LITE)} alone the classes are known")
    networks = [_LITE[part] for part in backbone_names(name)]
    layers = [network.class_layer(middle=middle) for network, middle in networks]
    weight = torch.cat([weight for weight, _ in layers], dim=1) / len(layers)
    return weight, torch.stack([bias for _, bias in layers]).mean(dim=0)


def save_finetuned(path: str | os.PathLike[str], name: str, net: nn.Module) -> None:
    """Writes the weights of a network that was trained further, as ``finetuned:FILE`` opens them.

    Args:
        path (str or PathLike): The file, safetensors.
        name (str): What :func:`open_backbone` opened it by.
        net (nn.Module): The network.
    """
    write_tensors(path, net.state_dict(), {"backbone": name})


def full_names(name: str) -> str:
    """Names of networks that hold in any folder.

    Args:
        name (str): See :func:`backbone_names`.
    """
    parts = []
    for part in name.split("+"):
        kind, _, rest = part.partition(":")
        parts.append(f"{kind}:{os.path.abspath(rest)}" if kind == FINETUNED and rest else part)
    return "+".join(parts)


def _finetuned(rest: str) -> nn.Module:
    """The network of ``FILE``, or of ``FILE,name=NAME``: a file may name one that is shipped, any
    other is opened because the user says so."""
    path, _, given = rest.partition(",name=")
    where = f"backbone '{FINETUNED}:{path}'"
    try:
        with safe_open(path, framework="pt") as file:
            name = str(file.metadata()["backbone"])
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{where}: missing, or no fine-tuned backbone ({error})") from error
    if name != given if given else name not in _SHIPPED:
        raise ValueError(f"{where}: its weights are of {name!r}: give it, FILE,name={name}")
    net = open_backbone(name)
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{where}: no weights of {name} ({error})") from error
    return net


def _today(name: str) -> str:
    if name == "efficientnet-lite0" or (name and ":" not in name and name not in _SHIPPED):
        new = DEFAULT_BACKBONE if name == "efficientnet-lite0" else f"timm:{name}"
        warnings.warn(f"backbone {name!r} is now {new!r}", DeprecationWarning, stacklevel=3)
        return new
    return name
