"""What does this library make of a card? Its own ceilings, and beside them scoring, training,
encoding and search, measured in one run.

    python benchmarks/gpu.py                    # five minutes on a CUDA device
    python benchmarks/gpu.py --parts sgm hoad   # some of it
    python benchmarks/gpu.py --small            # every line of it on a CPU, at tiny sizes

Prints a table, and writes JSON and PNG named after the card. Random ragged collections of the
papers' sizes; CUDA events, medians after a warm-up; rivals in turns with the scorer.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from bench import HOAD, SGM, device_name, measure, peak_memory, random_nodes, save_json
from throughput import product
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from training_throughput import random_graphs

from pyg_sgm import models
from pyg_sgm.losses import HOADLoss, TripletLoss
from pyg_sgm.metrics import retrieval_metrics
from pyg_sgm.models import GraphSizes, Matcher
from pyg_sgm.nn import PackedGRU
from pyg_sgm.ops import maxsim

HALF = torch.bfloat16


class Sizes(NamedTuple):
    product: int = 8192  # side of the matrices
    copy: int = 2**30  # bytes
    images: int = 5000  # COCO 5K
    captions: int = 25000
    images_1k: int = 1000  # Flickr30k
    captions_1k: int = 5000
    searched: int = 100_000
    part: int = 64  # captions of the loops over captions
    square: int = 64  # images of the padded product of all with all
    batch: int = 200
    dim: int = 1024
    features: int = 2048
    steps: int = 20
    repeats: int = 5


SMALL = Sizes(64, 2**20, 40, 30, 20, 25, 50, 4, 4, 6, 64, 32, 2, 1)


def ceilings(sizes: Sizes, device: str) -> dict[str, float]:
    """Rates of plain products, in TFLOP/s, and of a copy, in TB/s (read and written)."""
    n = sizes.product
    a, b = (torch.randn(n, n, device=device) for _ in range(2))
    out = {}
    for name, dtype in (("bfloat16", HALF), ("float16", torch.float16), ("float32", torch.float32)):
        x, y = a.to(dtype), b.to(dtype)
        out[f"{name}_tflops"] = 2e-12 * n**3 / seconds(partial(torch.mm, x, y), device, sizes)
    with tf32():
        out["tf32_tflops"] = 2e-12 * n**3 / seconds(partial(torch.mm, a, b), device, sizes)
    source = torch.randint(255, (sizes.copy,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    out["copy_tbs"] = 2e-12 * sizes.copy / seconds(partial(target.copy_, source), device, sizes)
    return out


def sgm(sizes: Sizes, device: str) -> dict[str, float]:
    """SGM's two levels, COCO 5K in bfloat16; and Flickr30k 1K in float32."""
    whole = SGM.random(sizes.images, sizes.captions, sizes.dim, device).to(device, HALF)
    out = _against(whole, sizes, device)
    few = SGM.random(sizes.images_1k, sizes.captions_1k, sizes.dim, device)
    functions = {"scorer": few.score, "product": partial(product, few)}
    times = measure(functions, device, sizes.repeats)
    out["float32_1k_seconds"] = times["scorer"]
    out["float32_1k_share_of_product"] = times["product"] / times["scorer"]
    return out


def hoad(sizes: Sizes, device: str) -> dict[str, float]:
    """HOAD's comparison, COCO 5K and Flickr30k 1K, bfloat16."""
    whole = HOAD.random(sizes.images, sizes.captions, device=device).to(device, HALF)
    out = _against(whole, sizes._replace(repeats=1), device)
    few = HOAD.random(sizes.images_1k, sizes.captions_1k, device=device).to(device, HALF)
    out["1k_seconds"] = seconds(few.score, device, sizes)
    return out


def _against(whole: SGM | HOAD, sizes: Sizes, device: str) -> dict[str, float]:
    """The scorer of all pairs, beside a product of square matrices; the product of the same nodes,
    written to memory; PyTorch's blocks, the loop over captions of the field and a padded einsum, on
    a part each."""
    images = torch.arange(sizes.images, device=device)
    texts = torch.arange(sizes.part, device=device)
    column = whole.texts(texts)
    square = column.images(images[: sizes.square])
    pairs = sizes.images * sizes.captions
    a, b = torch.randn(2, sizes.product, sizes.product, device=device).to(HALF)
    functions = {
        "scorer": (whole.score, pairs),
        "square": (partial(torch.mm, a, b), 1),
        "product": (partial(product, whole), pairs),
        "pytorch": (partial(without_kernels, column.score), sizes.images * sizes.part),
        "caption_loop": (column.caption_loop, sizes.images * sizes.part),
        "einsum": (square.einsum, sizes.square * sizes.part),
    }
    memory = peak_memory(whole.score, device)
    times = measure({k: f for k, (f, _) in functions.items()}, device, sizes.repeats)
    per_pair = {k: times[k] / n for k, (_, n) in functions.items()}
    rate = whole.flops() / times["scorer"]
    return {
        "seconds": times["scorer"],
        "tflops": rate / 1e12,
        "share_of_ceiling": rate * times["square"] / (2 * sizes.product**3),
        "peak_memory_gib": memory / 1024,
        **{f"times_{k}": v / per_pair["scorer"] for k, v in per_pair.items() if k in RIVALS},
    }


