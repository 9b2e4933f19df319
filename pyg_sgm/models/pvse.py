"""PVSE: several vectors for an image, several for a text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.data import PairBatch
from pyg_sgm.models.base import Encoding, GraphSizes, check_positive
from pyg_sgm.models.regions_words import BASELINE, RegionWordMatcher, hardest_negatives
from pyg_sgm.models.registry import register_model
from pyg_sgm.ops import Packed, l2_normalize, segment_mean, segment_softmax, segment_sum

BLOCK = 2**24  # inner products that are held at once


@dataclass(frozen=True)
class PVSEEncoding(Encoding):
    """Encoded graphs of either modality.

    Args:
        vectors (Tensor): Embeddings of length one, those of a graph side by side,
            ``[num_graphs, num_embeddings * dim]``.
        guided (Tensor, optional): What each took from the nodes, of the same shape, in training;
            else :obj:`None`. (default: :obj:`None`)
    """

    vectors: Tensor
    guided: Tensor | None = None


@register_model(
    "pvse",
    recipes={
        "default": BASELINE,
        "paper": hardest_negatives({"dim": 1024, "embed": 300}).replace(
            loss_options={"margin": 0.1, "warmup_calls": 100}
        ),
    },
)
class PVSE(RegionWordMatcher[PVSEEncoding]):
    r"""The model of the `"Polysemous Visual-Semantic Embedding for Cross-Modal Retrieval"
    <https://arxiv.org/abs/1906.04402>`_ paper: a graph has :math:`K` embeddings, its global feature
    :math:`\mathbf{f}` and what :math:`K` attentions take from its nodes

    .. math::
        \mathbf{z}_k = \operatorname{LayerNorm}(\mathbf{f} + \mathbf{r}_k), \qquad
        \mathbf{r}_k = \sigma\Big( \mathbf{W} \sum_i \operatorname{softmax}_i \big(
        \mathbf{w}_k^\top \tanh(\mathbf{U} \mathbf{x}_i) \big) \, \mathbf{x}_i + \mathbf{b} \Big)

    and a pair is scored by the best of all pairs of embeddings (multiple-instance learning)

    .. math:: S = \max_{k, l} \cos(\mathbf{z}^{image}_k, \mathbf{z}^{text}_l)

    The global feature is the mean region of an image, and the last state of a GRU over the words.
    Training adds two terms, that the :math:`\mathbf{r}_k` of a graph differ, and that images and
    texts are spread alike (the maximum mean discrepancy of all embeddings :math:`\mathcal{X}` and
    :math:`\mathcal{Y}` of a batch)

    .. math::
        L_{div} = \frac{1}{K^2} \Big( \sum_{k \neq l} \cos(\mathbf{r}_k, \mathbf{r}_l)^2
        \Big)^{1/2}, \qquad
        L_{mmd} = \overline{\kappa(\mathcal{X}, \mathcal{X})} - 2 \, \overline{\kappa(\mathcal{X},
        \mathcal{Y})} + \overline{\kappa(\mathcal{Y}, \mathcal{Y})}, \quad
        \kappa(\mathbf{x}, \mathbf{y}) = e^{-\frac{1}{2} \|\mathbf{x} - \mathbf{y}\|^2}

    Left out is the fine-tuned image network: features here are given.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of the embeddings. (default: :obj:`1024`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        num_embeddings (int, optional): :math:`K`. (default: :obj:`2`)
        diversity (float, optional): Weight of :math:`L_{div}`, its mean over images plus its mean
            over texts. (default: :obj:`0.1`)
        discrepancy (float, optional): Weight of :math:`L_{mmd}`. (default: :obj:`0.01`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Example:
        >>> sizes = GraphSizes(words=10, objects=5, predicates=1, attributes=1)
        >>> PVSE(sizes, dim=8, num_embeddings=3).config["num_embeddings"]
        3
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        embed: int = 300,
        num_embeddings: int = 2,
        diversity: float = 0.1,
        discrepancy: float = 0.01,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(sizes, dim, embed, shared_label_projection, dropout)
        check_positive(num_embeddings=num_embeddings)
        self.num_embeddings = num_embeddings
        self.diversity = diversity
        self.discrepancy = discrepancy
        self.image_pool = PolysemousPooling(dim, num_embeddings)
        self.text_pool = PolysemousPooling(dim, num_embeddings)

    def encode_image(self, batch: HeteroData) -> PVSEEncoding:
        regions = self.regions(batch)
        return self._encoding(self.image_pool, regions, segment_mean(regions.x, regions.ptr))

    def encode_text(self, batch: HeteroData) -> PVSEEncoding:
        return self._encoding(self.text_pool, *self.words(batch))

    def score(self, image: PVSEEncoding, text: PVSEEncoding) -> Tensor:
        count, rows = self.num_embeddings, self._rows(image.vectors)
        texts = max(1, BLOCK // max(1, len(rows) * count))
        columns = [
            (rows @ self._rows(part).t()).view(len(image), count, len(part), count).amax((1, 3))
            for part in text.vectors.split(texts)
        ]
        return torch.cat(columns, dim=1)

    def side_loss(self, image: PVSEEncoding, text: PVSEEncoding, batch: PairBatch) -> Tensor | None:
        out = self.discrepancy * mean_discrepancy(
            self._rows(image.vectors), self._rows(text.vectors)
        )
        if image.guided is not None and text.guided is not None:
            shape = (self.num_embeddings, -1)
            alike = [likeness(x.unflatten(1, shape)).mean() for x in (image.guided, text.guided)]
            out = out + self.diversity * sum(alike)
        return out

    def _encoding(self, pool: nn.Module, nodes: Packed, whole: Tensor) -> PVSEEncoding:
        vectors, guided = pool(nodes, whole)
        return PVSEEncoding(
            l2_normalize(vectors).flatten(1), guided.flatten(1) if self.training else None
        )

    def _rows(self, vectors: Tensor) -> Tensor:
        """Embeddings one below the other, ``[num_graphs * num_embeddings, dim]``."""
        return vectors.reshape(-1, vectors.size(1) // self.num_embeddings)


class PolysemousPooling(nn.Module):
    r"""The :math:`K` embeddings of :class:`PVSE`.

    Args:
        channels (int): Size of each node.
        num_embeddings (int): :math:`K`.

    Shapes:
        - **input:** nodes of :math:`(N, F)`, a global feature :math:`(|\mathcal{G}|, F)`
        - **output:** embeddings and what each took from the nodes, both
          :math:`(|\mathcal{G}|, K, F)`
    """

    def __init__(self, channels: int, num_embeddings: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, max(1, channels // 2), bias=False)
        self.attention = nn.Linear(max(1, channels // 2), num_embeddings, bias=False)
        self.lin = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, nodes: Packed, whole: Tensor) -> tuple[Tensor, Tensor]:
        weight = segment_softmax(self.attention(torch.tanh(self.hidden(nodes.x))), nodes.ptr)
        # One attention after another, so that no tensor holds all nodes K times.
        taken = [segment_sum(w[:, None] * nodes.x, nodes.ptr) for w in weight.unbind(1)]
        guided = torch.sigmoid(self.lin(torch.stack(taken, dim=1)))
        return self.norm(whole[:, None] + guided), guided


def likeness(x: Tensor) -> Tensor:
    r""":math:`L_{div}` of each graph, see :class:`PVSE`.

    Args:
        x (Tensor): ``[num_graphs, K, dim]``.
    """
    unit = l2_normalize(x)
    count = x.size(1)
    same = torch.eye(count, dtype=torch.bool, device=x.device)
    square = (unit @ unit.mT).masked_fill(same, 0).square().sum((1, 2))
    # Of one embedding the root is that of 0, whose gradient would be infinite.
    return square.clamp(min=torch.finfo(square.dtype).tiny).sqrt() / count**2


def mean_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    r""":math:`L_{mmd}`, see :class:`PVSE`.

    Args:
        x (Tensor): ``[num_x, dim]``.
        y (Tensor): ``[num_y, dim]``.
    """

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        square = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.t()
        return torch.exp(-square / 2).mean()

    return kernel(x, x) - 2 * kernel(x, y) + kernel(y, y)
