"""Losses on a score matrix."""

from pyg_sgm.losses.contrastive import ContrastiveLoss, contrastive_loss
from pyg_sgm.losses.edits import edit_loss
from pyg_sgm.losses.hoad import HOADLoss, hoad_loss
from pyg_sgm.losses.triplet import TripletLoss, triplet_loss

__all__ = [
    "ContrastiveLoss",
    "HOADLoss",
    "TripletLoss",
    "contrastive_loss",
    "edit_loss",
    "hoad_loss",
    "triplet_loss",
]
