"""Compiles the kernels for two chips and holds their shared memory and register spills.

    python tests/ops/kernel_limits.py

Prints a line for every kernel, type and chip, and fails if one is over its limit.
"""

import contextlib
import io
import re
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from pyg_sgm.ops.kernels import cross_match, maxsim

CHIPS = {80: 163 * 1024, 90: 227 * 1024}  # compute capability -> bytes of shared memory of a block
POINTERS = {"float32": "*fp32", "bfloat16": "*bf16"}
MAXSIM = {
    "BLOCK_X": maxsim.BLOCK_X,
    "BLOCK_Y": maxsim.BLOCK_Y,
    "BLOCK_D": maxsim.BLOCK_D,
    "KEEP": True,
}
INTEGERS = maxsim.INTEGERS | cross_match.INTEGERS
SUMS = maxsim.SUMS | cross_match.SUMS


def blocks(kernel: triton.JITFunction, dtype: str) -> tuple[dict[str, object], int]:
    """The largest blocks that a kernel is used with, and its warps."""
    if kernel is not cross_match.match_kernel:
        return MAXSIM, maxsim.NUM_WARPS
    own, columns = cross_match.BLOCKS[4 if dtype == "float32" else 2]
    return {
        "BLOCK_OWN": own,
        "BLOCK_OTHER": cross_match.MAX_OTHER,
        "BLOCK_D": columns,
        "BLOCK_L": cross_match.MAX_PERSPECTIVES,
        "ATTENTION": True,
    }, cross_match.NUM_WARPS


def signature(
    kernel: triton.JITFunction, dtype: str, constants: dict[str, object]
) -> dict[str, str]:
    """Types of the arguments: sizes, sums and gradients, numbers of rows, and nodes by default."""
    types = {}
    for name in kernel.arg_names:
        if name in constants:
            types[name] = "constexpr"
        elif name.startswith("num_") or name == "dim":
            types[name] = "i32"
        elif name == "tiny":
            types[name] = "fp32"
        elif name in INTEGERS:
            types[name] = "*i64"
        elif name == "winners":
            types[name] = "*i32"
        elif name in SUMS:
            types[name] = "*fp32"
        else:
            types[name] = POINTERS[dtype]
    return types


def compiled(kernel: triton.JITFunction, dtype: str, capability: int) -> tuple[int, int]:
    """Bytes of shared memory of a block, and bytes of registers that the assembler spilled."""
    values, num_warps = blocks(kernel, dtype)
    constants = {name: values[name] for name in kernel.arg_names if name in values}
    source = ASTSource(kernel, signature(kernel, dtype, constants), constants)
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        result = triton.compile(
            source,
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": num_warps},
        )
    assert result.asm["cubin"]
    assert "spill stores" in log.getvalue()
    spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", log.getvalue()))
    return result.metadata.shared, spilled


def main() -> int:
    triton.knobs.nvidia.dump_ptxas_log = True
    triton.knobs.compilation.always_compile = True
    over = 0
    for kernel in (
        maxsim.forward_kernel,
        maxsim.x_grad_kernel,
        maxsim.y_grad_kernel,
        cross_match.match_kernel,
    ):
        for dtype in POINTERS:
            for capability, limit in CHIPS.items():
                shared, spilled = compiled(kernel, dtype, capability)
                name = f"{kernel.fn.__name__:16} {dtype:9} sm_{capability}"
                print(f"{name}: {shared} bytes of shared memory, {spilled} spilled", flush=True)
                over += shared > limit or spilled > 0
    return over


if __name__ == "__main__":
    sys.exit(main())
