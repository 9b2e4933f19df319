"""How fast do images become scene graphs, and where does the time go?

Extracts the graphs of a folder of images into a temporary folder, and prints the time per image,
the peak memory, and by a sampling profiler what the threads are doing; the share of detector,
backbone and relation head is that of the networks. Writes the figures as JSON.

    python benchmarks/extraction.py --images DIR --detector grid+onnx:yolox_nano.onnx
"""

import argparse
import os
import platform
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from bench import save_json

from pyg_sgm.datasets import list_images
from pyg_sgm.vision import extract, open_extractor, open_graphs
from pyg_sgm.vision.backbones.registry import DEFAULT_BACKBONE

# Innermost first: the part of the first frame that is here is that of the whole stack.
PARTS = {
    ("onnxruntime_inference_collection.py", "run"): "detector",
    ("region_features.py", "_maps"): "backbone",
    ("network.py", "forward"): "relation head",
    ("images.py", "read_photo"): "decoding",
    ("onnx.py", "_prepared"): "resizing",
    ("region_features.py", "_square"): "resizing",
    ("region_features.py", "pool_boxes"): "pooling",
    ("onnx.py", "_detect"): "boxes of the detector",
    ("head.py", "relations"): "around the relation head",
    ("_shards.py", "write_shard"): "writing",
    ("merge.py", "merge_overlapping"): "merging",
    ("colors.py", "color_attributes"): "colors",
    ("thread.py", "_worker"): "other",
}
NETWORKS = ("detector", "backbone", "relation head")
WAITING = {("threading.py", "wait"), ("thread.py", "_worker")}


class Sampler(threading.Thread):
    """Looks at all other threads a hundred times per second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: Counter[str] = Counter()
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.01):
            for thread, frame in sys._current_frames().items():
                if thread != self.ident:
                    part = part_of(frame)
                    if part is not None:
                        self.seen[part] += 1

    def stop(self) -> None:
        self._done.set()
        self.join()


def part_of(frame: FrameType | None) -> str | None:
    """What a thread is doing, or None if it waits."""
    if frame is None or _name(frame) in WAITING:
        return None
    while frame is not None:
        part = PARTS.get(_name(frame))
        if part is not None:
            return part
        frame = frame.f_back
    return "other"


def _name(frame: FrameType) -> tuple[str, str]:
    return Path(frame.f_code.co_filename).name, frame.f_code.co_name


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of images")
    parser.add_argument("--detector", default="grid", help="as of pyg-sgm graphs")
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE, help="as of pyg-sgm graphs")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--pairs", type=int, default=0, help="as of pyg-sgm graphs")
    parser.add_argument("--limit", type=int, help="only the first so many images")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()

    files = dict(list(list_images(args.images).items())[: args.limit])
    extractor = open_extractor(
        args.detector, backbone=args.backbone, dtype=args.dtype, pairs=args.pairs
    )
    sampler = Sampler()
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        sampler.start()
        summary = extract(files, Path(folder, "graphs.sg"), extractor)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        load = os.getloadavg()[0]
        sampler.stop()
        records, _ = open_graphs(Path(folder, "graphs.sg"))
        size = sum(path.stat().st_size for path in Path(folder, "graphs.sg").iterdir())
    total = sampler.seen.total()
    share = {part: count / total for part, count in sampler.seen.most_common()}
    result = {
        "device": f"CPU {platform.machine()}, {os.cpu_count()} cores",
        "load": load,  # of the whole machine: near the number of cores, if nothing else runs
        "extractor": extractor.fingerprint,
        "images": len(files),
        "skipped": len(summary.skipped),
        "objects_per_image": sum(len(record.objects) for record in records) / len(records),
        "relations_per_image": sum(len(record.relations) for record in records) / len(records),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "milliseconds_per_image": 1000 * seconds / len(files),
        "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "size_gib": size / 2**30,
        "share_of_networks": sum(share.get(part, 0) for part in NETWORKS),
        "share": share,
    }
    print(
        f"{len(files)} images in {seconds:.0f} s ({result['milliseconds_per_image']:.1f} ms each) "
        f"on {result['device']} under a load of {load:.1f}, {cpu:.0f} s of processor time"
    )
    print(
        f"  peak memory {result['peak_memory_gib']:.2f} GiB, graphs {result['size_gib']:.2f} GiB, "
        f"{result['objects_per_image']:.1f} objects and {result['relations_per_image']:.1f} "
        f"relations per image, {len(summary.skipped)} images skipped"
    )
    print(f"  {100 * result['share_of_networks']:.1f} % of the time in the networks:")
    for part, value in share.items():
        print(f"    {part:<26}{100 * value:5.1f} %")
    save_json(args.out, "extraction_cpu", result)


if __name__ == "__main__":
    main()
