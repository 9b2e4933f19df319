"""All-pairs similarity of node sets by a smooth maximum."""

from torch import Tensor

from pyg_sgm.ops.segment import segment_logsumexp, segment_mean


def lsesim(x: Tensor, x_ptr: Tensor, y: Tensor, y_ptr: Tensor, sharpness: float = 6.0) -> Tensor:
    r"""Similarity of every graph of ``x`` to every graph of ``y``, a smooth :func:`maxsim`

    .. math::
        s_{ij} = \frac{1}{N_j} \sum_{t \in j} \frac{1}{\lambda}
                 \log \sum_{v \in i} \exp(\lambda \langle y_t, x_v \rangle)

    the pooling of HOAD's first-order branch. It expects rows of length one, so that the inner
    product is a cosine. A graph without nodes, on either side, gives 0.

    Args:
        x (Tensor): Nodes that are searched (regions of the images).
        x_ptr (LongTensor): Boundaries of their graphs.
        y (Tensor): Nodes that search (words of the texts).
        y_ptr (LongTensor): Boundaries of their graphs.
        sharpness (float): The factor :math:`\lambda`. (default: :obj:`6.0`)

    Shapes:
        - **input:** x :math:`(N_x, F)`, y :math:`(N_y, F)`
        - **output:** :math:`(|\mathcal{G}_x|, |\mathcal{G}_y|)`

    Example:
        >>> import torch
        >>> x, y = torch.eye(2), torch.tensor([[1.0, 0.0]])
        >>> lsesim(x, torch.tensor([0, 1, 2]), y, torch.tensor([0, 1]))
        tensor([[1.],
                [0.]])
    """
    pooled = segment_logsumexp(sharpness * (x @ y.t()), x_ptr) / sharpness
    pooled = pooled.masked_fill((x_ptr[1:] == x_ptr[:-1])[:, None], 0)
    return segment_mean(pooled.t().contiguous(), y_ptr).t()
