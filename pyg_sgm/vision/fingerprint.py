"""What tells extractors apart, also in the words of earlier versions."""

from collections.abc import Mapping
from typing import Any, Protocol

_RENAMED = {"key": "fingerprint", "half": "dtype", "colours": "colors"}
_MOVED = {"pyg_sgm.vision.attributes.attributes": "pyg_sgm.vision.colors.color_attributes"}


class Fingerprinted(Protocol):
    """An extractor."""

    @property
    def fingerprint(self) -> dict[str, str]:
        """What its graphs depend on."""


def check_same(
    made: object, extractor: Fingerprinted, where: str, remedy: str = "give the same"
) -> None:
    """Checks that an extractor is the one that made some graphs.

    Args:
        made (object): Fingerprint of the one that made them.
        extractor (Fingerprinted): The one at hand.
        where (str): What has the graphs, for messages.
        remedy (str, optional): What to do, for messages. (default: :obj:`"give the same"`)

    Raises:
        ValueError: Saying in what they differ.
    """
    if not isinstance(made, dict):
        raise ValueError(f"{where}: fingerprint: expected an object, got {made!r}")
    own = extractor.fingerprint
    for part in made | own:
        if made.get(part) != own.get(part):
            raise ValueError(
                f"{where}: the graphs were made with {part} {made.get(part)!r}, "
                f"not {own.get(part)!r}; {remedy}"
            )


def migrated(made: Mapping[str, Any]) -> dict[str, Any]:
    """The description of an extractor in today's words, whatever version wrote it.

    Args:
        made (dict): What a graph folder or a saved model says.
    """
    made = {_RENAMED.get(name, name): value for name, value in made.items()}
    renamed = {"efficientnet-lite0": "efficientnet_lite0"}  # backbones
    if isinstance(made.get("options"), dict):
        options = {_RENAMED.get(name, name): value for name, value in made["options"].items()}
        if isinstance(options.get("dtype"), bool):  # was "half", and true or false
            options["dtype"] = "bfloat16" if options["dtype"] else "float32"
        if "half" in made["options"]:  # of a version that merged no boxes
            options["merge"] = False
        if isinstance(options.get("backbone"), str):
            new = _backbone(options["backbone"])
            renamed[options["backbone"]] = options["backbone"] = new
        made["options"] = options
    parts = made.get("fingerprint")
    if isinstance(parts, dict):
        parts = {name: _MOVED.get(str(part), part) for name, part in parts.items()}
        if isinstance(parts.get("features"), str):
            name, space, rest = parts["features"].partition(" ")
            parts["features"] = renamed.get(name, name) + space + rest
        made["fingerprint"] = parts
    return made


def _backbone(name: str) -> str:
    """The name of a backbone of version 0.1, where names without a colon were models of timm."""
    if ":" in name or name.startswith("efficientnet_lite"):
        return name
    return "efficientnet_lite0" if name == "efficientnet-lite0" else f"timm:{name}"
