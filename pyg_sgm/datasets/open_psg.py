"""Panoptic scene graphs."""

import os
from pathlib import PurePosixPath
from typing import Any

from pyg_sgm.data import ImageRecord, image_record
from pyg_sgm.datasets._files.images import find_image
from pyg_sgm.datasets._files.json import field, names, pick
from pyg_sgm.datasets.base import Labels, SceneGraphDataset
from pyg_sgm.datasets.captions import captioned
from pyg_sgm.io import read_json


class OpenPSG(SceneGraphDataset):
    """Graphs of `OpenPSG <https://arxiv.org/abs/2207.11247>`_, ``psg.json``: things and stuff with
    boxes, and relations; masks are passed over. Images are known by their file name without
    folders, such as ``000000397133.jpg``.

    Args:
        path: The file.
        split: ``"test"``, the images of ``test_image_ids``, or ``"train"``, the others.
        images: Folder of the images, each at its ``file_name`` or without the latter's folders.
            (default: :obj:`None`)
        captions: CSV file of captions, see :func:`~pyg_sgm.datasets.captions.captioned`.
            (default: :obj:`None`, images alone)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming file, record and field, for a file that is cut short or of another
            shape, a label that is not in the lists, a box outside its image, a relation of an
            object that is not there; or if there is no such split.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        split: str,
        images: str | os.PathLike[str] | None = None,
        captions: str | os.PathLike[str] | None = None,
    ) -> None:
        if split not in ("train", "test"):
            raise ValueError(f"{path}: no split {split!r}; known: train, test")
        content = read_json(path, dict)
        objects = [
            label
            for kind in ("thing", "stuff")
            for label in names(str(path), content, f"{kind}_classes")
        ]
        predicates = names(str(path), content, "predicate_classes")
        test = {str(name) for name in field(str(path), content, "test_image_ids", list)}
        records = []
        for i, entry in enumerate(field(str(path), content, "data", list)):
            where = f"{path}: data[{i}]"
            if not isinstance(entry, dict) or "image_id" not in entry:
                raise ValueError(f"{where}: image_id is missing")
            if (str(entry["image_id"]) in test) == (split == "test"):
                records.append(_record(where, entry, objects, predicates, images))
        if not records:
            raise ValueError(f"{path}: no image of the split {split!r}")
        super().__init__(**captioned(records, captions), labels=Labels(objects, predicates))


def _record(
    where: str,
    entry: Any,
    objects: list[str],
    predicates: list[str],
    images: str | os.PathLike[str] | None,
) -> ImageRecord:
    path = field(where, entry, "file_name", str)
    name = PurePosixPath(path).name
    labels, boxes, relations = [], [], []
    for i, thing in enumerate(field(where, entry, "annotations", list)):
        here = f"{where}: annotations[{i}]"
        labels.append(pick(f"{here}: category_id", objects, field(here, thing, "category_id", int)))
        boxes.append(field(here, thing, "bbox", list))
    for i, relation in enumerate(field(where, entry, "relations", list)):
        here = f"{where}: relations[{i}]"
        if not (isinstance(relation, list) and [type(end) for end in relation] == [int] * 3):
            raise ValueError(f"{here}: expected [subject, object, predicate], got {relation!r}")
        s, o, p = relation
        relations.append((s, pick(here, predicates, p), o))
    try:
        return image_record(
            labels,
            boxes,
            relations,
            size=(field(where, entry, "width", float), field(where, entry, "height", float)),
            id=name,
            file=None if images is None else find_image(images, [path, name], where),
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
