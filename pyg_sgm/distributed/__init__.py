"""Work in parts on many processors: of this machine, or of a cluster (extra ``ray``).

What is worked on in parts is a plain function of one task, which writes what it makes to the side,
renames it when it is whole, and returns little. So a task may be run twice, which makes the same,
and a worker may die at any time.
"""

from pyg_sgm.distributed.keepers import Keeper, Keepers, OneKeeper
from pyg_sgm.distributed.pools import LocalPool, Pool, SerialPool
from pyg_sgm.distributed.ray_keepers import RayKeepers
from pyg_sgm.distributed.ray_pool import RayPool

__all__ = [
    "Keeper",
    "Keepers",
    "LocalPool",
    "OneKeeper",
    "Pool",
    "RayKeepers",
    "RayPool",
    "SerialPool",
]
