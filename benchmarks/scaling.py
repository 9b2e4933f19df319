"""How do time and memory grow with the number of images and captions?

    python benchmarks/scaling.py --model sgm
    python benchmarks/scaling.py --model sgm --dtype bfloat16 --sizes 5000x25000 --stream

Every size is scored once after a warm-up and reported by the time of a pair, beside that of the
first size. With `--stream` no matrix is made: ranks and the ten best of both directions come from
blocks. Peak memory is beside the inputs and the result.
"""

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from bench import DTYPES, HOAD, MODELS, SGM, device_name, peak_memory, save_json

from pyg_sgm.ops import stream_ranks


def stream(collection: SGM | HOAD, images: int, captions: int) -> None:
    image_of_text = torch.arange(captions) * images // captions

    def score(image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return collection.images(image).texts(text).score()

    stream_ranks(score, images, image_of_text)


def measure(args: argparse.Namespace, size: str, threads: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    images, captions = (int(number) for number in size.split("x"))
    collection = MODELS[args.model].random(images, captions)
    collection = collection.to(args.device, DTYPES[args.dtype])
    few = torch.arange(min(64, images, captions), device=args.device)
    times = []

    def once() -> None:
        start = time.perf_counter()
        if args.stream:
            stream(collection, images, captions)
        else:
            collection.score()
        if args.device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)

    with torch.inference_mode():
        collection.images(few).texts(few).score()
        memory = peak_memory(once, args.device)
    result = 0 if args.stream else collection.result_bytes() / 2**20
    return {
        "images": images,
        "captions": captions,
        "seconds": times[0],
        "microseconds_per_pair": 1e6 * times[0] / (images * captions),
        "tflops": collection.flops() / times[0] / 1e12,
        "peak_memory_mib": max(0.0, memory - result),
    }


def run(args: argparse.Namespace) -> list[dict[str, float]]:
    """Every size in a process of its own, so that none finds memory that another left."""
    rows: list[dict[str, float]] = []
    context = multiprocessing.get_context("spawn")
    for size in args.sizes:
        with ProcessPoolExecutor(1, mp_context=context) as process:
            row = process.submit(measure, args, size, torch.get_num_threads()).result()
        rows.append(row)
        row["ratio_to_first"] = row["microseconds_per_pair"] / rows[0]["microseconds_per_pair"]
        print("  ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
    return rows


def draw(rows: list[dict[str, float]], title: str, path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    sizes = [f"{row['images']:,} x {row['captions']:,}" for row in rows]
    for axis, key, unit in zip(
        axes, ("microseconds_per_pair", "peak_memory_mib"), ("µs per pair", "MiB"), strict=True
    ):
        values = [row[key] for row in rows]
        axis.plot(sizes, values, marker="o")
        axis.set(xlabel="images x captions", ylabel=unit, ylim=(0, 1.15 * max(values)))
        axis.margins(x=0.25)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="sgm")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--sizes", nargs="+", default=["250x1250", "500x2500", "1000x5000"])
    parser.add_argument("--stream", action="store_true", help="keep ranks and the best, no matrix")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    rows = run(args)
    name = f"scaling_{args.model}_{args.dtype}_{args.device.split(':')[0]}"
    name += "_stream" if args.stream else ""
    device = device_name(args.device)
    save_json(args.out, name, {"model": args.model, "device": device, "rows": rows})
    draw(rows, f"{args.model}, {args.dtype}, {device}", args.out / f"{name}.png")


if __name__ == "__main__":
    main()
