"""LGSGM: SGM with a level of whole graphs."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from torch import Tensor

from pyg_sgm.models.base import GraphSizes
from pyg_sgm.models.bounds import BoundLevel
from pyg_sgm.models.registry import find_recipe, register_model
from pyg_sgm.models.sgm import SGM, SGMEncoding
from pyg_sgm.nn import GatedPooling
from pyg_sgm.ops import Packed

SMALL = {"dim": 256, "hidden": 256, "shared_label_projection": True, "dropout": 0.3}


@register_model(
    "lgsgm",
    recipes={
        "default": find_recipe("sgm").replace(options=SMALL),
        "paper": find_recipe("sgm", "paper"),
    },
)
class LGSGM(SGM):
    r"""The model of the `"A Deep Local and Global Scene-Graph Matching for Image-Text Retrieval"
    <https://arxiv.org/abs/2106.02400>`_ paper

    .. math:: S = S^o + S^r + \cos(\mathbf{g}_{image}, \mathbf{g}_{text})

    where :math:`S^o` and :math:`S^r` are those of :class:`~pyg_sgm.models.SGM` with cosines, and
    :math:`\mathbf{g}` is a :class:`~pyg_sgm.nn.GatedPooling` of all objects and relations of an
    image, of all words and triplets of a text. Left out are the paper's convolution of text graphs
    and its batch normalization: triplets here have read all their words, as in SGM.

    Args:
        sizes (GraphSizes): Sizes of the vocabularies and of the region features.
        dim, hidden, embed, num_layers, shared_label_projection, dropout: See
            :class:`~pyg_sgm.models.SGM`.

    Shapes:
        - **input:** batches of image graphs and of text graphs
        - **output:** scores :math:`(|\mathcal{G}_{image}|, |\mathcal{G}_{text}|)`

    Example:
        >>> sizes = GraphSizes(words=10, objects=5, predicates=1, attributes=1)
        >>> [level.name for level in LGSGM(sizes, dim=8, hidden=8).bound_levels()]
        ['object', 'relation', 'global']
    """

    def __init__(
        self,
        sizes: GraphSizes,
        dim: int = 1024,
        hidden: int = 2048,
        embed: int = 300,
        num_layers: int = 1,
        shared_label_projection: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            sizes,
            dim,
            hidden,
            embed,
            num_layers,
            normalize=True,
            shared_label_projection=shared_label_projection,
            dropout=dropout,
        )
        self.image_graph = GatedPooling(dim)
        self.text_graph = GatedPooling(dim)

    def bound_levels(self) -> list[BoundLevel]:
        return [*super().bound_levels(), BoundLevel("global", "summary")]

    def _encoding(
        self,
        nodes: Packed,
        relations: Packed | None,
        modality: Literal["image", "text"],
        shift: Tensor | float,
    ) -> SGMEncoding:
        assert relations is not None
        pool = self.image_graph if modality == "image" else self.text_graph
        summary = pool(nodes.join(relations))
        return replace(super()._encoding(nodes, relations, modality, shift), summary=summary)
