"""What the objects of an image look like."""

import torch
from torch import Tensor, nn
from torch_geometric.data.storage import NodeStorage

from pyg_sgm.nn.geometry import GEOMETRY_CHANNELS, box_geometry
from pyg_sgm.ops import segment_sum


class RegionInput(nn.Module):
    r"""Region features of objects, or the geometry of their boxes where there are none, projected.

    Args:
        feature_channels (int): Width of the region features; 0 if there are none.
        label_channels (int): Size of the label embeddings that enter beside; 0 for none.
        out_channels (int): Size of the result.

    Shapes:
        - **input:** object nodes of image graphs, and their label embeddings
          :math:`(N, F_{label})`
        - **output:** :math:`(N, F_{out})`

    Raises:
        ValueError: If the graphs have neither features nor boxes, or features of another width.

    Example:
        >>> import torch
        >>> from torch_geometric.data import HeteroData
        >>> graph = HeteroData(object={"box": torch.tensor([[0.0, 0.5, 0.5, 1.0]])})
        >>> RegionInput(0, 16, 32)(graph["object"], torch.rand(1, 16)).shape
        torch.Size([1, 32])
    """

    def __init__(self, feature_channels: int, label_channels: int, out_channels: int) -> None:
        super().__init__()
        self.feature_channels = feature_channels
        self.label_channels = label_channels
        self.lin = nn.Linear((feature_channels or GEOMETRY_CHANNELS) + label_channels, out_channels)

    def forward(self, objects: NodeStorage, names: Tensor) -> Tensor:
        look = region_look(objects, self.feature_channels)
        out: Tensor = self.lin(torch.cat([look, names], dim=-1) if self.label_channels else look)
        return out


def region_look(objects: NodeStorage, feature_channels: int) -> Tensor:
    """Region features of objects, or the geometry of their boxes.

    Args:
        objects (NodeStorage): Object nodes of image graphs.
        feature_channels (int): Width of the features; 0 if boxes stand for them.

    Raises:
        ValueError: If the graphs have neither features nor boxes, or features of another width.
    """
    if feature_channels:
        x: Tensor | None = objects.get("x")
        if x is None or x.size(1) != feature_channels:
            width = 0 if x is None else x.size(1)
            raise ValueError(f"object.x: {width} features, the model has {feature_channels}")
        return x
    if "box" not in objects:
        raise ValueError("image graphs have neither region features nor boxes")
    return box_geometry(objects.box)


def whole_image(x: Tensor, box: Tensor, ptr: Tensor) -> Tensor:
    """Mean over the regions that span their whole image, such as the first of the detector
    ``grid``; over all regions of an image that has none, and zero without regions.

    Args:
        x (Tensor): Of regions, ``[num_regions, dim]``.
        box (Tensor): Their normalized boxes, ``[num_regions, 4]``.
        ptr (LongTensor): Boundaries of the images, ``[num_images + 1]``.

    Returns:
        ``[num_images, dim]``.

    Example:
        >>> x, box = torch.tensor([[1.0], [3.0]]), torch.tensor([[0, 0, 1, 1], [0, 0, 0.5, 1]])
        >>> whole_image(x, box, torch.tensor([0, 2])), whole_image(x, box / 2, torch.tensor([0, 2]))
        (tensor([[1.]]), tensor([[2.]]))
    """
    spans = (box[:, :2] <= 0).all(dim=1) & (box[:, 2:] >= 1).all(dim=1)
    counts = segment_sum(spans.to(x.dtype), ptr)  # [num_images]
    counted = spans | (counts == 0).repeat_interleave(ptr.diff(), output_size=len(x))
    weight = counted.to(x.dtype)[:, None]
    return segment_sum(weight * x, ptr) / segment_sum(weight, ptr).clamp(min=1)
