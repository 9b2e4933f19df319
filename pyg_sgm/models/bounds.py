"""What a model tells of its score so that an index may bound it from above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class BoundLevel:
    r"""A term of a score that grows with each inner product that it is made of

    .. math:: c \sum_{t} w_t \, f\big( \max_v \langle q_t, r_v \rangle \big)

    of the rows :math:`q_t` of one graph with the rows :math:`r_v` of another, where :math:`f` never
    falls and :math:`w_t \geq 0`; 0, if either graph has no row.

    Args:
        name (str): Its name in :meth:`Matcher.levels`.
        field (str): The field of both encodings that has the rows: nodes, or one vector per graph.
        searching (str, optional): Whose rows are :math:`q_t`, ``"text"`` or ``"image"``. (default:
            :obj:`"text"`)
        weights (str, optional): The field of the searching side that has :math:`w_t`; the mean,
            where it is :obj:`None` there. (default: :obj:`None`, the mean)
        transform (callable, optional): :math:`f`, elementwise. (default: :obj:`None`, none)
        factor (float, optional): :math:`c \geq 0`. (default: :obj:`1.0`)
    """

    name: str
    field: str
    searching: Literal["text", "image"] = "text"
    weights: str | None = None
    transform: Callable[[Tensor], Tensor] | None = None
    factor: float = 1.0
