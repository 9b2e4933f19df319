"""Is torch-scatter worth its build? Its kernels against PyTorch's own, on the shapes of training.

    python benchmarks/segment.py

Forward and backward of every segment operation over packed nodes: 200 graphs of 36 nodes and 1024
dimensions (SGM's objects), 200 of 5 to 25 (its words), 1000 of 40 to 80 nodes and one number each
(HOAD's node attention). And a whole step of SGM's training, 200 pairs in bfloat16.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch_geometric.typing
from bench import device_name, measure, random_nodes, save_json
from training_throughput import training_step

from pyg_sgm.ops import segment_logsumexp, segment_max, segment_mean, segment_softmax, segment_sum

OPERATIONS = [segment_sum, segment_mean, segment_max, segment_logsumexp, segment_softmax]
SHAPES = {
    "200 x 36 x 1024": ((36, 36), 200, 1024),
    "200 x 5-25 x 1024": ((5, 25), 200, 1024),
    "1000 x 40-80 x 1": ((40, 80), 1000, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    if not torch_geometric.typing.WITH_TORCH_SCATTER:
        raise ImportError("torch-scatter is not installed: pip install pyg_sgm[scatter]")

    table: dict[str, object] = {"device": device_name(args.device)}
    print(f"{'operation':18} {'graphs x nodes x dim':20} {'torch ms':>9} {'scatter ms':>10} ratio")

    def compare(name: str, shape: str, function: Callable[[], object]) -> None:
        def run(with_scatter: bool) -> None:
            torch_geometric.typing.WITH_TORCH_SCATTER = with_scatter
            function()

        both = {"torch": lambda: run(False), "scatter": lambda: run(True)}
        times = measure(both, args.device, args.repeats)
        ratio = times["torch"] / times["scatter"]
        table[f"{name} {shape}".strip()] = {**times, "torch_over_scatter": ratio}
        print(
            f"{name:18} {shape:20} {1e3 * times['torch']:9.3f} "
            f"{1e3 * times['scatter']:10.3f} {ratio:5.2f}"
        )

    for shape, sizes in SHAPES.items():
        nodes = random_nodes(*sizes, seed=0).to(args.device)
        x, ptr = nodes.x.requires_grad_(), nodes.ptr
        for operation in OPERATIONS:
            compare(
                operation.__name__,
                shape,
                lambda operation=operation, x=x, ptr=ptr: torch.autograd.grad(
                    operation(x, ptr).sum(), x
                ),
            )
    device = torch.device(args.device)
    step = training_step(200, 36, 25, 1024, 1024, 0, torch.bfloat16, device)
    compare("training step", "", lambda: step(0))
    save_json(args.out, f"segment_{args.device.split(':')[0]}", table)


if __name__ == "__main__":
    main()
