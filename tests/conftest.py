"""Settings shared by all tests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.stores import KINDS, object_store

# Must come before torch_geometric is imported: a None entry makes `import torch_scatter` fail,
# so the second test run takes PyTorch's own segment kernels.
if os.environ.get("PYG_SGM_TEST_WITHOUT_SCATTER"):
    sys.modules["torch_scatter"] = None  # type: ignore[assignment]

import torch

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """The CPU, and a CUDA device where there is one."""
    return torch.device(request.param)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URI of an empty place in an object store."""
    with object_store(request.param, tmp_path) as uri:
        yield uri
