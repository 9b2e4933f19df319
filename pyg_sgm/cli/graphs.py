"""``pyg-sgm graphs``"""

from pathlib import Path
from typing import Literal

from pyg_sgm.cli._app import console, count_up
from pyg_sgm.datasets import list_images
from pyg_sgm.vision import extract, open_extractor
from pyg_sgm.vision.backbones.registry import DEFAULT_BACKBONE
from pyg_sgm.vision.region_features import DEFAULT_SIZE
from pyg_sgm.vision.store import SKIPPED


def graphs(
    folder: Path,
    *,
    out: Path,
    detector: str = "grid",
    labels: Path | None = None,
    min_score: float | None = None,
    backbone: str = DEFAULT_BACKBONE,
    size: int = DEFAULT_SIZE,
    dtype: Literal["float32", "bfloat16"] = "float32",
    batch_size: int = 8,
) -> None:
    """Turn a folder of images into scene graphs with region features.

    A call that was broken off goes on where it stopped. Images that cannot be read are skipped and
    listed.

    Parameters
    ----------
    folder
        Images, in this folder and those below it.
    out
        Folder of the graphs.
    detector
        What finds the objects: grid (the whole image and 3 x 3 cells), onnx:FILE (YOLOX),
        torchvision:NAME, file:FILE (JSON lines of image, boxes, labels, scores), or several of
        them joined by "+", such as grid+onnx:yolox_nano.onnx.
    labels
        Labels of an ONNX detector, one a line. [default: the 80 of COCO]
    min_score
        Least score of an object that a network finds. [default: 0.15 for onnx, 0.3 for torchvision]
    backbone
        Network of the region features, efficientnet-lite0 or a model of timm.
    size
        Side in pixels of the images that the backbone sees.
    dtype
        What the backbone computes in; bfloat16 is slightly less exact, and faster on a card or on a
        processor with matrix instructions.
    batch_size
        Images handled at once by a thread; the graphs do not depend on it.
    """
    extractor = open_extractor(
        detector, labels=labels, min_score=min_score, backbone=backbone, size=size, dtype=dtype
    )
    with count_up("images to graphs") as progress:
        done = extract(
            list_images(folder), out, extractor, batch_size=batch_size, progress=progress
        )
    there = f", {done.kept} were there" if done.kept else ""
    console.print(f"{done.extracted} graphs made{there}: {out}", highlight=False, markup=False)
    if done.skipped:
        console.print(
            f"{len(done.skipped)} images skipped, listed in {out / SKIPPED}",
            highlight=False,
            markup=False,
        )
