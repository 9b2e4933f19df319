"""Random packed graphs for the tests of the operations."""

import torch
from torch import Tensor


def ragged(
    sizes: list[int], dim: int, seed: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Gaussian nodes of graphs of the given sizes, and their boundaries."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(sizes), dim, generator=generator, dtype=torch.float64)
    return x.to(dtype), torch.tensor([0, *sizes]).cumsum(0)
