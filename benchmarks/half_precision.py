"""Does scoring in half precision change what a trained model finds?

    python benchmarks/half_precision.py runs/sgm runs/hoad --data flickr30k-sgm:FOLDER --split val \
        --dev-every 5

Encodes images and captions once in float32 and scores them in float64, float32 and half precision.
Prints the recalls of each, and how far its scores are from those in float64, as a share of the
largest.
"""

import argparse
from pathlib import Path

import torch
from bench import save_json

from pyg_sgm.datasets import open_dataset
from pyg_sgm.metrics.retrieval import in_percent, retrieval_metrics
from pyg_sgm.models import Matcher
from pyg_sgm.retrieval import SceneGraphMatcher, with_parses


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="+", help="folders of trained models")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--dev-every", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    dataset = with_parses(open_dataset(args.data, args.split))
    if args.dev_every:
        dataset = dataset.split_every(args.dev_every)[1]

    report: dict[str, dict] = {}
    print("| model | scored in | i2t R@1 | R@5 | R@10 | t2i R@1 | R@5 | R@10 | error | moved |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for run in args.run:
        matcher = SceneGraphMatcher.from_pretrained(run)
        image = matcher.encode_images(dataset).encoding
        text = matcher.encode_texts(dataset).encoding
        model = matcher.model
        assert isinstance(model, Matcher)
        rows = report[run.name] = {}
        with torch.no_grad():
            exact = model.double().score(image.to(torch.float64), text.to(torch.float64))
            scores = {"float64": exact, "float32": model.float().score(image, text)}
            with torch.autocast(exact.device.type, torch.bfloat16):
                scores["bfloat16"] = model.score(image, text)
        for dtype, value in scores.items():
            metrics = in_percent(retrieval_metrics(value, dataset.image_of_text))
            recalls = [metrics[side][k] for side in ("i2t", "t2i") for k in ("r1", "r5", "r10")]
            error = float((value - exact).abs().max() / exact.abs().max())
            first = rows.get("float64", {}).get("recalls", recalls)
            moved = max(abs(a - b) for a, b in zip(recalls, first, strict=True))
            rows[dtype] = {"recalls": recalls, "error": error, "moved": moved}
            cells = " | ".join(f"{recall:.1f}" for recall in recalls)
            print(f"| {run.name} | {dtype} | {cells} | {error:.1e} | {moved:.2f} |")
    save_json(args.out, "half_precision", report)


if __name__ == "__main__":
    main()
