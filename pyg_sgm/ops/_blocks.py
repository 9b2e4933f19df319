"""Cutting two ragged collections into blocks of whole graphs that fit the cache and the memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pyg_sgm.ops._packed import Packed, rows_of

Runs = list[tuple[int, int]]  # (nodes per graph, number of graphs)
MAX_MEMORY = 512 * 2**20  # bytes that a scorer may use beside its inputs and its result


def sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type that holds sums of ``dtype``: float64 for float64, float32 for all others."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def product_dtype(x: Tensor, y: Tensor) -> torch.dtype:
    """The type in which the rows of ``x`` and ``y`` are multiplied.

    That of autocast where it is on, else the wider of theirs. A CPU multiplies float16 far slower
    than float32, so there it is float32.
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    else:
        dtype = torch.promote_types(x.dtype, y.dtype)
    return torch.float32 if device == "cpu" and dtype == torch.float16 else dtype


def check_sides(a: Packed, b: Packed) -> None:
    """Raises ValueError unless both sides are of one width and on one device, and on the CPU whole:
    on a card a look at the boundaries would wait for it, and they were checked where they entered.
    """
    devices = {str(t.device) for t in (a.x, a.ptr, b.x, b.ptr)}
    if len(devices) > 1:
        raise ValueError(f"both sides must be on one device, found {sorted(devices)}")
    if a.x.dim() != 2 or b.x.dim() != 2 or a.x.size(1) != b.x.size(1):
        raise ValueError(
            f"nodes must be matrices of one width, found {tuple(a.x.shape)} and {tuple(b.x.shape)}"
        )
    for side in (a, b):
        if side.ptr.device.type == "cpu" and int(side.ptr[-1]) != side.x.size(0):
            raise ValueError(f"ptr ends at {int(side.ptr[-1])}, there are {side.x.size(0)} nodes")


def keep_freed_memory(x: Tensor) -> None:
    """Has the C library of Linux reuse the tensors of a block for the next one.

    By default it hands them back to the system and clears new pages for each block, which takes
    longer than the arithmetic. It keeps what is smaller than the largest tensor ever freed, up to
    32 MiB; this one is never written to and takes no memory.
    """
    if x.device.type == "cpu":
        torch.empty(31 * 2**20, dtype=torch.uint8)


@dataclass(frozen=True)
class Block:
    """Consecutive graphs of a :class:`SortedGraphs`.

    ``runs`` lists them as (nodes per graph, number of graphs), small graphs first.
    """

    graphs: slice
    nodes: slice
    runs: Runs

    def sizes(self, device: torch.device) -> Tensor:
        """Nodes of every graph, ``[num_graphs]``."""
        size, count = torch.tensor(self.runs).to(device, non_blocking=True).unbind(1)
        return size.repeat_interleave(count, output_size=self.graphs.stop - self.graphs.start)


class SortedGraphs:
    """The graphs of a packed tensor that have nodes, from small to large.

    Graphs of one size lie side by side, so a run of them is a regular tensor: ragged input takes
    neither padding nor a loop over graphs, only one over its distinct sizes. These are known on
    the host, for which the sizes of all graphs are copied to it, once.
    """

    def __init__(self, ptr: Tensor) -> None:
        size = ptr[1:] - ptr[:-1]
        host = size.cpu()
        in_order = host.sort().values
        empty = int((in_order == 0).sum())
        self.host_sizes = in_order[empty:]  # [num_graphs], on the CPU
        self.order = size.argsort(stable=True)[empty:]  # [num_graphs]
        self.sizes = size[self.order]
        self.rows: Tensor | None = None
        if not torch.equal(host, in_order):  # graphs without nodes move no rows
            total = int(host.sum())
            self.rows = rows_of(ptr[:-1][self.order], self.sizes, total)
        sizes, counts = self.host_sizes.unique_consecutive(return_counts=True)
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
        runs: Runs = []
        graph = node = nodes = graphs = 0

        def close() -> None:
            nonlocal graph, node, nodes, graphs, runs
            blocks.append(Block(slice(graph, graph + graphs), slice(node, node + nodes), runs))
            graph, node, nodes, graphs, runs = graph + graphs, node + nodes, 0, 0, []

        for size, left in self.runs:
            while left:
                if runs and nodes + size > max_nodes:
                    close()
                taken = min(left, max(1, (max_nodes - nodes) // size))
                runs.append((size, taken))
                nodes, graphs, left = nodes + taken * size, graphs + taken, left - taken
        if runs:
            close()
        return blocks


def by_size(x: Tensor, runs: Runs, dim: int = 0) -> list[Tensor]:
    """``x``, whose dimension ``dim`` is the nodes of a block, as one view for each size of graph.

    In each view this dimension is two: the graphs of the size, and their nodes.
    """
    parts = x.split([size * count for size, count in runs], dim)
    return [p.unflatten(dim, (count, size)) for p, (size, count) in zip(parts, runs, strict=True)]
