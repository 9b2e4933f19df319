"""How long do the ranks of a score matrix take, in both directions, and how long do two sorts?

    python benchmarks/ranks.py --images 5000 --captions 25000

Random scores, five captions per image. The sorts, of every row and every column, run on a tenth of
the images and captions and are compared by the time of a score.
"""

import argparse
from pathlib import Path

import torch
from bench import device_name, measure, save_json

from pyg_sgm.ops import ranks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--captions", type=int, default=25000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    torch.manual_seed(0)
    scores = torch.rand(args.images, args.captions, device=args.device)
    image_of_text = torch.arange(args.captions, device=args.device) * args.images // args.captions
    few = scores[: max(1, args.images // 10), : max(1, args.captions // 10)].contiguous()

    times = measure(
        {
            "ranks": lambda: ranks(scores, image_of_text),
            "sorts": lambda: (few.argsort(1), few.argsort(0)),
        },
        args.device,
        args.repeats,
    )
    report = {
        "device": device_name(args.device),
        "images": args.images,
        "captions": args.captions,
        "seconds": times["ranks"],
        "ratio_to_sorts": times["sorts"] / few.numel() / (times["ranks"] / scores.numel()),
    }
    save_json(args.out, f"ranks_{args.device.split(':')[0]}", report)
    for key, value in report.items():
        print(f"{key:16} {value:.4g}" if isinstance(value, float) else f"{key:16} {value}")


if __name__ == "__main__":
    main()
