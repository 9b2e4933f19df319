"""An index in shards made to fit a matcher."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pyg_sgm.index.adding import Addable, dataset_of, files_of, metadata_of, warn_of_lost
from pyg_sgm.index.building import ToWrite
from pyg_sgm.index.header import header_of, same_makers
from pyg_sgm.index.reading import absolute
from pyg_sgm.index.sharded import ShardedIndex
from pyg_sgm.index.shards import Shards
from pyg_sgm.io import locked
from pyg_sgm.retrieval import SceneGraphMatcher


def rebuilt(
    home: Path,
    matcher: SceneGraphMatcher,
    images: Addable | None,
    run: str | os.PathLike[str] | None,
    progress: Callable[[int, int], None] | None,
    ray: str | None,
) -> ShardedIndex:
    """See :meth:`SceneGraphIndex.rebuild`.

    Args:
        home (Path): Folder of an index in shards.
        matcher (SceneGraphMatcher): See there.
        images (Addable, optional): See there.
        run (str or PathLike, optional): See there.
        progress (callable, optional): See there.
        ray (str, optional): See there.
    """
    index = ShardedIndex(home, matcher, ray)
    with locked(home):
        shards = index._shards
        header = shards.header(home, 0)
        own = header_of(matcher, None if run is None else absolute(run), header.dtype)
        if same_makers(header, own):
            headers = [shards.header(home, number) for number in range(len(shards.headers))]
            noted = [replace(one, run=own.run or one.run).to_text() for one in headers]
            tasks = [ToWrite(index._home, n, text, fresh=True) for n, text in enumerate(noted)]
            index._publish(index._written(tasks, shards, None))
            return index
        parts = [(shard._store, shard._header) for shard in index._each()]
        images = files_of(parts) if images is None else images
        # Tables of their own, which another call that goes on finds again.
        name = hashlib.sha256(json.dumps([own.to_text(), *shards.headers]).encode()).hexdigest()
        fresh = replace(own, table=f"images-{name[:16]}").to_text()
        new = Shards((fresh,) * len(shards.headers))
        added, new = index._added(dataset_of(images), metadata_of(parts), new, progress, None)
        index._publish(new)
        warn_of_lost(added.skipped)
    return index
