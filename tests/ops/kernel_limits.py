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

from pyg_sgm.ops.kernels import maxsim

CHIPS = {80: 163 * 1024, 90: 227 * 1024}  # compute capability -> bytes of shared memory of a block
POINTERS = {"float32": "*fp32", "bfloat16": "*bf16"}
BLOCKS = {
    "BLOCK_X": maxsim.BLOCK_X,
    "BLOCK_Y": maxsim.BLOCK_Y,
    "BLOCK_D": maxsim.BLOCK_D,
    "KEEP": True,
}


def signature(
    kernel: triton.JITFunction, dtype: str, constants: dict[str, object]
) -> dict[str, str]:
    """Types of the arguments: sizes, sums and gradients, numbers of rows, and nodes by default."""
    types = {}
    for name in kernel.arg_names:
        if name in constants:
            types[name] = "constexpr"
        elif name.startswith("num_") or name in ("dim", "size", "width"):
            types[name] = "i32"
        elif name in maxsim.INTEGERS:
            types[name] = "*i64"
        elif name in ("winners",):
            types[name] = "*i32"
        elif name in maxsim.SUMS:
            types[name] = "*fp32"
        else:
            types[name] = POINTERS[dtype]
    return types


def compiled(kernel: triton.JITFunction, dtype: str, capability: int) -> tuple[int, int]:
    """Bytes of shared memory of a block, and bytes of registers that the assembler spilled."""
    constants = {name: BLOCKS[name] for name in kernel.arg_names if name in BLOCKS}
    source = ASTSource(kernel, signature(kernel, dtype, constants), constants)
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        result = triton.compile(
            source,
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": maxsim.NUM_WARPS},
        )
    assert result.asm["cubin"]
    assert "spill stores" in log.getvalue()
    spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", log.getvalue()))
    return result.metadata.shared, spilled


def main() -> int:
    triton.knobs.nvidia.dump_ptxas_log = True
    triton.knobs.compilation.always_compile = True
    over = 0
    for kernel in (maxsim.forward_kernel, maxsim.x_grad_kernel, maxsim.y_grad_kernel):
        for dtype in POINTERS:
            for capability, limit in CHIPS.items():
                shared, spilled = compiled(kernel, dtype, capability)
                name = f"{kernel.fn.__name__:16} {dtype:9} sm_{capability}"
                print(f"{name}: {shared} bytes of shared memory, {spilled} spilled", flush=True)
                over += shared > limit or spilled > 0
    return over


if __name__ == "__main__":
    sys.exit(main())
