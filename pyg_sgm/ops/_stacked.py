"""Stacked cross attention between the nodes of all pairs of graphs (SCAN)."""

from typing import Literal

import torch
from torch import Tensor

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.ops._attention import inverse_root
from pyg_sgm.ops._packed import Packed
from pyg_sgm.ops._products import row_products

Pooling = Literal["average", "lse"]
BLOCK = 2**23  # pairs of nodes that are attended to at once


@renamed_arguments(sharpness="inverse_temperature", pooling_sharpness="pooling_inverse_temperature")
def stacked_attention(
    query: Packed,
    reference: Packed,
    inverse_temperature: float = 9.0,
    pooling: Pooling = "lse",
    pooling_inverse_temperature: float = 6.0,
) -> Tensor:
    r"""Similarity of graphs by what every node of one attends to in the other, the stacked cross
    attention of the `"Stacked Cross Attention for Image-Text Matching"
    <https://arxiv.org/abs/1803.08024>`_ paper

    .. math::
        \bar{s}_{qr} = \frac{[s_{qr}]_+}{\sqrt{\sum_{q'} [s_{q'r}]_+^2}}, \qquad
        \mathbf{a}_q = \sum_r \operatorname{softmax}_r(\lambda_1 \bar{s}_{qr}) \, \mathbf{x}_r,
        \qquad R_q = \cos(\mathbf{x}_q, \mathbf{a}_q)

    with :math:`s` the inner product, pooled over the nodes of the query as their mean or as
    :math:`\frac{1}{\lambda_2} \log \sum_q \exp(\lambda_2 R_q)`. A graph without nodes, on either
    side, gives 0.

    Args:
        query (Packed): Nodes of length one that attend.
        reference (Packed): Nodes of length one that are attended to.
        inverse_temperature (float, optional): :math:`\lambda_1`. (default: :obj:`9.0`)
        pooling (str, optional): ``"average"`` or ``"lse"``. (default: :obj:`"lse"`)
        pooling_inverse_temperature (float, optional): :math:`\lambda_2`. (default: :obj:`6.0`)

    Shapes:
        - **input:** query of :math:`(N_q, F)`, reference of :math:`(N_r, F)`
        - **output:** :math:`(|\mathcal{G}_q|, |\mathcal{G}_r|)`

    Example:
        >>> import torch
        >>> query = Packed(torch.eye(2), torch.tensor([0, 2]))
        >>> reference = Packed(torch.eye(2), torch.tensor([0, 1, 2]))
        >>> stacked_attention(query, reference, pooling="average")
        tensor([[0.5000, 0.5000]])
    """
    y, y_mask = reference.padded()  # [num_references, m, dim]
    largest = int(query.sizes.max()) if len(query) else 0
    step = max(1, BLOCK // max(1, largest * y_mask.numel()))
    gram = y @ y.mT  # [num_references, m, m]
    rows = [
        _block(
            query, index, y, y_mask, gram, inverse_temperature, pooling, pooling_inverse_temperature
        )
        for index in torch.arange(len(query), device=query.ptr.device).split(step)
    ]
    return torch.cat(rows) if rows else y.new_zeros(0, len(reference))


def stacked_weights(query: Tensor, reference: Tensor, inverse_temperature: float = 9.0) -> Tensor:
    r"""What every node of one graph attends to in another: the softmax of
    :func:`stacked_attention`.

    Args:
        query (Tensor): Nodes of length one that attend.
        reference (Tensor): Nodes of length one that are attended to.
        inverse_temperature (float, optional): :math:`\lambda_1`. (default: :obj:`9.0`)

    Shapes:
        - **input:** query :math:`(N_q, F)`, reference :math:`(N_r, F)`
        - **output:** :math:`(N_q, N_r)`, rows that add up to one

    Example:
        >>> import torch
        >>> stacked_weights(torch.eye(2), torch.eye(2), inverse_temperature=1.0)
        tensor([[0.7311, 0.2689],
                [0.2689, 0.7311]])
    """
    positive = row_products(query, reference).relu()
    share = positive * inverse_root(positive.square().sum(0, keepdim=True))
    return (inverse_temperature * share).softmax(1)


def _block(
    query: Packed,
    index: Tensor,
    y: Tensor,
    y_mask: Tensor,
    gram: Tensor,
    inverse_temperature: float,
    pooling: Pooling,
    pooling_inverse_temperature: float,
) -> Tensor:
    x, x_mask = query.padded(index)  # [num_queries, n, dim]
    count = x_mask.sum(1)[:, None]
    filled = (count > 0) & y_mask.any(1)  # [num_queries, num_references]
    if x.size(1) == 0 or y.size(1) == 0:
        return x.new_zeros(filled.shape)
    product = torch.einsum("and,bmd->abnm", x, y)
    positive = product.relu()
    share = positive * inverse_root(positive.square().sum(2, keepdim=True))
    absent = ~y_mask[:, None]  # [num_references, 1, m]
    # Padding gets no weight; a reference without nodes is left out below.
    attention = (inverse_temperature * share).masked_fill(
        absent & y_mask.any(1)[:, None, None], -torch.inf
    )
    attention = attention.softmax(-1)
    square = ((attention @ gram) * attention).sum(-1)  # squared length of what is attended to
    cosine = (attention * product).sum(-1) * inverse_root(square)  # [num_queries, num_refs, n]
    absent = ~x_mask[:, None]
    if pooling == "average":
        pooled = cosine.masked_fill(absent, 0).sum(-1) / count.clamp(min=1)
    else:
        scaled = (pooling_inverse_temperature * cosine).masked_fill(
            absent & (count > 0)[..., None], -torch.inf
        )
        pooled = scaled.logsumexp(-1) / pooling_inverse_temperature
    return pooled.masked_fill(~filled, 0)
