r"""Coarse nodes whose inner products are upper bounds.

With orthonormal directions :math:`B`, a node :math:`x` is :math:`B (s \circ \hat x) + B e + r`: its
first coordinates rounded to int8 with a scale each, what rounding lost, and what lies outside the
directions. By Cauchy and Schwarz, for any :math:`q` with :math:`q - B B^\top q = p`,

.. math:: \langle q, x \rangle \leq \langle s \circ B^\top q, \hat x \rangle
    + \lVert B^\top q \rVert \lVert e \rVert + \lVert p \rVert \lVert r \rVert

so two more coordinates, :math:`\lVert e \rVert` and :math:`\lVert r \rVert` rounded up, make it one
inner product of int8 numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from pyg_sgm.ops import Packed

EXTRA = 2  # coordinates beside the directions
KEPT_ENERGY = 0.97  # of the nodes, measured: less makes too many candidates, more a long scan
WIDTHS = range(32, 513, 32)
ROWS = 1 << 15  # that are projected at once
_HIGH = 128  # a query is two int8 numbers a coordinate, the first counts so many of the second


@dataclass(frozen=True)
class Frame:
    """What coarse nodes are in terms of.

    Args:
        directions (Tensor): Orthonormal, ``[dim, num_directions]``.
        scale (Tensor): Of each coordinate, ``[num_directions + 2]``.
        longest (float): Largest norm of a node.
        largest (float): Largest norm of a coarse node, in its integers.
    """

    directions: Tensor
    scale: Tensor
    longest: float
    largest: float


def principal(x: Tensor, queries: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Directions of nodes and of what searches them, the most important first, and the share of
    the nodes' squared length that lies outside the first 0, 1, 2 ... of them.

    Args:
        x (Tensor): A sample of nodes, ``[num_nodes, dim]``.
        queries (Tensor, optional): Vectors like those that search, ``[num_queries, dim]``.
            (default: :obj:`None`)
    """
    own = _moment(x)
    both = own if queries is None or not len(queries) else own + _moment(queries)
    directions = torch.linalg.eigh(both).eigenvectors.flip(1)  # [dim, dim]
    energy = (directions * (own @ directions)).sum(0)
    outside = 1 - torch.cat([energy.new_zeros(1), energy.cumsum(0)]) / energy.sum().clamp(min=1e-30)
    return directions.float(), outside


def _moment(x: Tensor) -> Tensor:
    x = x.double()
    return x.t() @ x / x.square().sum().clamp(min=1e-30)


def chosen_width(outside: Tensor) -> int:
    """The smallest width of coarse nodes that keeps enough of them.

    Args:
        outside (Tensor): Of :func:`principal`.

    Example:
        >>> chosen_width(torch.linspace(1, 0, 101))
        128
    """
    for width in WIDTHS:
        if width - EXTRA >= len(outside) - 1 or float(outside[width - EXTRA]) <= 1 - KEPT_ENERGY:
            return width
    return WIDTHS[-1]


def coarse_rows(x: Tensor, directions: Tensor) -> tuple[Tensor, Frame]:
    """Nodes in int8, ``[num_nodes, num_directions + 2]``.

    Args:
        x (Tensor): The nodes, ``[num_nodes, dim]``.
        directions (Tensor): Orthonormal, ``[dim, num_directions]``.
    """
    parts, outside, longest = [], [], 0.0
    for block in x.split(ROWS) if len(x) else ():  # none of photos without relations
        block = block.float()
        parts.append(block @ directions)
        outside.append((block - parts[-1] @ directions.t()).norm(dim=1))
        longest = max(longest, float(block.norm(dim=1).max()))
    y = torch.cat([x.new_zeros(0, directions.size(1)).float(), *parts])
    scale = (y.abs().amax(0) if len(y) else y.new_zeros(y.size(1))).clamp(min=1e-20) / 127
    rounded = (y / scale).round().clamp(-127, 127)
    lost = (y - rounded * scale).norm(dim=1)
    norms = torch.stack([lost, torch.cat([x.new_zeros(0).float(), *outside])], dim=1)
    steps = (norms.amax(0) if len(y) else norms.new_zeros(EXTRA)).clamp(min=1e-20) / 127
    whole = torch.cat([rounded, (norms / steps).ceil().clamp(max=127)], dim=1)
    largest = float(whole.norm(dim=1).max()) if len(y) else 0.0
    return whole.to(torch.int8), Frame(directions, torch.cat([scale, steps]), longest, largest)


