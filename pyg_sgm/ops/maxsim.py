"""All-pairs similarity of node sets by their best matches."""

from torch import Tensor

from pyg_sgm.ops.segment import segment_max, segment_sum


def maxsim(
    x: Tensor, x_ptr: Tensor, y: Tensor, y_ptr: Tensor, weight: Tensor | None = None
) -> Tensor:
    r"""Similarity of every graph of ``x`` to every graph of ``y`` by the best match of each node
    of ``y`` (SGM, eq. 6 and 7)

    .. math:: s_{ij} = \sum_{t \in j} w_t \max_{v \in i} \langle y_t, x_v \rangle

    with :math:`w_t = 1 / N_j` where no weight is given, that is the mean over the nodes of graph
    :math:`j`. A graph without nodes, on either side, gives 0.

    Args:
        x (Tensor): Nodes that are searched (objects or relations of the images).
        x_ptr (LongTensor): Boundaries of their graphs.
        y (Tensor): Nodes that search (words or triplets of the texts).
        y_ptr (LongTensor): Boundaries of their graphs.
        weight (Tensor, optional): Weight of every node of ``y``. (default: :obj:`None`)

    Shapes:
        - **input:** x :math:`(N_x, F)`, y :math:`(N_y, F)`, weight :math:`(N_y)`
        - **output:** :math:`(|\mathcal{G}_x|, |\mathcal{G}_y|)`

    Example:
        >>> import torch
        >>> x, y = torch.eye(3), torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.0, -2.0]])
        >>> maxsim(x, torch.tensor([0, 2, 3]), y, torch.tensor([0, 2]))
        tensor([[ 0.5000],
                [-1.0000]])
    """
    if weight is None:
        size = y_ptr[1:] - y_ptr[:-1]
        weight = (1 / size.to(y.dtype)).repeat_interleave(size)
    best = segment_max(x @ y.t(), x_ptr)  # [num_x_graphs, num_y_nodes]
    best = best.masked_fill((x_ptr[1:] == x_ptr[:-1])[:, None], 0)
    return segment_sum((best * weight).t().contiguous(), y_ptr).t()