RIVALS = ("product", "pytorch", "caption_loop", "einsum")


def recall(sizes: Sizes, device: str) -> dict[str, float]:
    """Whether the tables of a Flickr30k 1K of planted matches are those of the CPU."""
    images = random_nodes((36, 36), sizes.images_1k, 128, 0)
    generator = torch.Generator().manual_seed(1)
    image_of_text = torch.arange(sizes.captions_1k) % sizes.images_1k
    seen = torch.randint(36, (sizes.captions_1k, 12), generator=generator)
    rows = images.ptr[image_of_text][:, None] + seen
    noise = torch.randn(rows.numel(), 128, generator=generator)
    ptr = torch.arange(sizes.captions_1k + 1) * 12
    texts = type(images)(images.x[rows.flatten()] + 10 * noise, ptr)
    tables = []
    for place in ("cpu", device):
        scores = maxsim(texts.to(place), images.to(place)).t()
        table = retrieval_metrics(scores, image_of_text.to(place))
        tables.append([v for way in ("i2t", "t2i") for v in table[way].values()])
    return {
        "largest_difference": max(abs(a - b) for a, b in zip(*tables, strict=True)),
        "t2i_r1": float(table["t2i"]["r1"]),
    }


def training(sizes: Sizes, device: str) -> dict[str, float]:
    """Steps of SGM and HOAD with region features, bfloat16, and where their time goes."""
    out = {}
    vocabulary = GraphSizes(8000, 150, 50, 50, sizes.features)
    for name, model, loss in (
        ("sgm", models.SGM(vocabulary, dim=sizes.dim, hidden=2 * sizes.dim), TripletLoss()),
        ("hoad", models.HOAD(vocabulary, dim=sizes.dim // 4, hidden=sizes.dim), HOADLoss()),
    ):
        step = _step(model, loss, sizes, device)
        for k in range(3):
            step(k)
        times = []
        for k in range(sizes.steps):
            start = time.perf_counter()
            step(k)
            _wait(device)
            times.append(time.perf_counter() - start)
        out[f"{name}_seconds"] = statistics.median(times)
        out[f"{name}_captions_per_second"] = sizes.batch / out[f"{name}_seconds"]
        for part, share in _shares(step, device).items():
            out[f"{name}_{part}"] = share
    return out


def _step(model: Matcher, loss_of: nn.Module, sizes: Sizes, device: str) -> Callable[[int], None]:
    torch.manual_seed(0)
    model = model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, fused=True)
    batches = [
        tuple(graph.to(device) for graph in random_graphs(sizes.batch, 36, 25, sizes.features))
        for _ in range(2)
    ]
    own = torch.arange(sizes.batch, device=device)

    def step(k: int) -> None:
        image, text = batches[k % 2]
        with torch.autocast(torch.device(device).type, HALF):
            scores = model.score(model.encode_image(image), model.encode_text(text))
        loss_of(scores.float(), own).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"}
RECURRENCE = {"_GRU", "_GRUBackward", "_LSTM", "_LSTMBackward", "aten::_cudnn_rnn"}
RECURRENCE |= {"CudnnRnnBackward0"}
SCORING = {"MaxSim", "MaxSimBackward", "_MaxSim", "_MaxSimBackward", "CheckpointFunctionBackward"}


def _shares(step: Callable[[int], None], device: str) -> dict[str, float]:
    """Shares of a step: products, recurrence, scoring, the rest, and the host, which is when the
    device waits."""
    activities = [ProfilerActivity.CPU]
    if device != "cpu":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        start = time.perf_counter()
        step(0)
        _wait(device)
        wall = 1e6 * (time.perf_counter() - start)
    times = {"products": 0.0, "recurrence": 0.0, "scoring": 0.0, "rest": 0.0}
    for event in profiler.events():
        on_host = device == "cpu"
        spent = event.self_cpu_time_total if on_host else event.self_device_time_total
        # With a device, its kernels are listed again as events of their own.
        if spent and (on_host or event.device_type == torch.autograd.DeviceType.CPU):
            times[_kind(event)] += spent
    busy = sum(times.values())
    return {**{k: v / max(wall, busy) for k, v in times.items()}, "host": max(0, 1 - busy / wall)}


def _kind(event: object) -> str:
    kind, above = "rest", event
    while above is not None:
        name = above.name  # type: ignore[attr-defined]
        if name in RECURRENCE:
            return "recurrence"
        if name in SCORING:
            return "scoring"
        if name in PRODUCTS:
            kind = "products"
        above = above.cpu_parent  # type: ignore[attr-defined]
    return kind


def recurrence(sizes: Sizes, device: str) -> dict[str, float]:
    """SGM's GRU over the words of a batch, forward and backward: ours and the library's."""
    words = random_nodes((5, 21), sizes.batch, 300, 0, device)
    encoder = PackedGRU(300, sizes.dim).to(device)
    words.x.requires_grad_()

    def step(module: Callable[[], Tensor]) -> None:
        with torch.autocast(torch.device(device).type, HALF):
            out = module()
        out.float().square().sum().backward()

    def theirs() -> Tensor:
        parts = words.x.split(words.sizes.tolist())
        packed = nn.utils.rnn.pack_sequence(list(parts), enforce_sorted=False)
        states: Tensor = encoder.rnn(packed)[0].data
        return states

    ours = partial(step, lambda: encoder(words.x, words.ptr)[0])
    times = measure({"ours": ours, "theirs": partial(step, theirs)}, device, sizes.steps)
    return {f"{name}_seconds": value for name, value in times.items()}


def encoding(sizes: Sizes, device: str) -> dict[str, float]:
    """Images and captions a second that SGM encodes, bfloat16."""
    vocabulary = GraphSizes(8000, 150, 50, 0, sizes.features)
    model = models.SGM(vocabulary, dim=sizes.dim, hidden=2 * sizes.dim).to(device).eval()
    image, text = (g.to(device) for g in random_graphs(sizes.batch, 36, 25, sizes.features))
    with torch.inference_mode(), torch.autocast(torch.device(device).type, HALF):
        functions = {
            "images": partial(model.encode_image, image),
            "captions": partial(model.encode_text, text),
        }
        times = measure(functions, device, sizes.steps)
    return {f"{name}_per_second": sizes.batch / value for name, value in times.items()}


def search(sizes: Sizes, device: str) -> dict[str, float]:
    """One caption, and 64, with all images, bfloat16, 256-d: 14 objects and 10 relations each."""
    objects = random_nodes((14, 14), sizes.searched, 256, 0, device).to(HALF)
    relations = random_nodes((10, 10), sizes.searched, 256, 1, device).to(HALF)
    out = {}
    for count in (1, 64):
        words = random_nodes((12, 12), count, 256, 2, device).to(HALF)
        triplets = random_nodes((3, 3), count, 256, 3, device).to(HALF)
        score = SGM(objects, relations, words, triplets).score
        out[f"{count}_seconds"] = seconds(score, device, sizes)
    bytes_read = 2 * (objects.x.numel() + relations.x.numel())
    out["1_tbs"] = 1e-12 * bytes_read / out["1_seconds"]
    return out


def seconds(function: Callable[[], object], device: str, sizes: Sizes) -> float:
    return measure({"": function}, device, sizes.repeats)[""]


def without_kernels(function: Callable[[], Tensor]) -> Tensor:
    os.environ["PYG_SGM_KERNELS"] = "0"
    try:
        return function()
    finally:
        del os.environ["PYG_SGM_KERNELS"]


@contextmanager
def tf32() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


PARTS: dict[str, Callable[[Sizes, str], dict[str, float]]] = {
    "ceilings": ceilings,
    "sgm": sgm,
    "hoad": hoad,
    "recall": recall,
    "training": training,
    "recurrence": recurrence,
    "encoding": encoding,
    "search": search,
}


def draw(report: dict[str, dict[str, float]], path: Path) -> None:
    """Rates of the scorers beside the ceiling of products."""
    from matplotlib import pyplot

    bars = {}
    for name, key in (("ceilings", "bfloat16_tflops"), ("sgm", "tflops"), ("hoad", "tflops")):
        if name in report:
            bars["plain product" if name == "ceilings" else name.upper()] = report[name][key]
    figure, axes = pyplot.subplots(figsize=(6, 1.6), layout="constrained")
    container = axes.barh(list(bars)[::-1], list(bars.values())[::-1])
    axes.bar_label(container, fmt="%.3g", padding=3)
    axes.set_xlabel("TFLOP/s, bfloat16")
    axes.margins(x=0.15)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try the script")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    if args.device == "cpu" and not args.small:
        parser.error("no CUDA device is here; --small tries every part on the CPU")
    sizes = SMALL if args.small else Sizes()
    card = device_name(args.device)
    name = "gpu_" + "_".join(card.lower().replace(",", "").split())
    report: dict[str, dict[str, float]] = {}
    print(f"{card}, torch {torch.__version__}")
    for part in args.parts:
        start = time.perf_counter()
        with torch.inference_mode(part in ("sgm", "hoad", "recall", "search")):
            report[part] = PARTS[part](sizes, args.device)
        print(f"{part} ({time.perf_counter() - start:.1f} s)")
        for key, value in report[part].items():
            print(f"    {key:32} {value:.4g}", flush=True)
        about = {"device": card, "torch": torch.__version__, "sizes": sizes._asdict()}
        save_json(args.out, name, {**about, **report})
        if args.device != "cpu":
            torch.cuda.empty_cache()
    draw(report, args.out / f"{name}.png")


if __name__ == "__main__":
    main()