@dataclass(frozen=True)
class CoarseQuery:
    """Rows that search coarse nodes.

    Args:
        rows (Tensor): int8, ``[2 * num_rows, width]``, the high numbers and then the low ones; or
            float32, ``[num_rows, width]``, where int8 has no exact product.
        unit (float): What a product counts.
        slack (Tensor): What is added to bounds because of rounding, ``[num_rows]``.
    """

    rows: Tensor
    unit: float
    slack: Tensor

    @classmethod
    def of(cls, q: Tensor, frame: Frame) -> CoarseQuery:
        """The rows of a query.

        Args:
            q (Tensor): The rows, ``[num_rows, dim]``.
            frame (Frame): That of the nodes.
        """
        q = q.float()
        y = q @ frame.directions
        outside = (q - y @ frame.directions.t()).norm(dim=1)
        y = torch.cat([y, y.norm(dim=1)[:, None], outside[:, None]], dim=1) * frame.scale
        # The arithmetic of the exact score and of the projections is rounded, too.
        slack = 4 * q.size(1) * 2.0**-24 * q.norm(dim=1) * frame.longest
        if not exact_products():
            return cls(y, 1.0, slack)
        unit = max(float(y.abs().max()) if len(y) else 0.0, 1e-30) / (127 * _HIGH)
        whole = (y / unit).round()
        high = (whole / _HIGH).round()
        slack = slack + (y - whole * unit).norm(dim=1) * frame.largest
        rows = torch.cat([high, whole - _HIGH * high]).to(torch.int8)
        return cls(rows, unit, slack)

    def products(self, nodes: Tensor) -> Tensor:
        """Inner products with coarse nodes, ``[num_rows, num_nodes]``.

        Args:
            nodes (Tensor): int8, ``[num_nodes, width]``.
        """
        if self.rows.dtype != torch.int8:
            return self.rows @ nodes.float().t()
        high, low = torch._int_mm(self.rows, nodes.t()).chunk(2)
        return torch.add(low, high, alpha=_HIGH)


@cache
def exact_products() -> bool:
    """Whether products of int8 matrices are there and exact: some processors without instructions
    for them saturate sums of two."""
    rows = torch.full((16, 64), 127, dtype=torch.int8)
    nodes = torch.full((64, 32), 127, dtype=torch.int8)
    nodes[:, ::2] = -127
    expected = 64 * 127 * nodes[0].long()
    try:
        found = torch._int_mm(rows, nodes)
    except RuntimeError:
        return False
    return bool((found == expected).all())


def node_major(nodes: Packed, block_rows: int) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
    """An order in which the nodes of images of one size lie so that maxima over the nodes of each
    are maxima of whole rows: block by block, the first nodes of its images, then the second ones.

    Args:
        nodes (Packed): Nodes of images.
        block_rows (int): Nodes of a block, about.

    Returns:
        The row of every node in that order, ``[num_nodes]``; the images that have nodes, in the
        order of the blocks; and the blocks as (nodes of each image, number of images).
    """
    sizes = nodes.sizes
    order = sizes.argsort(stable=True)
    order = order[int((sizes == 0).sum()) :]
    rows, blocks = [], []
    for size, images in _runs(sizes[order], order):
        for part in images.split(max(1, block_rows // size)):
            rows.append((nodes.ptr[part] + torch.arange(size)[:, None]).flatten())
            blocks.append((size, len(part)))
    return torch.cat([order.new_zeros(0), *rows]), order, blocks


def _runs(sizes: Tensor, order: Tensor) -> list[tuple[int, Tensor]]:
    values, counts = sizes.unique_consecutive(return_counts=True)
    return list(zip(values.tolist(), order.split(counts.tolist()), strict=True))
