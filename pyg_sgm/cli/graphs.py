"""``pyg-sgm graphs``"""

from pathlib import Path
from typing import Literal

from pyg_sgm.cli._app import console, count_up, open_pool
from pyg_sgm.io import counted, to_path


def graphs(
    folder: str,
    *,
    out: str,
    detector: str = "grid",
    labels: Path | None = None,
    min_score: float | None = None,
    merge: bool = True,
    backbone: str | None = None,
    size: int | None = None,
    dtype: Literal["float32", "bfloat16"] = "float32",
    pairs: int = 0,
    batch_size: int = 8,
    ray: str | None = None,
    prune: bool = False,
) -> None:
    """Turn images into scene graphs with region features.

    A call that was broken off goes on where it stopped. Images that cannot be read are skipped and
    listed.

    Parameters
    ----------
    folder
        Images, in this folder and those below it; or its address, such as s3://bucket/photos; or a
        file .txt that lists images, one a line.
    out
        Folder of the graphs, or its address, where one command at a time may write.
    detector
        What finds the objects: grid (the whole image and 3 x 3 cells), grid:5, onnx:FILE (YOLOX,
        YOLOv8, YOLO11, RT-DETR, D-FINE), torchvision:NAME, file:FILE,name=NAME (JSON lines of
        image, boxes, labels, scores, and the name of what made them), or several of them joined by
        "+", such as grid+onnx:yolox_nano.onnx.
    labels
        Labels of an ONNX detector, one per line. [default: those in the file, else the 80 of COCO]
    min_score
        Least score of an object that a network finds. [default: 0.15 for onnx, 0.3 for torchvision]
    merge
        Make one object of boxes that overlap, with several names where their labels differ.
    backbone
        Networks of the region features joined by "+": efficientnet_lite0, efficientnet_lite2,
        timm:NAME, hf:NAME, open_clip:MODEL/PRETRAINED. [default: efficientnet_lite0]
    size
        Side in pixels of the images that the backbone sees. [default: 416]
    dtype
        What the backbone computes in; bfloat16 is slightly less exact, and faster on a card or on a
        processor with matrix instructions.
    pairs
        If positive, the relations are all ordered pairs of so many objects with labels, the most
        prominent, as candidates. [default: those that the relation head finds]
    batch_size
        Images handled at once by a thread; the graphs do not depend on it.
    ray
        Address of a Ray cluster whose workers make the graphs, shard by shard; auto finds the
        cluster of this machine, local starts one. They see the images and the folder by the same
        names, as they do at an address. [default: threads of this process]
    prune
        Remove graphs of images that are no longer in the folder, and old ones of changed images.
    """
    from pyg_sgm.datasets import count_other_files, list_images
    from pyg_sgm.vision import extract, open_extractor
    from pyg_sgm.vision.backbones.registry import DEFAULT_BACKBONE
    from pyg_sgm.vision.region_features import DEFAULT_SIZE
    from pyg_sgm.vision.store import SKIPPED

    if batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1, got {batch_size}")
    place = to_path(out)
    if place.exists() and not place.is_dir():
        raise ValueError(f"{out} is a file")
    files = list_images(folder)
    extractor = open_extractor(
        detector,
        labels=labels,
        min_score=min_score,
        merge=merge,
        backbone=backbone or DEFAULT_BACKBONE,
        size=DEFAULT_SIZE if size is None else size,
        dtype=dtype,
        pairs=pairs,
    )
    pool = open_pool(ray)
    try:
        with count_up("images to graphs") as progress:
            done = extract(
                files,
                out,
                extractor,
                batch_size=batch_size,
                pool=pool,
                prune=prune,
                progress=progress,
            )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"stopped; {out} keeps what is done, and the same command goes on"
        ) from stop
    there = f", {done.kept:,} there already" if done.kept else ""
    _say(f"{counted(done.extracted, 'graph')} made{there}: {out}")
    if done.skipped:
        _say(f"{counted(len(done.skipped), 'image')} skipped, listed in {place / SKIPPED}")
    if done.removed:
        _say(f"{counted(done.removed, 'graph')} of deleted or changed images removed")
    if done.others:
        others = counted(done.others, "graph")
        _say(f"{others} of images that are not in {folder}; --prune removes such")
    endings = count_other_files(folder)
    if endings:
        listed = ", ".join(f"{count} {ending or 'without'}" for ending, count in endings.items())
        others = counted(sum(endings.values()), "file")
        _say(f"{others} of other endings passed over ({listed})")


def _say(line: str) -> None:
    console.print(line, highlight=False, markup=False)
