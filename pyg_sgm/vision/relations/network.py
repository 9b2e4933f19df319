"""The network of the relation head: labels and boxes of a pair to predicates."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GEOMETRY = 33
_SMALLEST = 1e-3  # side of a box that divisions and logarithms see at least
_CLAMP = 5.0  # standard deviations


def pair_geometry(first: Tensor, second: Tensor) -> Tensor:
    r"""What two boxes tell about a relation, ``[num_pairs, 33]``.

    With centres :math:`c`, sides :math:`s` (at least 0.001) and areas of two boxes, the columns
    are: both boxes (8); :math:`\log s_1, \log s_2` (4); :math:`(c_2 - c_1) / s_1` and
    :math:`(c_2 - c_1) / s_2` (4); :math:`\log (s_2 / s_1)` (2); the intersection over the first
    area, the second, and the union of areas (3); both boxes in coordinates of the box around both
    (8); the log sides of that box (2); the gap between the boxes over them, negative where the
    boxes overlap (2).

    Args:
        first (Tensor): Boxes x1, y1, x2, y2 in ``[0, 1]``, ``[num_pairs, 4]``.
        second (Tensor): The boxes they are paired with, ``[num_pairs, 4]``.

    Example:
        >>> boxes = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.25, 0.0, 0.75, 1.0]])
        >>> pair_geometry(boxes[:1], boxes[1:])[0, 18:21]  # half of each is shared
        tensor([0.5000, 0.5000, 0.3333])
    """
    side, other_side = _sides(first), _sides(second)
    offset = (second[:, :2] + second[:, 2:] - first[:, :2] - first[:, 2:]) / 2
    low = torch.minimum(first[:, :2], second[:, :2])
    around = (torch.maximum(first[:, 2:], second[:, 2:]) - low).clamp(min=_SMALLEST)
    gap = torch.maximum(first[:, :2], second[:, :2]) - torch.minimum(first[:, 2:], second[:, 2:])
    shared = (-gap).clamp(min=0).prod(dim=1, keepdim=True)
    area, other_area = side.prod(dim=1, keepdim=True), other_side.prod(dim=1, keepdim=True)
    corner, scale = low.repeat(1, 2), around.repeat(1, 2)
    columns = [
        *(first, second, side.log(), other_side.log()),
        *(offset / side, offset / other_side, (other_side / side).log()),
        *(shared / area, shared / other_area, shared / (area + other_area - shared)),
        *((first - corner) / scale, (second - corner) / scale, around.log(), gap / around),
    ]
    return torch.cat(columns, dim=1)


def _sides(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=_SMALLEST)


class RelationNetwork(nn.Module):
    r"""Predicates of a pair of objects, and whether there is a relation at all.

    A label is its word vector, projected, plus a vector of its own if it was in the training data.
    With :math:`e_s, e_o` of subject and object, the pair is :math:`p = [e_s, e_o, A e_s \odot B
    e_o]`, the hidden state :math:`W p + \text{MLP}(\text{geometry}) + W_s f_s + W_o f_o` with
    region features :math:`f` where there are any, and the logits are an MLP of it plus a linear
    function of :math:`p` alone, what is usual between two such objects wherever they are.

    Args:
        num_labels (int): Labels with a vector of their own; label 0 means any other.
        num_predicates (int): Number of predicates.
        vector_channels (int, optional): Length of the word vectors. (default: :obj:`100`)
        channels (int, optional): Width of the hidden layers. (default: :obj:`256`)
        feature_channels (int, optional): Length of the region features, 0 for a network without.
            (default: :obj:`0`)
        dropout (float, optional): Dropout of the hidden layers. (default: :obj:`0.4`)

    Shapes:
        - **input:** embeddings ``[num_objects, channels // 2]`` (:meth:`embed`), boxes
          ``[num_objects, 4]`` in ``[0, 1]``, indices of subject and object ``[num_pairs]``,
          features ``[num_objects, feature_channels]`` or :obj:`None`
        - **output:** logits of the predicates ``[num_pairs, num_predicates]``, of there being a
          relation ``[num_pairs]``

    Example:
        >>> network = RelationNetwork(num_labels=3, num_predicates=5)
        >>> x = network.embed(torch.tensor([1, 2]), torch.zeros(2, 100))
        >>> boxes = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])
        >>> predicate, related = network(x, boxes, torch.tensor([0]), torch.tensor([1]))
        >>> predicate.shape, related.shape
        (torch.Size([1, 5]), torch.Size([1]))
    """

    geometry_mean: Tensor
    geometry_std: Tensor

    def __init__(
        self,
        num_labels: int,
        num_predicates: int,
        vector_channels: int = 100,
        channels: int = 256,
        feature_channels: int = 0,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        half = channels // 2
        self.register_buffer("geometry_mean", torch.zeros(GEOMETRY))
        self.register_buffer("geometry_std", torch.ones(GEOMETRY))
        self.vector = nn.Linear(vector_channels, half)
        self.own = nn.Embedding(num_labels, half, padding_idx=0)
        self.first = nn.Linear(half, channels)
        self.second = nn.Linear(half, channels)
        self.pair = nn.Linear(2 * channels, channels)
        self.geometry = nn.Linear(GEOMETRY, channels)
        self.place = nn.Linear(channels, channels)
        self.feature = nn.Linear(2 * feature_channels, channels) if feature_channels else None
        self.norm = nn.LayerNorm(channels)
        self.hidden = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, num_predicates + 1)
        self.usual = nn.Linear(2 * channels, num_predicates + 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.own.weight, std=0.1)
        with torch.no_grad():
            self.own.weight[0] = 0

    def embed(self, label: Tensor, vector: Tensor) -> Tensor:
        """Embeddings of labels: indices ``[num_objects]`` and their word vectors.

        Args:
            label (Tensor): Indices of labels, ``[num_objects]``.
            vector (Tensor): Their word vectors, ``[num_objects, dim]``.
        """
        own = self.own(label)
        if self.training:  # so that a label without a vector of its own is not a surprise
            own = own * (torch.rand(len(own), 1, device=own.device) >= 0.3)
        out: Tensor = self.vector(vector) + own
        return out

    def forward(
        self,
        x: Tensor,
        boxes: Tensor,
        subject: Tensor,
        object: Tensor,
        features: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        x_s, x_o = x[subject], x[object]
        pair = torch.cat([x_s, x_o, self.first(x_s) * self.second(x_o)], dim=1)
        pair = F.dropout(pair, self.dropout / 2, self.training)
        geometry = (pair_geometry(boxes[subject], boxes[object]) - self.geometry_mean) / (
            self.geometry_std
        )
        geometry = F.relu(self.geometry(geometry.clamp(-_CLAMP, _CLAMP)))
        x = self.pair(pair) + self.place(F.dropout(geometry, self.dropout, self.training))
        if self.feature is not None and features is not None:
            x = x + self.feature(torch.cat([features[subject], features[object]], dim=1))
        x = F.dropout(F.relu(self.norm(x)), self.dropout, self.training)
        x = F.dropout(F.relu(self.hidden(x)), self.dropout, self.training)
        logits = self.out(x) + self.usual(pair)
        return logits[:, :-1], logits[:, -1]
