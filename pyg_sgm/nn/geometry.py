"""Geometry of boxes, the visual input of nodes that have no region feature."""

import torch
from torch import Tensor

GEOMETRY_CHANNELS = 7


def box_geometry(box: Tensor) -> Tensor:
    """Corners, size and area of boxes: x1, y1, x2, y2, width, height, area.

    Args:
        box (Tensor): Normalized boxes x1, y1, x2, y2, ``[num_boxes, 4]``.

    Returns:
        ``[num_boxes, 7]``, each in ``[0, 1]``.

    Example:
        >>> import torch
        >>> box_geometry(torch.tensor([[0.0, 0.5, 0.5, 1.0]]))
        tensor([[0.0000, 0.5000, 0.5000, 1.0000, 0.5000, 0.5000, 0.2500]])
    """
    size = box[:, 2:] - box[:, :2]
    return torch.cat([box, size, size.prod(dim=1, keepdim=True)], dim=1)


def union_box(a: Tensor, b: Tensor) -> Tensor:
    """The smallest boxes that cover two boxes each, ``[num_boxes, 4]``.

    Example:
        >>> import torch
        >>> union_box(torch.tensor([[0.0, 0.5, 0.5, 1.0]]), torch.tensor([[0.2, 0.0, 0.4, 0.6]]))
        tensor([[0.0000, 0.0000, 0.5000, 1.0000]])
    """
    return torch.cat([torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:])], dim=1)
