"""How fast is every image scored against every caption, and how far from a plain matrix product?

    python benchmarks/throughput.py --model sgm --dtype float32 --images 1000 --captions 1000

Random ragged collections of the papers' sizes. In one run, in turns, medians after a warm-up: the
scorer; a plain matrix product of the same nodes; a loop over captions with batched products; one
padded einsum; and, in a process of its own, a loop over pairs. The last three run on a part of the
collection, and all are compared by the time of a pair. Peak memory is beside inputs and result.
"""

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from bench import DTYPES, HOAD, MODELS, SGM, device_name, measure, peak_memory, save_json


def product(collection: SGM | HOAD) -> None:
    """The plain product of all nodes with all nodes, as many columns at a time as fit 256 MiB."""
    for x, y in collection.levels:
        columns = max(1, 2**28 // (x.x.element_size() * max(1, x.x.size(0))))
        out = x.x.new_empty(x.x.size(0), columns)
        for part in y.x.split(columns):
            torch.mm(x.x, part.t(), out=out[:, : len(part)])


def product_flops(collection: SGM | HOAD) -> float:
    return sum(2.0 * x.x.numel() * y.x.size(0) for x, y in collection.levels)


def pair_loop_seconds(few: SGM | HOAD, device: str, repeats: int, threads: int) -> float:
    torch.set_num_threads(threads)
    with torch.inference_mode():
        return measure({"pair_loop": few.pair_loop}, device, repeats)["pair_loop"]


def run(args: argparse.Namespace) -> dict[str, object]:
    dtype = DTYPES[args.dtype]
    whole = MODELS[args.model].random(args.images, args.captions)
    collection = whole.to(args.device, dtype)

    def part(source: SGM | HOAD, images: int, captions: int) -> SGM | HOAD:
        i, j = (
            torch.arange(min(n, m), device=args.device)
            for n, m in ((images, args.images), (captions, args.captions))
        )
        return source.images(i).texts(j)

    sample_images, sample_captions = (64, 16) if args.model == "hoad" else (128, 32)
    few = part(collection, 8, 8)
    some = part(collection, sample_images, sample_captions)
    column = part(collection, args.images, sample_captions)
    pairs = {
        "scorer": args.images * args.captions,
        "product": args.images * args.captions,
        "caption_loop": args.images * min(sample_captions, args.captions),
        "pair_loop": min(8, args.images) * min(8, args.captions),
        "einsum": min(sample_images, args.images) * min(sample_captions, args.captions),
    }
    functions = {
        "scorer": collection.score,
        "product": lambda: product(collection),
        "caption_loop": column.caption_loop,
        "einsum": some.einsum,
    }
    if dtype != torch.float32:
        full = part(whole.to(args.device, torch.float32), args.images, sample_captions)
        functions["caption_loop_float32"] = full.caption_loop
        pairs["caption_loop_float32"] = pairs["caption_loop"]

    with torch.inference_mode():
        few.score()  # what libraries allocate once is not the scorer's
        memory = peak_memory(collection.score, args.device)
        seconds = measure(functions, args.device, args.repeats)
    # The scorer changes how the C library keeps freed memory, which the loop over pairs gains most
    # from (HOAD's becomes six times as fast). What is asked is how fast it is without this package.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as other:
        seconds["pair_loop"] = other.submit(
            pair_loop_seconds, few, args.device, args.repeats, torch.get_num_threads()
        ).result()
    per_pair = {name: seconds[name] / pairs[name] for name in seconds}
    rate = collection.flops() / seconds["scorer"]
    ratios = {
        f"ratio_to_{name}": per_pair[name] / per_pair["scorer"]
        for name in seconds
        if name not in ("scorer", "product")
    }
    return {
        "model": args.model,
        "device": device_name(args.device),
        "dtype": args.dtype,
        "images": args.images,
        "captions": args.captions,
        "repeats": args.repeats,
        "pairs_per_second": 1 / per_pair["scorer"],
        "captions_per_second": args.captions / seconds["scorer"],
        "tflops": rate / 1e12,
        "matmul_tflops": product_flops(collection) / seconds["product"] / 1e12,
        "ratio_to_matmul": rate / (product_flops(collection) / seconds["product"]),
        **ratios,
        "peak_memory_mib": max(0.0, memory - collection.result_bytes() / 2**20),
        "microseconds_per_pair": {name: 1e6 * value for name, value in per_pair.items()},
    }


def draw(report: dict[str, object], path: Path) -> None:
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter

    times = report["microseconds_per_pair"]
    assert isinstance(times, dict)
    names = [name for name in times if name != "product"][::-1]
    labels = [
        f"{times[name]:.4g}" + f"  ({times[name] / times['scorer']:.1f} x)" * (name != "scorer")
        for name in names
    ]
    figure, axes = pyplot.subplots(figsize=(7, 2.5), layout="constrained")
    bars = axes.barh([name.replace("_", " ") for name in names], [times[name] for name in names])
    axes.bar_label(bars, labels, padding=3)
    axes.set(xscale="log", xlabel="microseconds per pair (log scale)")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(times["scorer"] / 2, 6 * max(times.values()))
    sizes = f"{report['images']:,} images x {report['captions']:,} captions"
    axes.set_title(
        f"{report['model']}, {report['dtype']}, {sizes}, {report['device']}", fontsize=10
    )
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="sgm")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--captions", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    report = run(args)
    name = f"throughput_{args.model}_{args.dtype}_{args.device.split(':')[0]}"
    save_json(args.out, name, report)
    draw(report, args.out / f"{name}.png")
    for key, value in report.items():
        print(f"{key:32} {value:.4g}" if isinstance(value, float) else f"{key:32} {value}")


if __name__ == "__main__":
    main()
