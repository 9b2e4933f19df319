"""How fast does SGM train, and where does a training step spend its time?

Trains SGM on random graphs of the paper's sizes (Wang et al., WACV 2020, section 4.2) and prints
captions per second, the share of a step that is neither a matrix product nor a GRU, by the
profiler, and the rate of a plain matrix product in the same run. Writes the figures as JSON.

    python benchmarks/training_throughput.py
    python benchmarks/training_throughput.py --precision float32 --steps 3
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile
from torch_geometric.data import HeteroData

from pyg_sgm.losses import TripletLoss
from pyg_sgm.models import SGM, GraphSizes

PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "_GRU", "_GRUBackward"}


def random_graphs(
    batch: int, objects: int, relations: int, features: int
) -> tuple[HeteroData, HeteroData]:
    """Images of one size; captions of 5 to 21 words and 0 to 5 triplets of one word per node. Every
    object has an attribute."""
    image, text = HeteroData(), HeteroData()
    _add_nodes(image, torch.full((batch,), objects), torch.full((batch,), relations), 150, 50)
    corner = torch.rand(batch * objects, 2) / 2
    image["object"].box = torch.cat([corner, corner + 0.4], dim=1)
    if features:
        image["object"].x = torch.rand(batch * objects, features)
        image["relation"].x = torch.rand(batch * relations, features)
    words, triplets = torch.randint(5, 22, (batch,)), torch.randint(0, 6, (batch,))
    _add_nodes(text, triplets + 1, triplets, 8000, 8000)
    text["word"].token = torch.randint(8000, (int(words.sum()),))
    text["word"].ptr = pointer(words)
    for node in ("object", "relation", "attribute"):
        text[node].token = text[node].label
        text[node].length = torch.ones_like(text[node].label)
    return image, text


def _add_nodes(
    graph: HeteroData, objects: torch.Tensor, relations: torch.Tensor, names: int, predicates: int
) -> None:
    ends = torch.rand(2, int(relations.sum())) * objects.repeat_interleave(relations)
    ends = ends.long() + pointer(objects)[:-1].repeat_interleave(relations)
    order = torch.arange(ends.size(1))
    for node, size, labels in (("object", objects, names), ("relation", relations, predicates)):
        graph[node].num_nodes = int(size.sum())
        graph[node].label = torch.randint(labels, (graph[node].num_nodes,))
        graph[node].ptr = pointer(size)
    graph["attribute"].num_nodes = graph["object"].num_nodes
    graph["attribute"].label = torch.randint(predicates, (graph["attribute"].num_nodes,))
    graph["attribute"].ptr = graph["object"].ptr
    own = torch.arange(graph["object"].num_nodes)
    graph["attribute", "describes", "object"].edge_index = torch.stack([own, own])
    graph["object", "subject_of", "relation"].edge_index = torch.stack([ends[0], order])
    graph["relation", "has_object", "object"].edge_index = torch.stack([order, ends[1]])


def pointer(sizes: torch.Tensor) -> torch.Tensor:
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])


def share_outside_products(events: list) -> float:
    """Share of the time of all operators that no matrix product or GRU, nor a child of one, took.

    The matrix products of the GRU's input projections count as products, the rest of its recurrence
    as GRU."""
    inside = total = 0.0
    for event in events:
        total += event.self_cpu_time_total
        above = event
        while above is not None and above.name not in PRODUCTS:
            above = above.cpu_parent
        inside += event.self_cpu_time_total if above is not None else 0.0
    return 1 - inside / total


def matmul_rate(dtype: torch.dtype, device: torch.device) -> float:
    """TFLOP/s of a plain matrix product."""
    a, b = (torch.rand(2048, 2048, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(7):
        start = time.perf_counter()
        (a @ b).sum().item()
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / statistics.median(times) / 1e12


def training_step(
    batch: int,
    objects: int,
    relations: int,
    dim: int,
    hidden: int,
    features: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Callable[[int], None]:
    """A step of training on one of two random batches: the function takes its number."""
    torch.manual_seed(0)
    model = SGM(GraphSizes(8000, 150, 50, 0, features), dim=dim, hidden=hidden).to(device)
    loss_of = TripletLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    batches = [
        tuple(graph.to(device) for graph in random_graphs(batch, objects, relations, features))
        for _ in range(2)
    ]

    def step(k: int) -> None:
        image, text = batches[k % 2]
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            scores = model.score(model.encode_image(image), model.encode_text(text))
        loss_of(scores.float(), torch.arange(batch, device=device)).backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--batch", type=int, default=200, help="pairs per step (default: %(default)s)"
    )
    parser.add_argument("--objects", type=int, default=36, help="an image (default: %(default)s)")
    parser.add_argument("--relations", type=int, default=25, help="an image (default: %(default)s)")
    parser.add_argument("--dim", type=int, default=1024, help="of nodes (default: %(default)s)")
    parser.add_argument(
        "--hidden", type=int, default=1024, help="fused nodes (default: %(default)s)"
    )
    parser.add_argument(
        "--features", type=int, default=0, help="region feature width, 0: boxes (default: 0)"
    )
    parser.add_argument("--precision", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--steps", type=int, default=5, help="timed steps (default: %(default)s)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()

    device, dtype = torch.device(args.device), getattr(torch, args.precision)
    step = training_step(
        args.batch,
        args.objects,
        args.relations,
        args.dim,
        args.hidden,
        args.features,
        dtype,
        device,
    )
    step(0)  # warm-up
    times, rates = [], []
    for k in range(args.steps):
        start = time.perf_counter()
        step(k)
        times.append(time.perf_counter() - start)
        rates.append(matmul_rate(dtype, device))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step(0)
    result = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        **{k: v for k, v in vars(args).items() if k not in ("out", "device")},
        "captions_per_second": args.batch / statistics.median(times),
        "seconds_per_step": {"median": statistics.median(times), "all": times},
        "share_outside_products_and_gru": share_outside_products(profiler.events()),
        "matmul_tflops": statistics.median(rates),
    }
    print(
        f"SGM, {args.batch} pairs of {args.objects} objects and {args.relations} relations, "
        f"{args.dim}-d, {args.precision} on {result['device']}, {result['threads']} threads"
    )
    print(
        f"  {result['captions_per_second']:.0f} captions per second "
        f"(median of {args.steps} steps, {statistics.median(times):.2f} s per step)"
    )
    print(
        f"  {100 * result['share_outside_products_and_gru']:.1f} % of a step is neither a matrix "
        "product nor a GRU"
    )
    print(f"  a plain 2048 x 2048 product runs at {result['matmul_tflops']:.2f} TFLOP/s")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"training_throughput_{result['device'].replace(' ', '_')}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"  written to {path}")


if __name__ == "__main__":
    main()
