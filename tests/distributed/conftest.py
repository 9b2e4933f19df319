"""One cluster for all tests of this folder, which ends with them."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("ray", reason="ray is not installed")

from tests.helpers.cluster import cluster


@pytest.fixture(scope="package")
def nodes() -> Iterator[Any]:
    with cluster(nodes=2) as made:
        yield made
