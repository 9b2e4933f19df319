"""SAEM: regions attend to regions, words to words."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.models.base import MAX_LAYERS, GraphSizes
from pyg_sgm.models.regions_words import (
    BASELINE,
    GlobalEncoding,
    GlobalMatcher,
    hardest_negatives,
)
from pyg_sgm.models.registry import register_model
from pyg_sgm.nn import PackedConv, PackedSelfAttention
from pyg_sgm.nn.sequence import positions
from pyg_sgm.ops import Packed, l2_normalize, segment_max, segment_mean


@register_model(
    "saem",
    recipes={
        "default": BASELINE.with_model_options(num_heads=4),
        "paper": hardest_negatives({"dim": 256, "embed": 300, "num_heads": 64}).replace(
            images_per_batch=64, lr=1e-4, step_epochs=10
        ),
    },
)
class SAEM(GlobalMatcher[GlobalEncoding]):
    r"""The model of the `"Learning Fragment Self-Attention Embeddings for Image-Text Matching"
    <https://doi.org/10.1145/3343031.3350940>`_ paper

    .. math:: S = \cos(\mathbf{f}, \mathbf{h})

    where :math:`\mathbf{f}` is the mean of an image's regions after layers of self-attention
    (:class:`~pyg_sgm.nn.PackedSelfAttention`), and :math:`\mathbf{h}` a linear layer on what three
    convolutions find in the words, of one, two and three at a time, the largest of each channel.
    The paper's words come from BERT; here from the recipe's ``text_encoder``, which may be one, or,
    without it, from a small transformer on token embeddings and sinusoids of their places. Left out
    are the fine-tuning of BERT, and the angular loss beside the ranking loss, whose term looks at
    the embeddings of one pair as a triangle; a model here is trained by its scores.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of both vectors, a multiple of ``num_heads``. (default:
            :obj:`256`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        num_layers (int, optional): Layers of self-attention on either side. (default: :obj:`1`)
        num_heads (int, optional): Heads of each. (default: :obj:`4`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Raises:
        ValueError: If ``dim`` is no multiple of ``num_heads``, or ``num_layers`` out of range.

    Example:
        >>> SAEM(GraphSizes(words=10, objects=5, predicates=1, attributes=1), dim=8).config["dim"]
        8
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 256,
        embed: int = 300,
        num_layers: int = 1,
        num_heads: int = 4,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        if not 0 <= num_layers <= MAX_LAYERS:
            raise ValueError(f"num_layers must lie in 0 to {MAX_LAYERS}, got {num_layers}")
        layers = functools.partial(_layers, dim, num_layers, num_heads, dropout)
        encoder = functools.partial(FragmentWords, layers=layers)
        super().__init__(sizes, dim, embed, shared_label_projection, dropout, encoder)
        self.layers = layers()

    def encode_image(self, batch: HeteroData) -> GlobalEncoding:
        regions = self.regions(batch)
        for layer in self.layers:
            regions = layer(regions)
        return GlobalEncoding(l2_normalize(segment_mean(regions.x, regions.ptr)))

    def encode_text(self, batch: HeteroData) -> GlobalEncoding:
        return GlobalEncoding(l2_normalize(self.words(batch)[1]))


class FragmentWords(nn.Module):
    """Words and sentences of :class:`SAEM`.

    Args:
        in_channels (int): Size of the embeddings of words.
        out_channels (int): Size of the result.
        layers (callable): Makes the layers of self-attention.

    Shapes:
        - **input:** embeddings of words ``[num_words, in_channels]``, boundaries of sentences
        - **output:** words and sentences, of size ``out_channels``
    """

    def __init__(
        self, in_channels: int, out_channels: int, layers: Callable[[], nn.ModuleList]
    ) -> None:
        super().__init__()
        self.lin = nn.Linear(in_channels, out_channels)
        self.layers = layers()
        self.convs = nn.ModuleList(PackedConv(out_channels, out_channels, k) for k in (1, 2, 3))
        self.out = nn.Linear(3 * out_channels, out_channels)

    def forward(self, x: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
        words = Packed(self.lin(x), ptr)
        words = Packed(words.x + positions(words), ptr)
        for layer in self.layers:
            words = layer(words)
        # After ReLU nothing is below 0, which is what a sentence without words has.
        found = [segment_max(conv(words).x.relu(), ptr).clamp(min=0) for conv in self.convs]
        return words.x, self.out(torch.cat(found, dim=1))


def _layers(dim: int, num_layers: int, num_heads: int, dropout: float) -> nn.ModuleList:
    return nn.ModuleList(
        PackedSelfAttention(dim, num_heads, 4 * dim, dropout) for _ in range(num_layers)
    )
