"""Node sets of many graphs in one tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.utils import cumsum


def is_ptr(ptr: Tensor, num_rows: int) -> bool:
    r"""Whether a tensor holds the boundaries of graphs in so many rows: whole numbers that rise
    from 0 to the number of rows.

    Args:
        ptr (Tensor): Boundaries, from a file.
        num_rows (int): Number of rows.

    Example:
        >>> import torch
        >>> is_ptr(torch.tensor([0, 2, 2, 5]), 5), is_ptr(torch.tensor([0, 3, 2, 5]), 5)
        (True, False)
    """
    if ptr.dim() != 1 or ptr.is_floating_point() or not len(ptr):
        return False
    return bool((ptr.diff() >= 0).all()) and (int(ptr[0]), int(ptr[-1])) == (0, num_rows)


def select_rows(ptr: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    r"""Rows of the graphs ``index`` of a packed tensor, in the order of ``index``.

    Args:
        ptr (LongTensor): Boundaries of the graphs.
        index (LongTensor): Graphs to take; any order, repeats allowed.

    Shapes:
        - **input:** ptr :math:`(|\mathcal{G}| + 1)`, index :math:`(K)`
        - **output:** rows :math:`(N_K)` and the boundaries :math:`(K + 1)` of the selection

    Example:
        >>> import torch
        >>> rows, ptr = select_rows(torch.tensor([0, 2, 2, 5]), torch.tensor([2, 0]))
        >>> rows.tolist(), ptr.tolist()
        ([2, 3, 4, 0, 1], [0, 3, 5])
    """
    start = ptr[:-1][index]  # [num_selected]
    size = ptr[1:][index] - start
    new_ptr = cumsum(size)
    return rows_of(start, size, int(new_ptr[-1])), new_ptr


def rows_of(start: Tensor, size: Tensor, total: int) -> Tensor:
    """The rows from ``start`` on, ``size`` of them, of one graph after another.

    Args:
        start (LongTensor): First row of every graph, ``[num_graphs]``.
        size (LongTensor): Number of its rows, ``[num_graphs]``.
        total (int): Their sum, which a card would be waited for.
    """
    shift = start - (size.cumsum(0) - size)
    rows = torch.arange(total, device=size.device)
    return rows + shift.repeat_interleave(size, output_size=total)


@dataclass(frozen=True)
class Packed:
    r"""The node embeddings of many graphs, one below the other.

    Graph :math:`g` owns the rows ``x[ptr[g]:ptr[g + 1]]``; a graph may own none.

    Args:
        x (Tensor): Node embeddings of all graphs.
        ptr (LongTensor): Boundaries of the graphs, from 0 to the number of nodes.

    Shapes:
        - **x:** :math:`(N, F)`
        - **ptr:** :math:`(|\mathcal{G}| + 1)`

    Example:
        >>> import torch
        >>> nodes = Packed(torch.arange(6.0).view(3, 2), torch.tensor([0, 2, 3]))
        >>> len(nodes)
        2
        >>> nodes.select(torch.tensor([1])).x
        tensor([[4., 5.]])
    """

    x: Tensor  # [num_nodes, dim]
    ptr: Tensor  # [num_graphs + 1]

    def __len__(self) -> int:
        return self.ptr.numel() - 1

    @property
    def sizes(self) -> Tensor:
        """Number of nodes of every graph, ``[num_graphs]``."""
        return self.ptr[1:] - self.ptr[:-1]

    @property
    def batch(self) -> Tensor:
        """Graph of every node, ``[num_nodes]``."""
        graphs = torch.arange(len(self), device=self.ptr.device)
        return graphs.repeat_interleave(self.sizes, output_size=self.x.size(0))

    def select(self, index: Tensor) -> Packed:
        """The graphs ``index`` (LongTensor; any order, repeats allowed), or those of a mask.

        Consecutive graphs share the memory of the whole.

        Args:
            index (Tensor): Positions of the graphs, ``[num_selected]``, or which of them,
                ``[num_graphs]``.

        Raises:
            IndexError: If a graph is not there; not on a card, which tells in its own way.
        """
        numbers = index.numel() > 0 and index.dtype != torch.bool
        if numbers and bool((index.diff() == 1).all()):
            start, end = int(index[0]), int(index[-1]) + 1
            if start >= 0 and end <= len(self):
                ptr = self.ptr[start : end + 1]
                first, last = torch.stack([ptr[0], ptr[-1]]).tolist()
                return Packed(self.x[first:last], ptr - first)
        rows, ptr = select_rows(self.ptr, index)
        return Packed(self.x[rows], ptr)

    def join(self, other: Packed) -> Packed:
        """The nodes of both graph by graph, those of ``other`` last.

        Args:
            other (Packed): Nodes of the same graphs.

        Example:
            >>> import torch
            >>> nodes = Packed(torch.arange(3.0), torch.tensor([0, 2, 3]))
            >>> nodes.join(nodes).x
            tensor([0., 1., 0., 1., 2., 2.])
        """
        order = torch.cat([self.batch, other.batch]).argsort(stable=True)
        return Packed(torch.cat([self.x, other.x])[order], self.ptr + other.ptr)

    def padded(self, index: Tensor | None = None, size: int | None = None) -> tuple[Tensor, Tensor]:
        """The graphs ``index`` (all of them by default) side by side, filled up with zeros.

        Returns the nodes ``[num_selected, width, dim]`` and which of them are real
        ``[num_selected, width]``; the width is ``size``, or else that of the largest graph.

        Args:
            index (Tensor, optional): Positions of the graphs. (default: :obj:`None`, all)
            size (int, optional): Width of the result. (default: :obj:`None`, that of the largest
                graph)
        """
        start, count = self.ptr[:-1], self.sizes
        if index is not None:
            start, count = start[index], count[index]
        if size is None:
            size = int(count.max()) if count.numel() else 0
        column = torch.arange(size, device=count.device)
        mask = column < count[:, None]  # [num_selected, width]
        rows = (start[:, None] + column).masked_fill(~mask, 0)
        if self.x.size(0) == 0:
            return self.x.new_zeros(*mask.shape, *self.x.shape[1:]), mask
        return self.x[rows].masked_fill(~mask[..., None], 0), mask

    def to(self, *args: Any, **kwargs: Any) -> Packed:
        """Moves or casts ``x`` as :meth:`torch.Tensor.to` does; ``ptr`` follows its device."""
        x = self.x.to(*args, **kwargs)
        return Packed(x, self.ptr.to(x.device))
