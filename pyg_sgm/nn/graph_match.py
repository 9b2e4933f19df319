"""Matching of the nodes of two graphs, and of their neighborhoods (GSMN)."""

import math

import torch
from torch import Tensor, nn

from pyg_sgm.ops import l2_normalize
from pyg_sgm.ops._attention import inverse_root, wide


def block_cosine(x: Tensor, y: Tensor, num_blocks: int) -> Tensor:
    r"""Cosines of two vectors block by block (GSMN): their channels are cut into equal parts.

    Where a part of either is zero, so is its cosine.

    Args:
        x (Tensor): ``[..., dim]``.
        y (Tensor): Broadcasts with ``x``.
        num_blocks (int): Number of parts, a divisor of ``dim``.

    Example:
        >>> import torch
        >>> block_cosine(torch.tensor([1.0, 0, 1, 0]), torch.tensor([2.0, 0, 0, 3]), 2)
        tensor([1., 0.])
    """
    x, y = x.unflatten(-1, (num_blocks, -1)), y.unflatten(-1, (num_blocks, -1))
    dtype, x, y = x.dtype, wide(x), wide(y)
    norm = inverse_root(x.square().sum(-1)) * inverse_root(y.square().sum(-1))
    return ((x * y).sum(-1) * norm).to(dtype)


class WordNeighbors(nn.Module):
    r"""Structure matching over the words of a text (GSMN): what every word matched
    is gathered over a complete graph, by similarity

    .. math::
        \hat{\mathbf{x}}_i = \operatorname{ReLU}\Big( \mathbf{W} \sum_j w_{ij} \mathbf{x}_j +
        \mathbf{b} \Big), \qquad
        w_{i \cdot} = \frac{s_{i \cdot}}{\|s_{i \cdot}\|}, \quad
        s_{ij} = \operatorname{softmax}_j (\lambda \mathbf{u}_i^\top \mathbf{u}_j)

    Args:
        in_channels (int): Size of what a word matched.
        out_channels (int): Size of the result.
        sharpness (float): :math:`\lambda`.

    Shapes:
        - **input:** matches :math:`(G, C, M, F_{in})` with :math:`G` images, words
          :math:`(C, M, F)`
          and which are real :math:`(C, M)`
        - **output:** :math:`(G, C, M, F_{out})`
    """

    def __init__(self, in_channels: int, out_channels: int, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.lin = nn.Linear(in_channels, out_channels)

    def forward(self, matches: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        logits = self.sharpness * (words @ words.mT)
        lowest = torch.finfo(logits.dtype).min
        edges = l2_normalize(logits.masked_fill(~mask[:, None], lowest).softmax(-1))
        out: Tensor = self.lin(edges @ matches).relu()
        return out


class RegionNeighbors(nn.Module):
    r"""Structure matching over the regions of an image (GSMN): what every region matched is
    gathered under several Gaussian kernels on where the others lie from its center, at distance
    :math:`\rho` and angle :math:`\theta`

    .. math::
        \hat{\mathbf{x}}_i = \big\Vert_k \operatorname{ReLU}\Big( \mathbf{W}_k \sum_j
        \frac{g_k(\rho_{ij}, \theta_{ij})}{\sum_{j'} g_k(\rho_{ij'}, \theta_{ij'})} \mathbf{x}_j +
        \mathbf{b}_k \Big), \qquad
        g_k(\rho, \theta) = e^{-\frac{(\rho - \mu_k)^2}{2 \sigma_k^2}} \,
        e^{-\frac{\angle(\theta, \nu_k)^2}{2 \tau_k^2}}

    with the smaller angle :math:`\angle` between two directions. Means and deviations are learned.

    Args:
        in_channels (int): Size of what a region matched.
        out_channels (int): Size of the result, a multiple of ``num_kernels``.
        num_kernels (int): Number of kernels.

    Shapes:
        - **input:** matches :math:`(G, C, N, F_{in})` with :math:`C` texts, centers
          :math:`(G, N, 2)` and which are real :math:`(G, N)`
        - **output:** :math:`(G, C, N, F_{out})`
    """

    def __init__(self, in_channels: int, out_channels: int, num_kernels: int) -> None:
        super().__init__()
        self.distance = nn.Parameter(torch.rand(num_kernels))
        self.angle = nn.Parameter(math.pi * (2 * torch.rand(num_kernels) - 1))
        self.log_deviation = nn.Parameter(torch.zeros(2, num_kernels))  # of distance, of angle
        self.lin = nn.ModuleList(
            nn.Linear(in_channels, out_channels // num_kernels) for _ in range(num_kernels)
        )

    def forward(self, matches: Tensor, centers: Tensor, mask: Tensor) -> Tensor:
        edges = self.kernels(centers, mask)  # [num_images, num_kernels, n, n]
        out = [lin(edges[:, k, None] @ matches).relu() for k, lin in enumerate(self.lin)]
        return torch.cat(out, dim=-1)

    def kernels(self, centers: Tensor, mask: Tensor) -> Tensor:
        """Weights of all regions for each, ``[num_images, num_kernels, n, n]``.

        Args:
            centers (Tensor): ``[num_images, n, 2]``.
            mask (Tensor): Which are real, ``[num_images, n]``.
        """
        apart = (centers[:, None] - centers[:, :, None]).to(self.distance.dtype)
        distance = apart.square().sum(-1).sqrt()[:, None]  # no gradient goes to boxes
        angle = torch.atan2(apart[..., 1], apart[..., 0])[:, None]
        mean, turned = self.distance[:, None, None], self.angle[:, None, None]
        between = (angle - turned + math.pi).remainder(2 * math.pi) - math.pi
        deviation = self.log_deviation.exp()[:, :, None, None]
        logits = ((distance - mean) / deviation[0]).square() + (between / deviation[1]).square()
        lowest = torch.finfo(logits.dtype).min
        # Gaussians that add up to one are a softmax of their exponents.
        return (-logits / 2).masked_fill(~mask[:, None, None], lowest).softmax(-1)
