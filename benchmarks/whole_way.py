"""How long is the way from photos to a trained model, on an idle machine and beside other work?

Gives some photos of a dataset, with their captions, to `pyg-sgm graphs` and to `pyg-sgm train sgm
--recipe photos`, first with nothing beside them (see to that), then beside processes that keep a
core busy each. Writes the seconds and the peak memory of both commands as JSON.

    python benchmarks/whole_way.py --data flickr8k:FOLDER --split train --photos 1000 \
        --detector grid+onnx:yolox_nano.onnx+file:detections.jsonl.gz,name=oiv7
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from bench import save_json

from pyg_sgm.datasets import open_dataset
from pyg_sgm.io import read_json
from pyg_sgm.training.precision import BF16_INSTRUCTIONS
from pyg_sgm.vision.store import HEADER

BACKBONE = "efficientnet_lite0_middle+efficientnet_lite2_middle"


def write_photos(folder: Path, data: str, split: str, count: int) -> int:
    """Links to the first photos of a dataset, and a table of their captions; gives the number of
    photos."""
    dataset = open_dataset(data, split)
    dataset = dataset.select_images(range(min(count, len(dataset))))
    (folder / "photos").mkdir()
    for image in dataset.images:
        if image.file is None:
            raise ValueError(f"{data}: image {image.id!r} is no file")
        (folder / "photos" / image.id).symlink_to(Path(image.file).absolute())
    with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption"])
        for text, image in zip(dataset.texts, dataset.image_of_text.tolist(), strict=True):
            rows.writerow([dataset.image_ids[image], text.caption])
    return len(dataset)


def timed(command: Sequence[str], folder: Path) -> dict[str, float]:
    """Seconds and largest resident memory of a command of the library."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pyg_sgm", *command], cwd=folder)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"pyg-sgm {command[0]}: exit status {process.returncode}")
    return {
        "seconds": seconds,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "peak_memory_gib": used.ru_maxrss / 2**20,
    }


@contextmanager
def beside(count: int) -> Iterator[None]:
    """Processes that keep a core busy each, meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="photos with captions, as for pyg-sgm train")
    parser.add_argument("--split", default="train")
    parser.add_argument("--photos", type=int, default=1000, help="only the first so many")
    parser.add_argument("--detector", default="grid", help="as of pyg-sgm graphs, with full paths")
    parser.add_argument("--backbone", default=BACKBONE, help="as of pyg-sgm graphs")
    parser.add_argument("--precision", nargs="+", default=["auto"], help="as of pyg-sgm train")
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1], help="processes beside it")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()

    known = torch.cpu.get_capabilities()
    report: dict[str, object] = {
        "cores": os.cpu_count(),
        "bfloat16": [name for name in BF16_INSTRUCTIONS if known.get(name)],
    }
    ways = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report["photos"] = write_photos(folder, args.data, args.split, args.photos)
        for busy in args.busy:
            for precision in args.precision:
                way = f"{busy}-{precision}"
                load = os.getloadavg()[0]  # near 0, if nothing else runs
                train = (
                    *("train", "sgm", "--recipe", "photos", "--precision", precision),
                    *("--data", "images:photos", "--captions", "captions.csv"),
                    *("--graphs", f"{way}.sg", "--dev-every", "0", "--out", way),
                )
                graphs = (
                    *("graphs", "photos", "--out", f"{way}.sg", "--detector", args.detector),
                    *("--backbone", args.backbone, "--pairs", "5", "--dtype", "bfloat16"),
                )
                with beside(busy):
                    made, trained = timed(graphs, folder), timed(train, folder)
                report["extractor"] = read_json(folder / f"{way}.sg" / HEADER, dict)["fingerprint"]
                ways.append(
                    {
                        "busy": busy,
                        "precision": precision,
                        "load_before": load,
                        "graphs": made,
                        "training": trained,
                    }
                )
                print(json.dumps(ways[-1], indent=1))
    save_json(args.out, "whole_way", {**report, "ways": ways})


if __name__ == "__main__":
    main()
