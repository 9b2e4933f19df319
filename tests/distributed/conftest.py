"""One cluster for all tests of this folder, which ends with them."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("ray", reason="ray is not installed")

from tests.helpers.cluster import cluster

STORE = 100 * 2**20  # bytes of the object store of a node, which a test fills


@pytest.fixture(scope="package")
def nodes() -> Iterator[Any]:
    """Two nodes of one core: each takes seconds to start."""
    with cluster(nodes=1, head_cores=1, store=STORE) as made:
        yield made
