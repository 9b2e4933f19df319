"""Message passing layers."""

from pyg_sgm.nn.conv.hoad_conv import AttributeConv, ObjectConv, RelationConv
from pyg_sgm.nn.conv.mgcn_conv import MGCNConv

__all__ = ["AttributeConv", "MGCNConv", "ObjectConv", "RelationConv"]
