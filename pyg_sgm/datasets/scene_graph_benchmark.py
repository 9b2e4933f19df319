"""Scene graphs that Scene-Graph-Benchmark predicted on a user's images."""

import os
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from pyg_sgm.data import ImageRecord, image_record, turned_boxes
from pyg_sgm.datasets._files.images import find_image, image_size
from pyg_sgm.datasets._files.json import field, names, pick
from pyg_sgm.datasets.base import Labels, SceneGraphDataset
from pyg_sgm.datasets.captions import captioned
from pyg_sgm.io import read_json

SHORT, LONG = 600, 1000  # the detector's frame: least shorter side and largest longer side


class SceneGraphBenchmark(SceneGraphDataset):
    """Graphs that `Scene-Graph-Benchmark <https://arxiv.org/abs/2002.11949>`_ wrote of custom
    images.

    The folder holds ``custom_prediction.json`` and ``custom_data_info.json``. Their boxes are in
    the frame that the detector saw, the image scaled to a shorter side of 600 pixels and at most
    1000 of the longer; the sizes of the images are needed to scale them back, so the images are
    too (their headers are read, with Pillow). Images are known by their file name without folders.
    There are no splits.

    Args:
        root: Folder of the two files.
        images: Folder of the images.
        captions: CSV file of captions, see :func:`~pyg_sgm.datasets.captions.captioned`.
            (default: :obj:`None`, images alone)
        max_objects: Most objects an image; the file has the best first. (default: ``36``)
        max_relations: Most relations an image, among these objects. (default: ``25``)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming file, record and field, for a file that is cut short or of another
            shape, a label that is not in the lists, a box outside its image.
        ImportError: If Pillow is not installed.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        images: str | os.PathLike[str],
        captions: str | os.PathLike[str] | None = None,
        max_objects: int = 36,
        max_relations: int = 25,
    ) -> None:
        path = Path(root) / "custom_data_info.json"
        info = read_json(path, dict)
        files = names(str(path), info, "idx_to_files")
        classes = names(str(path), info, "ind_to_classes")
        predicates = names(str(path), info, "ind_to_predicates")
        path = Path(root) / "custom_prediction.json"
        records = []
        for key, entry in read_json(path, dict).items():
            where = f"{path}: {key}"
            if not key.isdecimal() or int(key) >= len(files):
                raise ValueError(f"{where}: custom_data_info.json has no such file")
            name = PureWindowsPath(files[int(key)]).name  # takes / and \ for separators
            file = find_image(images, [name], where)
            records.append(
                _record(where, entry, classes, predicates, file, (max_objects, max_relations))
            )
        super().__init__(**captioned(records, captions), labels=Labels(classes[1:], predicates[1:]))


def scaled_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the frame that the detector sees.

    Example:
        >>> scaled_size((500, 375)), scaled_size((1200, 400))
        ((800, 600), (999, 333))
    """
    short, long = min(size), max(size)
    target = SHORT if long / short * SHORT <= LONG else round(LONG * short / long)
    if size[0] < size[1]:
        return target, int(target * size[1] / size[0])
    return int(target * size[0] / size[1]), target


def _record(
    where: str,
    entry: Any,
    classes: list[str],
    predicates: list[str],
    file: Path,
    most: tuple[int, int],
) -> ImageRecord:
    columns = {
        name: field(where, entry, name, list)
        for name in ("bbox", "bbox_labels", "bbox_scores", "rel_pairs", "rel_labels", "rel_scores")
    }
    for first, *others in (
        ("bbox", "bbox_labels", "bbox_scores"),
        ("rel_pairs", "rel_labels", "rel_scores"),
    ):
        for name in others:
            if len(columns[name]) != len(columns[first]):
                raise ValueError(
                    f"{where}: {name}: {len(columns[name])} for {len(columns[first])} of {first}"
                )
    labels = [pick(f"{where}: bbox_labels", classes, i) for i in columns["bbox_labels"]]
    count = min(len(labels), most[0])
    relations: list[tuple[int, str, int]] = []
    scores = []
    triplets = zip(columns["rel_pairs"], columns["rel_labels"], columns["rel_scores"], strict=True)
    for pair, label, score in triplets:
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(i) is int for i in pair)):
            raise ValueError(f"{where}: rel_pairs: expected two numbers of objects, got {pair!r}")
        if not all(0 <= i < len(labels) for i in pair):
            raise ValueError(f"{where}: rel_pairs: {pair} of {len(labels)} objects")
        predicate = pick(f"{where}: rel_labels", predicates, label)
        if label and max(pair) < count and len(relations) < most[1]:  # label 0: no relation
            relations.append((pair[0], predicate, pair[1]))
            scores.append(score)
    size, orientation = image_size(file)
    seen = scaled_size(size)
    try:
        boxes = np.array(columns["bbox"][:count], dtype=np.float64).reshape(-1, 4)
        record = image_record(
            labels[:count],
            boxes * (np.array(size) / seen)[[0, 1, 0, 1]],
            relations,
            size=size,
            scores={"object": columns["bbox_scores"][:count], "relation": scores},
            id=file.name,
            file=file,
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
    assert record.boxes is not None
    # The detector saw the stored pixels; photos are shown turned.
    return replace(
        record,
        boxes=turned_boxes(record.boxes, orientation),
        size=size[::-1] if orientation > 4 else size,
    )
