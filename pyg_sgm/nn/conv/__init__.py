"""Message passing layers."""

from pyg_sgm.nn.conv.mgcn_conv import MGCNConv

__all__ = ["MGCNConv"]
