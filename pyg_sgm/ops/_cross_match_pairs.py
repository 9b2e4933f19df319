"""HOAD's comparison of two scene graphs: attention, perspectives and weighted sums."""

from torch import Tensor

from pyg_sgm.ops._attention import cross_attention, multi_perspective_cosine
from pyg_sgm.ops._packed import Packed


def cross_match_pairs(
    x: Packed,
    y: Packed,
    x_index: Tensor,
    y_index: Tensor,
    x_beta: Tensor,
    y_beta: Tensor,
    x_weight: Tensor,
    y_weight: Tensor,
    attention: bool = True,
) -> tuple[Tensor, Tensor]:
    r"""Matching vectors of given pairs of graphs (HOAD, eq. 4 to 7 and 9)

    .. math::
        \bar{m}^x_k = \sum_{i} \beta^x_i \cos(W^x_k \circ x_i, W^x_k \circ \tilde{x}_i), \qquad
        \bar{m}^y_k = \sum_{j} \beta^y_j \cos(W^y_k \circ y_j, W^y_k \circ \tilde{y}_j)

    with :math:`\tilde{x}_i` the mean of the other graph's nodes by attention
    (:func:`cross_attention`). A node that attends to nothing adds nothing, and a
    graph without nodes gives zeros.

    Args:
        x (Packed): Nodes of the images' graphs.
        y (Packed): Nodes of the texts' graphs.
        x_index (LongTensor): Image of every pair.
        y_index (LongTensor): Text of every pair.
        x_beta (Tensor): Weight of every node in the sum (eq. 8).
        y_beta (Tensor): The same for the texts.
        x_weight (Tensor): Perspectives of the images' side.
        y_weight (Tensor): Perspectives of the texts' side.
        attention (bool, optional): If set to :obj:`False`, a node sees the plain mean of the other
            graph instead (the ablation without cross-graph attention). (default: :obj:`True`)

    Shapes:
        - **input:** x_index and y_index :math:`(P)`, x_beta :math:`(N_x)`, y_beta :math:`(N_y)`,
          x_weight and y_weight :math:`(L, F)`
        - **output:** two tensors :math:`(P, L)`, of the images' and of the texts' side

    Example:
        >>> import torch
        >>> graph = Packed(torch.eye(2), torch.tensor([0, 2]))
        >>> zero, half, weight = torch.tensor([0]), torch.tensor([0.5, 0.5]), torch.ones(1, 2)
        >>> cross_match_pairs(graph, graph, zero, zero, half, half, weight, weight)
        (tensor([[1.]]), tensor([[1.]]))
    """
    x_nodes, _ = x.padded(x_index)  # [num_pairs, n, dim]
    y_nodes, _ = y.padded(y_index)  # [num_pairs, k, dim]
    x_share, _ = Packed(x_beta[:, None], x.ptr).padded(x_index)  # [num_pairs, n, 1]
    y_share, _ = Packed(y_beta[:, None], y.ptr).padded(y_index)
    if attention:
        alpha = cross_attention(x_nodes, y_nodes)  # [num_pairs, n, k]
    else:
        alpha = x_nodes.new_ones(*x_nodes.shape[:2], y_nodes.size(1))
    # A cosine does not see the length of its arguments, so eq. 5 needs no division.
    x_seen = alpha @ y_nodes
    y_seen = alpha.transpose(1, 2) @ x_nodes
    x_match = (x_share * multi_perspective_cosine(x_nodes, x_seen, x_weight)).sum(1)
    y_match = (y_share * multi_perspective_cosine(y_nodes, y_seen, y_weight)).sum(1)
    return x_match, y_match
