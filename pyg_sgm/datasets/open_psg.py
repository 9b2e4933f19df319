"""Panoptic scene graphs."""

import os
from contextlib import suppress
from pathlib import PurePosixPath
from reprlib import repr as short
from typing import Any

import numpy as np

from pyg_sgm.data import ImageRecord, image_record
from pyg_sgm.data._checks import numbers, positive
from pyg_sgm.datasets._files.fields import field, filled, names, pick
from pyg_sgm.datasets._files.images import check_folder, find_image, read_frame
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.datasets.base import Labels, SceneGraphDataset
from pyg_sgm.datasets.captions import captioned
from pyg_sgm.io import read_json


class OpenPSG(SceneGraphDataset):
    """Graphs of `OpenPSG <https://arxiv.org/abs/2207.11247>`_, ``psg.json``: things and stuff with
    boxes, and relations; masks are passed over. Images are known by their file name without
    folders, such as ``000000397133.jpg``.

    Args:
        path (str or PathLike): The file.
        split (str): ``"test"``, the images of ``test_image_ids``, or ``"train"``, the others.
        images (str or PathLike, optional): Folder of the images, each at its ``file_name`` or
            without the latter's folders. Boxes are then turned as the photos are, whose headers are
            read with Pillow. (default: :obj:`None`)
        captions (str or PathLike, optional): File of captions, see
            :func:`~pyg_sgm.datasets.captions.captioned`. (default: :obj:`None`, images alone)
        strict (bool, optional): Whether an image or caption that cannot be used is an error; else
            it is left out, and one warning lists all of them. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming file, record and field, for a file that is cut short or of another
            shape, an image that occurs twice, or no image that can be used; or if there is no such
            split.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        split: str,
        *,
        images: str | os.PathLike[str] | None = None,
        captions: str | os.PathLike[str] | None = None,
        strict: bool = False,
    ) -> None:
        if split not in ("train", "test"):
            raise ValueError(f"{path}: no split {split!r}; known: train, test")
        check_folder(images)
        skipped = SkippedRecords(strict)
        content = read_json(path, dict)
        objects = [
            label
            for kind in ("thing", "stuff")
            for label in names(str(path), content, f"{kind}_classes")
        ]
        predicates = names(str(path), content, "predicate_classes")
        test = {str(name) for name in field(str(path), content, "test_image_ids", list)}
        records: dict[str, ImageRecord] = {}
        for i, entry in enumerate(field(str(path), content, "data", list)):
            where = f"{path}: data[{i}]"
            name = _name(entry) or f"data[{i}]"
            if name in records:
                raise ValueError(f"{where}: {name} occurs twice")
            with skipped.record(name):
                if (_id(where, entry) in test) == (split == "test"):
                    records[name] = _record(where, entry, objects, predicates, images)
        arguments = captioned(list(records.values()), captions, skipped)
        skipped.report(path, len(arguments["images"]))
        super().__init__(**arguments, labels=Labels(objects, predicates))


def _id(where: str, entry: Any) -> str:
    """The ``image_id``, which is a string or a number."""
    kind = int if isinstance(entry, dict) and isinstance(entry.get("image_id"), int) else str
    return str(field(where, entry, "image_id", kind))


def _name(entry: Any) -> str:
    """The file name without folders, if there is one."""
    path = entry.get("file_name") if isinstance(entry, dict) else None
    return PurePosixPath(path).name if isinstance(path, str) else ""


def _record(
    where: str,
    entry: Any,
    objects: list[str],
    predicates: list[str],
    images: str | os.PathLike[str] | None,
) -> ImageRecord:
    path = filled(where, entry, "file_name")
    name = PurePosixPath(path).name
    things = field(where, entry, "annotations", list)
    labels = []
    for i, thing in enumerate(things):
        category = field(f"{where}: annotations[{i}]", thing, "category_id", int)
        labels.append(pick(f"{where}: annotations[{i}]: category_id", objects, category))
    boxes = np.zeros((len(things), 4))
    for i, thing in enumerate(things):
        boxes[i] = _box(f"{where}: annotations[{i}]", thing)
    relations = []
    for i, relation in enumerate(field(where, entry, "relations", list)):
        here = f"{where}: relations[{i}]"
        if not (isinstance(relation, list) and [type(end) for end in relation] == [int] * 3):
            raise ValueError(f"{here}: expected subject, object, predicate, got {short(relation)}")
        s, o, p = relation
        relations.append((s, pick(here, predicates, p), o))
    try:
        size = positive([field(where, entry, side, float) for side in ("width", "height")], "size")
        file = None
        if images is not None:
            file = find_image(images, [path, name], where)
            with suppress(ValueError):  # of photos that cannot be shown either
                boxes, size = read_frame(file).turn(boxes, size)
        return image_record(labels, boxes, relations, size=size, id=name, file=file)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _box(where: str, thing: Any) -> np.ndarray:
    """x1, y1, x2, y2 of an annotation."""
    box = numbers(field(where, thing, "bbox", list), f"{where}: bbox")
    if box.shape != (4,):
        raise ValueError(f"{where}: bbox: expected 4 numbers, got {short(box.tolist())}")
    mode = field(where, thing, "bbox_mode", int) if "bbox_mode" in thing else _XYXY
    if mode == _XYWH:
        return np.concatenate([box[:2], box[:2] + box[2:]])
    if mode != _XYXY:
        raise ValueError(f"{where}: bbox_mode: {mode} is not read, only {_XYXY} and {_XYWH}")
    return box


# Modes of boxes in pixels, of detectron2.
_XYXY, _XYWH = 0, 1
