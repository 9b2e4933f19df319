"""What regions are called by the classes that their networks were trained with."""

import math

import torch
from torch import Tensor, nn

from pyg_sgm.ops import l2_normalize


class ClassWords(nn.Module):
    r"""Words for regions, from the classes that the networks of their features tell apart

    .. math::
        \mathbf{c}_o = \frac{\sqrt{d}}{4} \,
        \frac{\bar{\mathbf{t}}_o - \mathbf{m}}{\|\bar{\mathbf{t}}_o - \mathbf{m}\|}, \qquad
        \bar{\mathbf{t}}_o = \sum_k p_k \frac{\mathbf{t}_k}{\|\mathbf{t}_k\|}, \qquad
        \mathbf{p} = \operatorname{softmax}(\mathbf{W} \mathbf{v}_o + \mathbf{b})

    where :math:`\mathbf{W}` and :math:`\mathbf{b}` are the last layer of the network,
    :math:`\mathbf{t}_k` is what a language model makes of the name of a class, and
    :math:`\mathbf{m}` the mean of :math:`\bar{\mathbf{t}}` over the regions of the training.
    Nothing of it is learned; :meth:`set` gives it.

    Args:
        channels (int): Width of the region features.
        num_classes (int): Number of classes.
        out_channels (int): Size of what the language model makes of a name.
        dim (int, optional): Size of its vectors, :math:`d`, of which there may be several side by
            side; each is what the formula says. (default: ``out_channels``)

    Shapes:
        - **input:** region features ``[num_objects, channels]``
        - **output:** ``[num_objects, out_channels]``

    Example:
        >>> words = ClassWords(5, 3, 8)
        >>> words.set(torch.eye(3, 5), torch.zeros(3), torch.randn(3, 8), torch.randn(9, 5))
        >>> words(torch.randn(4, 5)).norm(dim=1)
        tensor([0.7071, 0.7071, 0.7071, 0.7071])
    """

    weight: Tensor
    bias: Tensor
    vectors: Tensor
    mean: Tensor

    def __init__(
        self, channels: int, num_classes: int, out_channels: int, dim: int | None = None
    ) -> None:
        super().__init__()
        self.dim = dim or out_channels
        self.register_buffer("weight", torch.zeros(num_classes, channels))
        self.register_buffer("bias", torch.zeros(num_classes))
        self.register_buffer("vectors", torch.zeros(num_classes, out_channels))
        self.register_buffer("mean", torch.zeros(out_channels))

    def set(self, weight: Tensor, bias: Tensor, vectors: Tensor, x: Tensor) -> None:
        """Sets what is known of the classes.

        Args:
            weight (Tensor): The last layer of the network, ``[num_classes, channels]``.
            bias (Tensor): ``[num_classes]``.
            vectors (Tensor): Of the names of the classes, ``[num_classes, out_channels]``.
            x (Tensor): Features of regions of the training, ``[num_objects, channels]``.
        """
        known = {"weight": weight, "bias": bias, "vectors": self._unit(vectors)}
        self.load_state_dict({**known, "mean": self.mean})
        with torch.no_grad():
            self.mean.copy_(torch.cat([self._read(part) for part in x.split(4096)]).mean(dim=0))

    def _read(self, x: Tensor) -> Tensor:
        return (x @ self.weight.t() + self.bias).softmax(dim=1) @ self.vectors

    def _unit(self, vectors: Tensor) -> Tensor:
        return l2_normalize(vectors.unflatten(-1, (-1, self.dim))).flatten(-2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self._unit(self._read(x) - self.mean) * (math.sqrt(self.dim) / 4)
