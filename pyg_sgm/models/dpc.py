"""DPC: convolutions over words, and every image a class of its own."""

from __future__ import annotations

import functools

import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.data import PairBatch
from pyg_sgm.models.base import MAX_LAYERS, GraphSizes
from pyg_sgm.models.regions_words import (
    BASELINE,
    GlobalEncoding,
    GlobalMatcher,
    hardest_negatives,
)
from pyg_sgm.models.registry import register_model
from pyg_sgm.nn import PackedConv
from pyg_sgm.ops import Packed, l2_normalize, segment_mean


@register_model(
    "dpc",
    recipes={
        "default": BASELINE,
        # The paper's optimizer is SGD with momentum; its first stage has the instance loss alone.
        "paper": hardest_negatives({"dim": 2048, "embed": 300, "dropout": 0.75}).replace(
            loss_options={"margin": 1.0, "warmup_calls": 100}
        ),
    },
)
class DPC(GlobalMatcher[GlobalEncoding]):
    r"""The dual-path network of the `"Dual-Path Convolutional Image-Text Embeddings with Instance
    Loss" <https://arxiv.org/abs/1711.05535>`_ paper

    .. math:: S = \cos(\mathbf{f}, \mathbf{h}), \qquad
        \mathbf{f} = \mathbf{W}_2 \operatorname{ReLU}(\mathbf{W}_1 \bar{\mathbf{v}})

    where :math:`\mathbf{h}` is the same of the mean word after residual blocks

    .. math:: \mathbf{X}' = \operatorname{ReLU}(\mathbf{X} + \operatorname{Conv}_3(
        \operatorname{ReLU}(\operatorname{Conv}_3(\mathbf{X}))))

    of convolutions along the words. With ``num_instances``, the number of training images, training
    adds the instance loss: one classifier for both sides takes every image, and every text of it,
    as a class,

    .. math:: L = - \overline{\log \operatorname{softmax}_i(\mathbf{W} \mathbf{f}_i)}
        - \overline{\log \operatorname{softmax}_{i(j)}(\mathbf{W} \mathbf{h}_j)}

    This is the paper's second stage, where the ranking loss is added. Left out are its first stage,
    the instance loss alone; the image network, for features here are given (their mean stands for
    its last layer); and batch normalization over words.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim (int, optional): Size of both vectors. (default: :obj:`2048`)
        embed (int, optional): Size of label and word embeddings. (default: :obj:`300`)
        num_blocks (int, optional): Residual blocks over the words. (default: :obj:`2`)
        num_instances (int, optional): Number of training images, for the instance loss; 0 for none.
            (default: :obj:`0`)
        instance_weight (float, optional): Weight of the instance loss. (default: :obj:`1.0`)
        shared_label_projection (bool, optional): See :class:`~pyg_sgm.models.VSE`. (default:
            :obj:`False`)
        dropout (float, optional): Dropout of embeddings and of encoded features. (default:
            :obj:`0.0`)

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Raises:
        ValueError: If a number is out of range; in training, if there are more images than
            ``num_instances``.

    Example:
        >>> DPC(GraphSizes(words=10, objects=5, predicates=1, attributes=1), dim=8).config["dim"]
        8
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 2048,
        embed: int = 300,
        num_blocks: int = 2,
        num_instances: int = 0,
        instance_weight: float = 1.0,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        if not 0 <= num_blocks <= MAX_LAYERS:
            raise ValueError(f"num_blocks must lie in 0 to {MAX_LAYERS}, got {num_blocks}")
        if not isinstance(num_instances, int) or num_instances < 0:
            raise ValueError(f"num_instances must be a whole number from 0 on, got {num_instances}")
        encoder = functools.partial(ConvWords, num_blocks=num_blocks)
        super().__init__(sizes, dim, embed, shared_label_projection, dropout, encoder)
        self.instance_weight = instance_weight
        self.image_head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim))
        self.text_head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim))
        self.classifier = nn.Linear(dim, num_instances, bias=False) if num_instances else None

    def encode_image(self, batch: HeteroData) -> GlobalEncoding:
        regions = self.regions(batch)
        whole = segment_mean(regions.x, regions.ptr)
        return GlobalEncoding(l2_normalize(self.image_head(whole)))

    def encode_text(self, batch: HeteroData) -> GlobalEncoding:
        return GlobalEncoding(l2_normalize(self.text_head(self.words(batch)[1])))

    def side_loss(
        self, image: GlobalEncoding, text: GlobalEncoding, batch: PairBatch
    ) -> Tensor | None:
        if self.classifier is None:
            return None
        instance = batch.image_index
        count = self.classifier.out_features
        if int(instance.max()) >= count:
            raise ValueError(f"num_instances is {count}, there is an image number {instance.max()}")
        loss = F.cross_entropy(self.classifier(image.summary), instance)
        of_text = instance[batch.image_of_text]
        return self.instance_weight * (
            loss + F.cross_entropy(self.classifier(text.summary), of_text)
        )


class ConvWords(nn.Module):
    """Words and sentences of :class:`DPC`.

    Args:
        in_channels (int): Size of the embeddings of words.
        out_channels (int): Size of the result.
        num_blocks (int): Residual blocks.

    Shapes:
        - **input:** embeddings of words ``[num_words, in_channels]``, boundaries of sentences
        - **output:** words and sentences, of size ``out_channels``
    """

    def __init__(self, in_channels: int, out_channels: int, num_blocks: int) -> None:
        super().__init__()
        self.lin = nn.Linear(in_channels, out_channels)
        self.convs = nn.ModuleList(
            PackedConv(out_channels, out_channels, 3) for _ in range(2 * num_blocks)
        )

    def forward(self, x: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor]:
        words = Packed(self.lin(x).relu(), ptr)
        for first, second in zip(self.convs[::2], self.convs[1::2], strict=True):
            inner = Packed(first(words).x.relu(), ptr)
            words = Packed((words.x + second(inner).x).relu(), ptr)
        return words.x, segment_mean(words.x, ptr)
