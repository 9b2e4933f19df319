"""Settings shared by all tests."""

import os
import sys

import pytest

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
