"""An index of images that grows, searched exactly."""

from pyg_sgm.index.hits import Added, Hit, SearchResult
from pyg_sgm.index.index import SceneGraphIndex
from pyg_sgm.index.sharded import ShardedIndex
from pyg_sgm.index.store import LanceStore, Rows, Store

__all__ = [
    "Added",
    "Hit",
    "LanceStore",
    "Rows",
    "SceneGraphIndex",
    "SearchResult",
    "ShardedIndex",
    "Store",
]
