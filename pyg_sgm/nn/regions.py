"""What the objects of an image look like."""

import torch
from torch import Tensor, nn
from torch_geometric.data.storage import NodeStorage

from pyg_sgm.nn.geometry import GEOMETRY_CHANNELS, box_geometry


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
