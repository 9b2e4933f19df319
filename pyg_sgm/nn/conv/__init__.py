"""Message passing layers."""

from pyg_sgm.nn.conv.hoad_conv import AttributeConv, ObjectConv, RelationConv
from pyg_sgm.nn.conv.mgcn_conv import MGCNConv
from pyg_sgm.nn.conv.pair_conv import PairConv

__all__ = ["AttributeConv", "MGCNConv", "ObjectConv", "PairConv", "RelationConv"]
