"""Fields of many graphs with different numbers of rows, in one array."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

Store: TypeAlias = str | tuple[str, str, str]  # a node type or an edge type
Field: TypeAlias = tuple[Store, str]


class Rows(Protocol):
    """What holds the rows of a field: a tensor, or something that reads rows when asked."""

    @property
    def shape(self) -> Sequence[int]:
        """Number of rows and shape of one."""

    def __getitem__(self, index: Tensor, /) -> Tensor:
        """The rows at the given indices."""


@dataclass(frozen=True)
class SharedRows:
    """Rows of which many are the same, each held once.

    Args:
        table (Tensor): The distinct rows, ``[num_distinct, *]``.
        row (Tensor): Which of them each row is, ``[num_rows]``.
    """

    table: Tensor
    row: Tensor

    @property
    def shape(self) -> Sequence[int]:
        return (len(self.row), *self.table.shape[1:])

    def __getitem__(self, index: Tensor, /) -> Tensor:
        return self.table[self.row[index]].float()


@dataclass(frozen=True)
class Spans:
    """Where the rows of each graph lie: graph ``g`` owns ``start[g] ... start[g] + count[g] - 1``.

    Args:
        start (Tensor): First row of each graph, ``[num_graphs]``.
        count (Tensor): Number of rows of each graph, ``[num_graphs]``.
    """

    start: Tensor
    count: Tensor

    @classmethod
    def packed(cls, count: Tensor) -> "Spans":
        """Graphs one after another without gaps.

        Args:
            count (Tensor): Number of rows of each graph, ``[num_graphs]``.
        """
        return cls(count.cumsum(0) - count, count)

    def select(self, index: Tensor) -> "Spans":
        """The spans of some graphs.

        Args:
            index (Tensor): Positions of the graphs, ``[num_selected]``.
        """
        return Spans(self.start[index], self.count[index])

    def rows(self) -> Tensor:
        """All rows of all graphs in order, ``[count.sum()]``."""
        shift = self.start - (self.count.cumsum(0) - self.count)
        return torch.arange(int(self.count.sum())) + shift.repeat_interleave(self.count)


@dataclass(frozen=True)
class Ragged:
    """One field of many graphs: rows in any storage, and where each graph's rows lie.

    Args:
        rows (Rows): Storage of ``[num_rows, *]``.
        spans (Spans): The rows of each graph.
    """

    rows: Rows
    spans: Spans

    def select(self, index: Tensor) -> "Ragged":
        """The field of some graphs; the storage is shared, not read.

        Args:
            index (Tensor): Positions of the graphs, ``[num_selected]``.
        """
        return Ragged(self.rows, self.spans.select(index))
