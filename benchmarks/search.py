"""How long does a certified search take, how does it grow with the collection, and is it exact?

    python benchmarks/search.py growth --run runs/world --data scene-world \\
        --sizes 1000 10000 100000 --nodes 14 10
    python benchmarks/search.py caption
    python benchmarks/search.py exact --run runs/photos --data flickr8k:FOLDER --graphs photos.sg
    python benchmarks/search.py build --run runs/photos --data flickr8k:FOLDER --graphs photos.sg

Each of these is a part of search.json. "growth": how long a query takes, and how many images it
scores in full. Images beyond those of the data are replicas: the same nodes with noise of a third
of their length. With --nodes every image has exactly so many objects and relations, drawn from one
image's. All queries of a size are timed in one run, interleaved: the full scan is the model's own
score on the same rows in float32. "caption": one caption against many images. "exact": every answer
compared with the full ranking. "build": time beyond the extraction of graphs, bytes on the disk,
memory; "build_without_bank" is the same of a run without a query bank.
"""

import argparse
import json
import resource
from pathlib import Path

import torch
from bench import device_name, measure, random_nodes, save_json
from search_growth import growth
from search_photos import build_index, exact_answers

from pyg_sgm.ops import Packed, maxsim


def caption(args: argparse.Namespace) -> dict:
    """One caption against many ragged images without gradients, and a plain product with a maximum
    over the nodes of each image."""
    images = random_nodes(args.sizes, args.images, args.dim, 0)
    rows = []
    for words in args.words:
        text = random_nodes((words, words), 1, args.dim, 1)

        def plain(text: Packed = text) -> torch.Tensor:
            product = images.x @ text.x.t()
            return torch.segment_reduce(product, "max", offsets=images.ptr, axis=0).mean(1)

        def ours(text: Packed = text) -> torch.Tensor:
            return maxsim(text, images)[0]

        torch.testing.assert_close(ours(), plain())
        seconds = measure({"plain": plain, "maxsim": ours}, "cpu", args.repeats)
        row = {"words": words, "seconds": seconds, "ratio": seconds["maxsim"] / seconds["plain"]}
        rows.append(row)
    nodes = {"images": len(images), "nodes": len(images.x), "dim": args.dim}
    return {**nodes, "repeats": args.repeats, "rows": rows}


def draw(report: dict, path: Path) -> None:
    """How many images are scored in full against the size of the collection, by width."""
    from matplotlib import pyplot

    parts = {"growth": "synthetic world, with replicas", "exact": "Flickr8k"}
    widths = dict.fromkeys(row["width"] for row in report["growth"]["rows"])
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained", sharey=True)
    for axis, (part, title) in zip(axes, parts.items(), strict=True):
        rows = report[part]["rows"]
        for width in widths:
            own = [row for row in rows if row["width"] == width]
            sizes = [row["images"] for row in own]
            (line,) = axis.plot(sizes, [row["scored_median"] for row in own], marker="o")
            most = [row["scored_most"] for row in own]
            axis.plot(sizes, most, marker="o", fillstyle="none", ls=":", color=line.get_color())
            line.set_label(f"{width} bytes" if isinstance(width, int) else width)
        axis.set(xscale="log", yscale="log", xlabel="images", title=title)
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.minorticks_off()
    axes[0].set_ylabel("scored: median, most (dotted)")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("growth")
    one.set_defaults(measured=growth)
    one.add_argument("--run", type=Path, required=True)
    one.add_argument("--data", default="scene-world")
    one.add_argument("--split", default="dev")
    one.add_argument("--graphs", type=Path)
    one.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 10_000])
    one.add_argument("--widths", type=int, nargs="*", default=[64, 96, 128])
    one.add_argument("--nodes", type=int, nargs=2, help="objects and relations of every image")
    one.add_argument("--queries", type=int, default=20)
    one.add_argument("--k", type=int, default=10)
    one = parts.add_parser("caption")
    one.set_defaults(measured=caption)
    one.add_argument("--images", type=int, default=5000)
    one.add_argument("--sizes", type=int, nargs=2, default=(1, 27), help="nodes of an image")
    one.add_argument("--dim", type=int, default=256)
    one.add_argument("--words", type=int, nargs="+", default=[1, 3, 5, 8])
    one.add_argument("--repeats", type=int, default=201)
    builds = dict.fromkeys(("build", "build_without_bank"), build_index)
    for name, measured in {"exact": exact_answers, **builds}.items():
        one = parts.add_parser(name)
        one.set_defaults(measured=measured)
        one.add_argument("--run", type=Path, required=True)
        one.add_argument("--data", required=True)
        one.add_argument("--splits", nargs="+", default=["train", "dev"], help="whose images")
        one.add_argument("--graphs", type=Path, required=True)
        if name == "exact":
            one.add_argument("--split", default="dev", help="whose captions")
            one.add_argument("--widths", type=int, nargs="*", default=[64, 96, 128])
            one.add_argument("--sizes", type=int, nargs="*", default=[1000, 3000])
            one.add_argument("--k", type=int, default=10)
            one.add_argument("--step", type=int, default=1, help="every so manieth caption")
        else:
            one.add_argument("--index", type=Path, help="where to leave it")
            one.add_argument("--added", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = args.out / "search.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    with torch.no_grad():
        found = args.measured(args)
    found["device"] = device_name("cpu")
    found["peak_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report[args.part] = found
    save_json(args.out, "search", report)
    if {"growth", "exact"} <= report.keys():
        draw(report, args.out / "search.png")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
