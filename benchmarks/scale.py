"""What do many machines bring, and what does a million images cost? On the cores of this machine.

    python benchmarks/scale.py extract --photos FOLDER --detector grid+onnx:yolox_nano.onnx
    python benchmarks/scale.py kills --photos FOLDER
    python benchmarks/scale.py million --index photos.idx --data flickr8k:FOLDER --images 1000000
    python benchmarks/scale.py small

Each of these is a part of scale.json (extra ``ray``). "extract": photos a second by threads of one
process, by a pool of processes, and by Ray clusters of one-core workers; the graphs must be equal.
"kills": workers, actors and a node die while graphs are made, an index in shards is built and
searched, and an evaluation is scored; nothing may be lost or done twice, and all answers must be
those of a process that is left alone. "million": drawn encodings in shards, with the nodes of real
images, on their most important directions, and noise; how long a certified query takes by this
process and by actors, and how much of that is not Ray's. "small": all of them at tiny sizes, on
drawn photos.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from bench import save_json
from scale_kills import kills
from scale_million import million
from scale_photos import extraction


def small(folder: Path) -> list[list[str]]:
    """Makes photos and an index, and says how each part is called with them."""
    from PIL import Image

    from pyg_sgm import SceneGraphMatcher
    from pyg_sgm.datasets import SceneWorld
    from pyg_sgm.index import SceneGraphIndex

    photos = folder / "photos"
    photos.mkdir()
    for number in range(12):
        Image.new("RGB", (60, 40), (20 * number, 90, 200)).save(photos / f"{number}.png")
    world = SceneWorld("train", num_images=40)
    matcher = SceneGraphMatcher("sgm", dim=32, hidden=32).fit(world, epochs=1, progress=False)
    matcher.save_pretrained(folder / "run")
    index = SceneGraphIndex.create(folder / "world.idx", matcher, run=folder / "run")
    index.add(world)
    of_photos = ["--photos", str(photos), "--limit", "12"]
    return [
        ["extract", *of_photos, "--detector", "grid:2", "--shard", "4", "--workers", "1"],
        ["kills", *of_photos, "--kills", "2", "--every", "1"],
        [
            *("million", "--index", str(index.uri), "--data", "scene-world:num_images=20"),
            *("--images", "2000", "--shards", "2", "--nodes", "5", "3", "--dim", "16", "--full"),
            *("--queries", "3", "--actors", "1", "--folder", str(folder)),
        ],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("extract")
    one.set_defaults(measured=extraction)
    one.add_argument("--photos", type=Path, required=True)
    one.add_argument("--detector", default="grid", help="as of pyg-sgm graphs")
    one.add_argument("--limit", type=int, default=2000, help="only the first so many photos")
    one.add_argument("--shard", type=int, default=64, help="photos of a shard")
    one.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    one = parts.add_parser("kills")
    one.set_defaults(measured=kills)
    one.add_argument("--photos", type=Path, required=True)
    one.add_argument("--limit", type=int, default=120, help="only the first so many photos")
    one.add_argument("--kills", type=int, default=20, help="in each of the four")
    one.add_argument("--every", type=float, default=1.5, help="seconds between two kills")
    one = parts.add_parser("million")
    one.set_defaults(measured=million)
    one.add_argument("--index", type=Path, required=True, help="whose nodes are drawn")
    one.add_argument("--data", required=True, help="whose captions are searched for")
    one.add_argument("--split", default="dev")
    one.add_argument("--images", type=int, default=1_000_000)
    one.add_argument("--shards", type=int, default=8)
    one.add_argument("--nodes", type=int, nargs=2, default=[14, 10], help="objects and relations")
    one.add_argument("--dim", type=int, default=256)
    one.add_argument("--queries", type=int, default=9)
    one.add_argument("--k", type=int, default=10)
    one.add_argument("--actors", type=int, nargs="*", default=[1, 2])
    one.add_argument("--full", action="store_true", help="compare one answer with all scores")
    one.add_argument("--folder", type=Path, help="where the index lies meanwhile")
    parts.add_parser("small")
    args = parser.parse_args()
    if args.part != "small":
        run(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        for tokens in small(Path(folder)):
            run(parser.parse_args(["--out", str(args.out), *tokens]))


def run(args: argparse.Namespace) -> None:
    """Measures a part, and puts it beside the others."""
    torch.set_num_threads(args.threads)
    path = args.out / "scale.json"
    found = args.measured(args)
    report = json.loads(path.read_text()) if path.exists() else {}
    report[args.part] = found
    save_json(args.out, "scale", report)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
