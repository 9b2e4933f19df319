"""Scene graphs that Scene-Graph-Benchmark predicted on a user's images."""

import os
from pathlib import Path, PureWindowsPath
from reprlib import repr as short
from typing import Any

import numpy as np

from pyg_sgm.data import ImageRecord, image_record
from pyg_sgm.data._checks import box_array
from pyg_sgm.datasets._files.fields import field, names, pick
from pyg_sgm.datasets._files.images import check_folder, find_image, read_frame
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.datasets.base import Labels, SceneGraphDataset
from pyg_sgm.datasets.captions import captioned
from pyg_sgm.io import read_json

SHORT, LONG = 600, 1000  # the detector's frame: least shorter side and largest longer side


class SceneGraphBenchmark(SceneGraphDataset):
    """Graphs that `Scene-Graph-Benchmark <https://arxiv.org/abs/2002.11949>`_ wrote of custom
    images.

    The folder holds ``custom_prediction.json`` and ``custom_data_info.json``. Their boxes are in
    the frame that the detector saw, the image as stored scaled to a shorter side of 600 pixels and
    at most 1000 of the longer; the sizes of the images are needed to scale them back, so the images
    are too (their headers are read, with Pillow). Boxes are turned as the photo is, where its EXIF
    orientation says so. Images are known by as much of their path as the folder has, such as
    ``1.jpg`` or ``holiday/1.jpg``. There are no splits.

    Args:
        root (str or PathLike): Folder of the two files.
        images (str or PathLike): Folder of the images.
        captions (str or PathLike, optional): File of captions, see
            :func:`~pyg_sgm.datasets.captions.captioned`. (default: :obj:`None`, images alone)
        max_objects (int, optional): Most objects per image; the file has the best first. (default:
            :obj:`36`)
        max_relations (int, optional): Most relations per image, among these objects. (default:
            :obj:`25`)
        strict (bool, optional): Whether an image or caption that cannot be used is an error; else
            it is left out, and one warning lists all of them. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming file, record and field, for a file that is cut short or of another
            shape, an image that occurs twice, or no image that can be used.
        ImportError: If Pillow is not installed.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        images: str | os.PathLike[str],
        *,
        captions: str | os.PathLike[str] | None = None,
        max_objects: int = 36,
        max_relations: int = 25,
        strict: bool = False,
    ) -> None:
        check_folder(images)
        skipped = SkippedRecords(strict)
        path = Path(root) / "custom_data_info.json"
        info = read_json(path, dict)
        files = names(str(path), info, "idx_to_files")
        classes = names(str(path), info, "ind_to_classes")
        predicates = names(str(path), info, "ind_to_predicates")
        path = Path(root) / "custom_prediction.json"
        records: dict[str, ImageRecord] = {}
        for key, entry in read_json(path, dict).items():
            where = f"{path}: {key}"
            name = files[int(key)] if _is_index(key, len(files)) else ""
            record = None
            with skipped.record(PureWindowsPath(name).name or key):
                if not _paths(name):
                    raise ValueError(f"{where}: custom_data_info.json has no such file")
                file = find_image(images, _paths(name), where)
                image = file.relative_to(images).as_posix(), file
                most = max_objects, max_relations
                record = _record(where, entry, classes, predicates, image, most)
            if record is not None:
                if record.id in records:
                    raise ValueError(f"{where}: {record.id} occurs twice")
                records[record.id] = record
        arguments = captioned(list(records.values()), captions, skipped)
        skipped.report(path, len(arguments["images"]))
        super().__init__(**arguments, labels=Labels(classes[1:], predicates[1:]))


def _is_index(key: str, count: int) -> bool:
    return key.isascii() and key.isdecimal() and len(key) < 10 and int(key) < count


def _paths(name: str) -> list[str]:
    """Where in a folder a file may be whose path on another machine is known: by all, or less, of
    it.

    Example:
        >>> _paths("C:\\\\photos\\\\1.jpg")
        ['photos/1.jpg', '1.jpg']
    """
    path = PureWindowsPath(name)  # takes slashes of both kinds for separators
    parts = path.parts[1:] if path.anchor else path.parts
    return ["/".join(parts[i:]) for i in range(len(parts)) if ".." not in parts[i:]]


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
    image: tuple[str, Path],
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
            raise ValueError(f"{where}: rel_pairs: expected two objects, got {short(pair)}")
        if not all(0 <= i < len(labels) for i in pair):
            raise ValueError(f"{where}: rel_pairs: {pair} of {len(labels)} objects")
        predicate = pick(f"{where}: rel_labels", predicates, label)
        if label and max(pair) < count and len(relations) < most[1]:  # label 0: no relation
            relations.append((pair[0], predicate, pair[1]))
            scores.append(score)
    id, file = image
    try:
        frame = read_frame(file)
        seen = scaled_size(frame.stored)
        if min(seen) < 1:
            raise ValueError(f"{file}: too narrow, {frame.stored}")
        boxes = box_array(columns["bbox"][:count], count, "bbox")
        boxes *= (np.array(frame.stored) / seen)[[0, 1, 0, 1]]
        boxes, size = frame.turn(boxes, frame.stored)
        return image_record(
            labels[:count],
            boxes,
            relations,
            size=size,
            scores={"object": columns["bbox_scores"][:count], "relation": scores},
            id=id,
            file=file,
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
