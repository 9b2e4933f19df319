"""Geometry of boxes, the visual input of nodes that have no region feature."""

import torch
from torch import Tensor

GEOMETRY_CHANNELS = 7
PAIR_CHANNELS = 12


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


def pair_geometry(subject: Tensor, object: Tensor) -> Tensor:
    r"""How the box of a subject lies to that of its object.

    Of each pair: the distance of the centers along x and y, the same in units of the mean width
    and height, the intersection over the area of the subject, over that of the object, and over
    the union, half the logarithm of the quotient of the areas, their roots, and the distances of
    the lower and of the upper edges. Each is cut to :math:`[-4, 4]`.

    Args:
        subject (Tensor): Normalized boxes x1, y1, x2, y2, ``[num_pairs, 4]``.
        object (Tensor): Likewise.

    Returns:
        Tensor: ``[num_pairs, 12]``.

    Example:
        >>> import torch
        >>> man, horse = torch.tensor([[0.4, 0.2, 0.6, 0.6]]), torch.tensor([[0.2, 0.4, 0.8, 0.9]])
        >>> geometry = pair_geometry(man, horse)
        >>> geometry[0, :2]  # above, not beside
        tensor([ 0.0000, -0.2500])
    """
    low, high = (
        torch.maximum(subject[:, :2], object[:, :2]),
        torch.minimum(subject[:, 2:], object[:, 2:]),
    )
    both = (high - low).clamp(min=0).prod(dim=1)
    size = [box[:, 2:] - box[:, :2] for box in (subject, object)]
    area = [each.prod(dim=1).clamp(min=1e-4) for each in size]
    distance = (subject[:, :2] + subject[:, 2:] - object[:, :2] - object[:, 2:]) / 2
    scaled = 2 * distance / (size[0] + size[1]).clamp(min=0.02)
    rest = [
        both / area[0],
        both / area[1],
        both / (area[0] + area[1] - both),
        (area[0] / area[1]).log() / 2,
        area[0].sqrt(),
        area[1].sqrt(),
        subject[:, 3] - object[:, 3],
        subject[:, 1] - object[:, 1],
    ]
    return torch.cat([distance, scaled, torch.stack(rest, dim=1)], dim=1).clamp(-4, 4)
