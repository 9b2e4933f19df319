"""Triton kernels: right on random shapes, and within the limits of the chips they are made for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


def run(arguments: list[str], interpret: bool) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": str(int(interpret))}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_equal_to_pytorch() -> None:
    """On a GPU where there is one, else in Triton's interpreter."""
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(FOLDER / "kernel_cases.py")]
    run(arguments, interpret=not torch.cuda.is_available())


@pytest.mark.slow
def test_compiled_within_limits() -> None:
    """Ahead of time, without a GPU: shared memory below the chip's, no register spilled."""
    run([str(FOLDER / "kernel_limits.py")], interpret=False)
