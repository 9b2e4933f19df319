"""Compiles the kernels for the chips they meet and holds their shared memory and register spills.

    python tests/ops/kernel_limits.py

Prints a line for every kernel, type and chip, and fails if one is over its limit.
"""

import contextlib
import io
import re
import sys
from itertools import product

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from pyg_sgm.ops.kernels import cross_match, maxsim

CHIPS = {
    80: 163 * 1024,
    89: 99 * 1024,
    90: 227 * 1024,
    100: 227 * 1024,
}  # compute capability -> bytes of shared memory of a block
POINTERS = {"float32": "*fp32", "bfloat16": "*bf16"}
KERNELS = {
    maxsim.forward_kernel: list(POINTERS),
    maxsim.x_grad_kernel: list(POINTERS),
    maxsim.y_grad_kernel: list(POINTERS),
    cross_match.match_kernel: ["bfloat16"],
}
# Bytes of a thread, with the largest graphs; those of the papers spill less.
SPILLED = {cross_match.match_kernel: 1024}
GRADIENTS = {
    "BLOCK_X": maxsim.BLOCK_X,
    "BLOCK_Y": maxsim.BLOCK_Y,
    "BLOCK_D": maxsim.BLOCK_D,
}
INTEGERS = maxsim.INTEGERS | cross_match.INTEGERS
SUMS = maxsim.SUMS | cross_match.SUMS


def blocks(
    kernel: triton.JITFunction, dtype: str, keep: bool
) -> tuple[dict[str, object], dict[str, int]]:
    """The largest blocks that a kernel is used with, and its options."""
    size = 4 if dtype == "float32" else 2
    if kernel is maxsim.forward_kernel:
        tile = maxsim.BLOCKS[size, keep]
        return {
            "BLOCK_Y": tile.y,
            "BLOCK_X": tile.x,
            "BLOCK_D": tile.d,
            "GROUP": maxsim.GROUP,
            "PANEL": maxsim.PANEL,
            "SLOTS": 16,
            "WHOLE_D": True,
            "KEEP": keep,
        }, {"num_warps": tile.num_warps, "num_stages": tile.num_stages}
    if kernel is not cross_match.match_kernel:
        return GRADIENTS, {"num_warps": maxsim.NUM_WARPS}
    return {
        "BLOCK_OWN": cross_match.BLOCK_OWN,
        "BLOCK_OTHER": cross_match.MAX_NODES,
        "BLOCK_D": cross_match.BLOCK_D,
        "BLOCK_L": cross_match.MAX_PERSPECTIVES,
        "ATTENTION": True,
        "PANEL": cross_match.PANEL,
    }, {"num_warps": cross_match.NUM_WARPS, "num_stages": cross_match.NUM_STAGES}


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


def compiled(
    kernel: triton.JITFunction, dtype: str, keep: bool, capability: int
) -> tuple[int, int]:
    """Bytes of shared memory of a block, and bytes of registers that the assembler spilled."""
    values, options = blocks(kernel, dtype, keep)
    constants = {name: values[name] for name in kernel.arg_names if name in values}
    types = signature(kernel, dtype, constants)
    # Tensors begin at multiples of 16 bytes, and rows do in all but odd widths.
    aligned = {
        (k,): [["tt.divisibility", 16]]
        for k, name in enumerate(kernel.arg_names)
        if types[name].startswith("*") or name == "dim"
    }
    source = ASTSource(kernel, types, constants, aligned)
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        result = triton.compile(
            source,
            target=GPUTarget("cuda", capability, 32),
            options=options,
        )
    assert result.asm["cubin"]
    assert "spill stores" in log.getvalue()
    spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", log.getvalue()))
    return result.metadata.shared, spilled


def main() -> int:
    triton.knobs.nvidia.dump_ptxas_log = True
    triton.knobs.compilation.always_compile = True
    over = 0
    for kernel, dtypes in KERNELS.items():
        for keep in (False, True)[: 1 + (kernel is maxsim.forward_kernel)]:
            for dtype, (capability, limit) in product(dtypes, CHIPS.items()):
                shared, spilled = compiled(kernel, dtype, keep, capability)
                name = f"{kernel.fn.__name__:16} {'keep' * keep:4} {dtype:9} sm_{capability}"
                print(f"{name}: {shared} bytes of shared memory, {spilled} spilled", flush=True)
                over += shared > limit or spilled > SPILLED.get(kernel, 0)
    return over


if __name__ == "__main__":
    sys.exit(main())
