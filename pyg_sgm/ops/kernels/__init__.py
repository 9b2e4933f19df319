"""The scorers as fused Triton kernels, the fast path of :mod:`pyg_sgm.ops` on CUDA.

They are taken where Triton is installed (``pip install pyg_sgm[triton]``) and the tensors are on a
CUDA device, unless the environment has ``PYG_SGM_KERNELS=0``. The PyTorch path is their reference.
"""

import os
from importlib.util import find_spec

import torch
from torch import Tensor


def available(x: Tensor, dtype: torch.dtype) -> bool:
    """Whether the kernels take products of type ``dtype`` on the device of ``x``."""
    return (
        x.is_cuda
        and dtype in (torch.float32, torch.bfloat16, torch.float16)
        and os.environ.get("PYG_SGM_KERNELS", "1") != "0"
        and find_spec("triton") is not None
    )
