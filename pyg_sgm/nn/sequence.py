"""Layers over nodes and words that are never padded longer than a batch asks for."""

import math

import torch
from torch import Tensor, nn

from pyg_sgm.ops import Packed


class PackedSelfAttention(nn.Module):
    r"""A layer of the transformer over the nodes of each graph (`"Attention Is All You Need"
    <https://arxiv.org/abs/1706.03762>`_)

    .. math::
        \mathbf{X}' = \operatorname{LayerNorm}(\mathbf{X} + \operatorname{MultiHead}(\mathbf{X})),
        \qquad
        \mathbf{X}'' = \operatorname{LayerNorm}(\mathbf{X}' + \mathbf{W}_2
        \operatorname{ReLU}(\mathbf{W}_1 \mathbf{X}'))

    Args:
        channels (int): Size of each node, a multiple of ``num_heads``.
        num_heads (int): Heads of the attention.
        hidden (int): Size of the layer in between.
        dropout (float, optional): Dropout of what both halves add. (default: :obj:`0.0`)

    Shapes:
        - **input:** nodes of :math:`(N, F)`
        - **output:** nodes of :math:`(N, F)`

    Raises:
        ValueError: If ``channels`` is no multiple of ``num_heads``.

    Example:
        >>> import torch
        >>> layer = PackedSelfAttention(8, num_heads=2, hidden=16)
        >>> layer(Packed(torch.rand(5, 8), torch.tensor([0, 2, 5]))).x.shape
        torch.Size([5, 8])
    """

    def __init__(self, channels: int, num_heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f"size {channels} is no multiple of num_heads, {num_heads}")
        self.channels = channels
        self.num_heads = num_heads
        self.lin_in = nn.Linear(channels, 3 * channels)
        self.lin_out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )
        self.mlp_norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, nodes: Packed) -> Packed:
        sides, mask = Packed(self.lin_in(nodes.x), nodes.ptr).padded()
        # [3, num_graphs, num_heads, size, channels / num_heads]
        sides = sides.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = sides.unbind(0)
        logits = query @ key.mT / math.sqrt(query.size(-1))
        lowest = torch.finfo(logits.dtype).min
        weight = logits.masked_fill(~mask[:, None, None], lowest).softmax(-1)
        gathered = (weight @ value).transpose(1, 2).flatten(2)
        graph = nodes.batch
        place = torch.arange(len(graph), device=graph.device) - nodes.ptr[graph]
        x = self.norm(nodes.x + self.dropout(self.lin_out(gathered[graph, place])))
        return Packed(self.mlp_norm(x + self.dropout(self.mlp(x))), nodes.ptr)

    def extra_repr(self) -> str:
        return f"{self.channels}, num_heads={self.num_heads}"


class PackedConv(nn.Module):
    r"""A convolution along the words of each sentence

    .. math:: \mathbf{x}'_t = \mathbf{b} + \sum_{k=1}^{K} \mathbf{W}_k \,
        \mathbf{x}_{t + k - \lceil K / 2 \rceil}

    with zeros past both ends of a sentence.

    Args:
        in_channels (int): Size of each word.
        out_channels (int): Size of the result.
        width (int): :math:`K`.

    Shapes:
        - **input:** words of :math:`(N, F_{in})`
        - **output:** words of :math:`(N, F_{out})`

    Example:
        >>> import torch
        >>> words = Packed(torch.rand(5, 8), torch.tensor([0, 2, 5]))
        >>> PackedConv(8, 16, width=3)(words).x.shape
        torch.Size([5, 16])
    """

    def __init__(self, in_channels: int, out_channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.lin = nn.Linear(width * in_channels, out_channels)

    def forward(self, words: Packed) -> Packed:
        batch = words.batch
        row = torch.arange(len(batch), device=batch.device)
        first, end = words.ptr[:-1][batch], words.ptr[1:][batch]
        parts = []
        for shift in range(-((self.width - 1) // 2), self.width // 2 + 1):
            inside = (row + shift >= first) & (row + shift < end)
            parts.append(words.x[(row + shift) * inside] * inside[:, None])
        return Packed(self.lin(torch.cat(parts, dim=1)), words.ptr)

    def extra_repr(self) -> str:
        return f"width={self.width}"


def positions(words: Packed) -> Tensor:
    r"""Sines and cosines of the place :math:`t` of every word in its sentence, from 0

    .. math:: p_{t, 2j} = \sin(t / 10^{8 j / F}), \qquad p_{t, 2j + 1} = \cos(t / 10^{8 j / F})

    Args:
        words (Packed): Words of :math:`(N, F)`.

    Example:
        >>> import torch
        >>> positions(Packed(torch.rand(3, 2), torch.tensor([0, 1, 3])))[:2]
        tensor([[0., 1.],
                [0., 1.]])
    """
    batch = words.batch
    place = torch.arange(len(batch), device=batch.device) - words.ptr[batch]
    return sinusoids(place, words.x.size(1), words.x.dtype)


def sinusoids(place: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """Sines and cosines of numbers at several rates, see :func:`positions`.

    Args:
        place (Tensor): ``[n]``.
        channels (int): Size of each encoding.
        dtype (torch.dtype): Type of the result.
    """
    channel = torch.arange(channels, device=place.device)
    rate = 1e4 ** (-2 * (channel // 2).double() / channels)
    angle = place[:, None] * rate
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).to(dtype)
