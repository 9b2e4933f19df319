"""Which weights decay."""

from collections.abc import Iterable
from typing import Any

from torch import nn


def decay_groups(
    parameters: Iterable[nn.Parameter], weight_decay: float, least: int = 2, **options: Any
) -> list[dict[str, Any]]:
    """Groups of an optimizer: trained parameters that decay, and those that do not, which are
    biases, gains and the like.

    Args:
        parameters (list of Parameter): All of them; what is frozen is left out.
        weight_decay (float): Weight decay of the first group.
        least (int, optional): Dimensions that a parameter has at least, if it decays. (default:
            :obj:`2`)
        **options: Further options of both groups.

    Example:
        >>> first, second = decay_groups(nn.Linear(3, 2).parameters(), 0.1, lr=1.0)
        >>> [list(p.shape) for p in first["params"]], first["weight_decay"], second["weight_decay"]
        ([[2, 3]], 0.1, 0.0)
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    decayed = [parameter for parameter in trained if parameter.dim() >= least]
    others = [parameter for parameter in trained if parameter.dim() < least]
    return [
        {"params": decayed, "weight_decay": weight_decay, **options},
        {"params": others, "weight_decay": 0.0, **options},
    ]
