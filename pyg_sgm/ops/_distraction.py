"""How much of a reference the query does not ask for (HOAD, section 3.7)."""

from torch import Tensor

from pyg_sgm.ops._attention import TINY, cross_attention
from pyg_sgm.ops._blocks import sum_dtype
from pyg_sgm.ops._packed import Packed


def distraction_vector(attention: Tensor) -> Tensor:
    r"""The distraction vector: what share of the query's votes each node of the reference gets.

    Every node of the query has one vote, which it splits in proportion to its attention; the sums
    are scaled to add up to one. Nodes that attend to nothing do not vote, and where none votes the
    vector is zero.

    Args:
        attention (Tensor): Attention of the query's nodes (rows) on the reference's (columns);
            negative weights are cut to 0.

    Shapes:
        - **input:** :math:`(*, N_{query}, N_{reference})`
        - **output:** :math:`(*, N_{reference})`

    Example:
        >>> import torch
        >>> distraction_vector(torch.tensor([[0.2, 0.2], [0.0, 0.9], [0.0, 0.0]]))
        tensor([0.2500, 0.7500])
    """
    share = _scale(attention.clamp(min=0))
    return _scale(share.sum(-2))


def distraction(votes: Tensor, mask: Tensor | None = None, eps: float = 1e-8) -> Tensor:
    r"""Distraction score: the entropy of the votes (HOAD, eq. 10)

    .. math:: - \sum_i (v_i + \epsilon) \log(v_i + \epsilon)

    It is high where every node of the reference is asked for, low where few are.

    Args:
        votes (Tensor): Distraction vectors, from :func:`distraction_vector`.
        mask (BoolTensor, optional): Which nodes are real. (default: all)
        eps (float, optional): Keeps the logarithm finite. (default: :obj:`1e-8`)

    Shapes:
        - **input:** votes and mask :math:`(*, N_{reference})`
        - **output:** :math:`(*)`, in nats; of votes in half precision in float32

    Example:
        >>> import torch
        >>> distraction(torch.tensor([[0.5, 0.5], [0.0, 1.0]])).round(decimals=4).abs()
        tensor([0.6931, 0.0000])
    """
    # In half precision eps is nothing, and the logarithm of nothing is not finite.
    votes = votes.to(sum_dtype(votes.dtype))
    term = (votes + eps) * (votes + eps).log()
    if mask is not None:
        term = term.masked_fill(~mask, 0)
    return -term.sum(-1)


def distraction_pairs(
    query: Packed, reference: Packed, query_index: Tensor, reference_index: Tensor
) -> Tensor:
    r"""Distraction score of given pairs of graphs, as re-ranking needs for its first few. Nodes in
    half precision vote in float32.

    Args:
        query (Packed): Nodes of the queries, which vote.
        reference (Packed): Nodes of the references.
        query_index (LongTensor): Query of every pair.
        reference_index (LongTensor): Reference of every pair.

    Shapes:
        - **input:** both indices :math:`(P)`
        - **output:** :math:`(P)`, in nats

    Example:
        >>> import torch
        >>> text = Packed(torch.eye(2), torch.tensor([0, 2]))
        >>> image = Packed(torch.eye(2), torch.tensor([0, 1, 2]))
        >>> zero = torch.tensor([0])
        >>> distraction_pairs(image, text, zero, zero).abs() < 1e-6
        tensor([True])
    """
    x, _ = query.padded(query_index)  # [num_pairs, num_query, dim]
    y, mask = reference.padded(reference_index)
    dtype = sum_dtype(x.dtype)
    votes = distraction_vector(cross_attention(x.to(dtype), y.to(dtype)))
    return distraction(votes, mask)


def _scale(x: Tensor) -> Tensor:
    """Rows that add up to one; a row of zeros stays."""
    total = x.sum(-1, keepdim=True)
    return x / total.masked_fill(total <= TINY, 1)
