"""Vectors of similarity between regions and words, and what is made of them (SGRAF)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pyg_sgm.ops import Packed, l2_normalize, segment_mean, segment_softmax, segment_sum
from pyg_sgm.ops._attention import inverse_root


class ContextPooling(nn.Module):
    r"""A vector of length one for a set of nodes, by attention whose query is their mean (SGRAF,
    section 3.1)

    .. math::
        \bar{\mathbf{x}} = \frac{\sum_i w_i \mathbf{x}_i}{\|\sum_i w_i \mathbf{x}_i\|}, \qquad
        w_i = \operatorname{softmax}_i \mathbf{a}^\top \big( \tanh(\mathbf{W}_l \mathbf{x}_i) \circ
        \tanh(\mathbf{W}_g \mathbf{q}) \big), \qquad \mathbf{q} = \frac{1}{N} \sum_i \mathbf{x}_i

    Args:
        channels (int): Size of each node.

    Shapes:
        - **input:** nodes of :math:`(N, F)`
        - **output:** :math:`(|\mathcal{G}|, F)`

    Example:
        >>> import torch
        >>> ContextPooling(8)(Packed(torch.rand(5, 8), torch.tensor([0, 2, 5]))).shape
        torch.Size([2, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.local = nn.Linear(channels, channels)
        self.context = nn.Linear(channels, channels)
        self.attention = nn.Linear(channels, 1, bias=False)

    def forward(self, nodes: Packed) -> Tensor:
        query = torch.tanh(self.context(segment_mean(nodes.x, nodes.ptr)))
        both = torch.tanh(self.local(nodes.x)) * query[nodes.batch]
        weight = segment_softmax(self.attention(both), nodes.ptr)
        return l2_normalize(segment_sum(weight * nodes.x, nodes.ptr))

    def extra_repr(self) -> str:
        return f"{self.channels}"


class SimilarityVector(nn.Module):
    r"""What two vectors have in common, as a vector of length one (SGRAF)

    .. math::
        \mathbf{s}(\mathbf{x}, \mathbf{y}) = \frac{\mathbf{W} |\mathbf{x} - \mathbf{y}|^2}
        {\| \mathbf{W} |\mathbf{x} - \mathbf{y}|^2 \|}

    Args:
        in_channels (int): Size of both vectors.
        out_channels (int): Size of the similarity.

    Shapes:
        - **input:** x and y :math:`(*, F_{in})`
        - **output:** :math:`(*, F_{out})`

    Example:
        >>> import torch
        >>> SimilarityVector(8, 4)(torch.rand(2, 8), torch.rand(2, 8)).shape
        torch.Size([2, 4])
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.lin = nn.Linear(in_channels, out_channels, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return l2_normalize(self.lin((x - y).square()))


def attended(image: Tensor, text: Tensor, image_mask: Tensor, sharpness: float) -> Tensor:
    r"""What every word attends to in every image (SGRAF, with the attention of SCAN)

    .. math::
        \mathbf{a}_j = \sum_i \operatorname{softmax}_i (\lambda \bar{c}_{ij}) \mathbf{v}_i, \qquad
        \bar{c}_{ij} = \frac{[c_{ij}]_+}{\sqrt{\sum_{j'} [c_{ij'}]_+^2}}

    of regions and words of length one with inner product :math:`c`. Words of zeros, which fill up
    a block, change nothing.

    Args:
        image (Tensor): Regions, ``[num_images, n, dim]``.
        text (Tensor): Words, ``[num_texts, m, dim]``.
        image_mask (Tensor): Which regions are real, ``[num_images, n]``.
        sharpness (float): :math:`\lambda`.

    Returns:
        ``[num_images, num_texts, m, dim]``; 0 in an image without regions.
    """
    (g, n, dim), (c, m, _) = image.shape, text.shape
    product = text.reshape(c * m, dim) @ image.reshape(g * n, dim).t()
    positive = product.relu().view(c, m, g, n)
    share = positive * (sharpness * inverse_root(positive.square().sum(1, keepdim=True)))
    share = share.masked_fill(~image_mask, torch.finfo(share.dtype).min)
    weight = share.softmax(-1).view(c * m, g, n).transpose(0, 1)
    return (weight @ image).view(g, c, m, dim)


class SimilarityReasoning(nn.Module):
    r"""Similarity graph reasoning (SGRAF): similarities exchange what they know over a
    complete graph, in several steps

    .. math::
        e_{pq} = \operatorname{softmax}_q (\mathbf{W}_{in} \mathbf{s}_p)^\top (\mathbf{W}_{out}
        \mathbf{s}_q), \qquad
        \mathbf{s}'_p = \operatorname{ReLU}\Big( \mathbf{W}_r \sum_q e_{pq} \mathbf{s}_q \Big)

    The global node of the last step is scored, so it alone is computed there.

    Args:
        channels (int): Size of each similarity.
        num_steps (int): Steps.

    Shapes:
        - **input:** similarities :math:`(*, M, F)`, the global one first, and which are real
          :math:`(*, M)`
        - **output:** :math:`(*)`
    """

    def __init__(self, channels: int, num_steps: int) -> None:
        super().__init__()
        self.query = nn.ModuleList(nn.Linear(channels, channels) for _ in range(num_steps))
        # A bias of the keys would add the same to all logits of a query.
        self.key = nn.ModuleList(
            nn.Linear(channels, channels, bias=False) for _ in range(num_steps)
        )
        self.out = nn.ModuleList(nn.Linear(channels, channels) for _ in range(num_steps))
        self.lin = nn.Linear(channels, 1)

    def forward(self, similarities: Tensor, mask: Tensor) -> Tensor:
        s = similarities
        lowest = torch.finfo(s.dtype).min
        for step, (query, key, out) in enumerate(zip(self.query, self.key, self.out, strict=True)):
            asking = s[..., :1, :] if step == len(self.query) - 1 else s
            # Both matrices are one, so that the keys are the similarities themselves.
            assert isinstance(query, nn.Linear)
            assert isinstance(key, nn.Linear)
            turned = key.weight.t()
            queries = F.linear(asking, turned @ query.weight, turned @ query.bias)
            # Keys in the last dimension but one, over which a CPU has a far faster softmax.
            logits = (s @ queries.mT).masked_fill(~mask[..., None], lowest)
            s = out(logits.softmax(-2).mT @ s).relu()
        score: Tensor = self.lin(s[..., 0, :]).squeeze(-1)
        return score


class SimilarityFiltration(nn.Module):
    r"""Similarity attention filtration (SGRAF): a mean of the similarities in which those
    that say little count little

    .. math::
        \mathbf{s} = \frac{\sum_p \beta_p \mathbf{s}_p}{\sum_p \beta_p}, \qquad
        \beta_p = \sigma(\mathbf{w}^\top \mathbf{s}_p + b)

    Args:
        channels (int): Size of each similarity.

    Shapes:
        - **input:** similarities :math:`(*, M, F)`, and which are real :math:`(*, M)`
        - **output:** :math:`(*)`
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(channels, 1)
        self.lin = nn.Linear(channels, 1)

    def forward(self, similarities: Tensor, mask: Tensor) -> Tensor:
        beta = torch.sigmoid(self.gate(similarities).squeeze(-1)) * mask
        beta = beta / beta.sum(-1, keepdim=True)  # the global one is always there
        score: Tensor = self.lin((beta[..., None, :] @ similarities).squeeze(-2)).squeeze(-1)
        return score
