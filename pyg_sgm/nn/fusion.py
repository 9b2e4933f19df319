"""Fusion of what a node looks like with what it is called."""

import torch
from torch import Tensor, nn


class MultiModalFusion(nn.Module):
    r"""The multi-modal fusion layer of the `"Cross-modal Scene Graph Matching for
    Relationship-aware Image-Text Retrieval" <https://arxiv.org/abs/1910.05134>`_ paper (eq. 1, 2)

    .. math:: \mathbf{u} = \tanh(\mathbf{W}_u [\mathbf{v}, \mathbf{e}])

    One layer serves objects and relations alike.

    Args:
        visual_channels (int): Size of the visual feature :math:`\mathbf{v}`.
        label_channels (int): Size of the label embedding :math:`\mathbf{e}`.
        out_channels (int): Size of the fused feature.

    Shapes:
        - **input:** visual :math:`(N, F_v)`, label :math:`(N, F_e)`
        - **output:** :math:`(N, F_{out})`

    Example:
        >>> import torch
        >>> fuse = MultiModalFusion(7, 16, 32)
        >>> fuse(torch.rand(5, 7), torch.rand(5, 16)).shape
        torch.Size([5, 32])
    """

    def __init__(self, visual_channels: int, label_channels: int, out_channels: int) -> None:
        super().__init__()
        self.visual_channels = visual_channels
        self.label_channels = label_channels
        self.out_channels = out_channels
        self.lin = nn.Linear(visual_channels + label_channels, out_channels, bias=False)

    def forward(self, visual: Tensor, label: Tensor) -> Tensor:
        return torch.tanh(self.lin(torch.cat([visual, label], dim=-1)))

    def extra_repr(self) -> str:
        return f"{self.visual_channels}, {self.label_channels}, {self.out_channels}"
