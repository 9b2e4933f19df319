"""A synthetic world in which matching needs relations."""

from pyg_sgm.datasets.scene_world.world import KINDS, HardNegatives, SceneWorld

__all__ = ["KINDS", "HardNegatives", "SceneWorld"]
