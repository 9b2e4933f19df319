"""Relations between the objects of an image, from their labels and boxes."""

from pyg_sgm.vision.relations.head import RelationHead
from pyg_sgm.vision.relations.network import RelationNetwork, pair_geometry
from pyg_sgm.vision.relations.pairs import PairScores

__all__ = ["PairScores", "RelationHead", "RelationNetwork", "pair_geometry"]
