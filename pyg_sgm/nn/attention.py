"""Attention within and between the scene graphs of HOAD."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pyg_sgm.ops import Packed, cross_match, cross_match_pairs, segment_softmax


class NodeAttention(nn.Module):
    r"""Weights of the nodes of each graph (HOAD, eq. 8)

    .. math:: \beta_i = \operatorname{softmax}_i \phi([\mathbf{h}, \mathbf{x}_i])

    with :math:`\mathbf{h}` a vector of the whole graph and :math:`\phi` a perceptron of two layers.

    Args:
        channels (int): Size of each node.
        context_channels (int): Size of :math:`\mathbf{h}`.

    Shapes:
        - **input:** nodes of :math:`(N, F)`, context :math:`(|\mathcal{G}|, F_c)`
        - **output:** :math:`(N)`, adding up to one in every graph that has nodes

    Example:
        >>> import torch
        >>> nodes = Packed(torch.rand(5, 8), torch.tensor([0, 2, 5]))
        >>> NodeAttention(8, 4)(nodes, torch.rand(2, 4))[:2].sum().round(decimals=4)
        tensor(1., grad_fn=<RoundBackward1>)
    """

    def __init__(self, channels: int, context_channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.context_channels = context_channels
        self.mlp = nn.Sequential(
            nn.Linear(context_channels + channels, channels), nn.Tanh(), nn.Linear(channels, 1)
        )

    def forward(self, nodes: Packed, context: Tensor) -> Tensor:
        both = torch.cat([context[nodes.batch], nodes.x], dim=-1)
        return segment_softmax(self.mlp(both).squeeze(-1), nodes.ptr)

    def extra_repr(self) -> str:
        return f"{self.channels}, {self.context_channels}"


class CrossGraphMatch(nn.Module):
    r"""Comparison of image graphs with text graphs under many perspectives (HOAD, eq. 4 to 7, 9).

    A node of one graph is compared with what it attends to in the other; see
    :func:`pyg_sgm.ops.cross_match`.

    Args:
        channels (int): Size of each node.
        num_perspectives (int): Rows :math:`l` of each of both matrices :math:`\mathbf{W}`.
        attention (bool, optional): If :obj:`False`, a node is compared with the plain mean of the
            other graph. (default: :obj:`True`)
        shared (bool, optional): One :math:`\mathbf{W}` for both sides, as eq. 6 is written.
            (default: :obj:`False`)

    Shapes:
        - **input:** images and texts of :math:`(N_x, F)` and :math:`(N_y, F)`, weights of their
          nodes :math:`(N_x)` and :math:`(N_y)`, and a head that maps two matching vectors
          :math:`(*, l)` to scores :math:`(*)`
        - **output:** :math:`(|\mathcal{G}_x|, |\mathcal{G}_y|)`

    Example:
        >>> import torch
        >>> graphs = Packed(torch.rand(5, 8), torch.tensor([0, 2, 5]))
        >>> match = CrossGraphMatch(8, num_perspectives=3)
        >>> match(graphs, graphs, torch.rand(5), torch.rand(5), lambda a, b: a.sum(-1)).shape
        torch.Size([2, 2])
    """

    def __init__(
        self,
        channels: int,
        num_perspectives: int,
        attention: bool = True,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.num_perspectives = num_perspectives
        self.attention = attention
        self.weight_image = nn.Parameter(torch.empty(num_perspectives, channels))
        self.weight_text = None if shared else nn.Parameter(torch.empty(num_perspectives, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        # Only squares of the weights enter, so all start positive: a cosine with random weights.
        nn.init.uniform_(self.weight_image)
        if self.weight_text is not None:
            nn.init.uniform_(self.weight_text)

    def weights(self) -> tuple[Tensor, Tensor]:
        """The perspectives of both sides, of images and of texts."""
        text = self.weight_image if self.weight_text is None else self.weight_text
        return self.weight_image, text

    def forward(
        self,
        image: Packed,
        text: Packed,
        image_weights: Tensor,
        text_weights: Tensor,
        head: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        side = (image_weights, text_weights, *self.weights())
        return cross_match(image, text, *side, head, attention=self.attention)

    def pairs(
        self,
        image: Packed,
        text: Packed,
        image_index: Tensor,
        text_index: Tensor,
        image_weights: Tensor,
        text_weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The matching vectors of given pairs, ``[num_pairs, num_perspectives]`` of each side.

        Args:
            image (Packed): Nodes of the images.
            text (Packed): Nodes of the texts.
            image_index (Tensor): Image of each pair, ``[num_pairs]``.
            text_index (Tensor): Text of each pair, ``[num_pairs]``.
            image_weights (Tensor): Weight of each node of the images.
            text_weights (Tensor): Weight of each node of the texts.
        """
        side = (image_weights, text_weights, *self.weights())
        return cross_match_pairs(
            image, text, image_index, text_index, *side, attention=self.attention
        )

    def extra_repr(self) -> str:
        return f"{self.channels}, {self.num_perspectives}, attention={self.attention}"
