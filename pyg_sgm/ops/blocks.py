"""Cutting two ragged collections into blocks of whole graphs that fit the cache and the memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pyg_sgm.ops.packed import select_rows

MAX_MEMORY = 512 * 2**20  # bytes that a scorer may use beside its inputs and its result


@dataclass(frozen=True)
class Block:
    """Consecutive graphs of a :class:`SortedGraphs`.

    ``runs`` lists them as (nodes a graph, number of graphs), small graphs first.
    """

    graphs: slice
    nodes: slice
    runs: list[tuple[int, int]]

    def sizes(self, device: torch.device) -> Tensor:
        """Nodes of every graph, ``[num_graphs]``."""
        size, count = torch.tensor(self.runs, device=device).unbind(1)
        return size.repeat_interleave(count)


class SortedGraphs:
    """The graphs of a packed tensor that have nodes, from small to large.

    Graphs of one size lie side by side, so a run of them is a regular tensor: ragged input takes
    neither padding nor a loop over graphs, only one over its distinct sizes.
    """

    def __init__(self, ptr: Tensor) -> None:
        size = ptr[1:] - ptr[:-1]
        order = size.argsort(stable=True)
        self.order = order[int((size == 0).sum()) :]  # [num_graphs]
        self.rows: Tensor | None = None
        if not torch.equal(self.order, torch.arange(len(size), device=ptr.device)):
            self.rows, _ = select_rows(ptr, self.order)
        sizes, counts = size[self.order].unique_consecutive(return_counts=True)
        self.runs = list(zip(sizes.tolist(), counts.tolist(), strict=True))

    @property
    def largest(self) -> int:
        return self.runs[-1][0] if self.runs else 0

    def take(self, x: Tensor, block: Block) -> Tensor:
        """Rows of the block's nodes; ``x`` is in the order of the user."""
        return x[block.nodes] if self.rows is None else x[self.rows[block.nodes]]

    def add(self, x: Tensor, block: Block, values: Tensor) -> None:
        """Adds ``values`` to the rows of the block's nodes, in place."""
        x[block.nodes if self.rows is None else self.rows[block.nodes]] += values

    def graphs(self, block: Block) -> Tensor:
        """The user's numbers of the block's graphs."""
        return self.order[block.graphs]

    def blocks(self, max_nodes: int) -> list[Block]:
        """Blocks of at most ``max_nodes`` nodes, or of one graph that is larger."""
        blocks: list[Block] = []
        runs: list[tuple[int, int]] = []
        graph = node = used = count = 0

        def close() -> None:
            nonlocal graph, node, used, count, runs
            if runs:
                blocks.append(Block(slice(graph, graph + count), slice(node, node + used), runs))
            graph, node, used, count, runs = graph + count, node + used, 0, 0, []

        for size, left in self.runs:
            while left:
                if used and used + size > max_nodes:
                    close()
                taken = min(left, max(1, (max_nodes - used) // size))
                runs.append((size, taken))
                used, count, left = used + taken * size, count + taken, left - taken
        close()
        return blocks


def block_nodes(
    x: SortedGraphs,
    y: SortedGraphs,
    dim: int,
    itemsize: int,
    max_memory: int,
    wanted: tuple[int, int],
) -> tuple[int, int]:
    """Nodes of a block on both sides: the ``wanted``, or what fits ``max_memory`` bytes.

    Raises:
        ValueError: If a block of the largest pair of graphs does not fit.
    """

    def needed(rows: int, columns: int) -> int:
        # The gathered nodes, their products, and the masks and sums made from these.
        return itemsize * dim * (rows + columns) + (itemsize + 16) * rows * columns

    rows, columns = max(x.largest, wanted[0]), max(y.largest, wanted[1])
    while needed(rows, columns) > max_memory:
        if (rows, columns) == (x.largest, y.largest):
            raise ValueError(
                f"max_memory={max_memory} is too small for one pair of graphs with {rows} and "
                f"{columns} nodes of dimension {dim}: {needed(rows, columns)} bytes are needed"
            )
        rows, columns = max(x.largest, rows // 2), max(y.largest, columns // 2)
    return rows, columns
