"""Visual Genome's own scene graphs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyg_sgm.data import ImageRecord, image_record
from pyg_sgm.data._checks import box_array, positive
from pyg_sgm.datasets._files.fields import field, names, read_json_list
from pyg_sgm.datasets._files.images import check_folder, find_image, read_frame
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.captions import captioned

Size = tuple[float, float]


class VisualGenome(SceneGraphDataset):
    """Graphs of `Visual Genome <https://arxiv.org/abs/1602.07332>`_ as people drew them.

    Files in the folder: ``scene_graphs.json``; optional ``attributes.json``, and
    ``image_data.json`` with the sizes of the images, which else are those of the files in
    ``images``. Without either, the furthest right and lower edge of an image's boxes stand for its
    width and height.

    The files are noisy, so boxes are clipped to the image, and left out are objects without a name
    or whose box is empty, and relations and attributes of objects that are not there. Names are
    lower-case; an object has the first of its names. Images are known by their number. There are
    no splits.

    Args:
        root (str or PathLike): Folder of the files.
        images (str or PathLike, optional): Folder of the images, ``2325192.jpg`` ..., whose headers
            are read with Pillow: boxes are turned as they are. (default: :obj:`None`)
        captions (str or PathLike, optional): File of captions, such as FACTUAL's, see
            :func:`~pyg_sgm.datasets.captions.captioned`. (default: :obj:`None`, images alone)
        strict (bool, optional): Whether an image or caption that cannot be used is an error; else
            it is left out, and one warning lists all of them. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming file, record and field, for a file that is cut short or of another
            shape, an image that occurs twice, or no image that can be used.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        images: str | os.PathLike[str] | None = None,
        captions: str | os.PathLike[str] | None = None,
        strict: bool = False,
    ) -> None:
        root = Path(root)
        check_folder(images)
        skipped = SkippedRecords(strict)
        attributes = _attributes(root / "attributes.json", skipped)
        sizes = _sizes(root / "image_data.json", skipped)
        path = root / "scene_graphs.json"
        records: dict[str, ImageRecord] = {}
        for i, entry in enumerate(read_json_list(path)):
            where = f"{path}: [{i}]"
            name = str(entry.get("image_id"))
            if name in records:
                raise ValueError(f"{where}: image {name} occurs twice")
            with skipped.record(name):
                name = str(field(where, entry, "image_id", int))
                file = None if images is None else find_image(images, [f"{name}.jpg"], where)
                records[name] = _record(where, entry, attributes, sizes.get(name), file)
        arguments = captioned(list(records.values()), captions, skipped)
        skipped.report(path, len(arguments["images"]))
        super().__init__(**arguments)


def _record(
    where: str,
    entry: Any,
    attributes: Mapping[tuple[str, int], list[str]],
    size: Size | None,
    file: Path | None,
) -> ImageRecord:
    name = str(entry["image_id"])
    frame = None
    if file is not None:
        try:
            frame = read_frame(file)
        except ValueError:
            if size is None:
                raise
    if frame is not None and size is None:
        size = frame.stored
    labels, ids, corners = [], [], []
    for i, thing in enumerate(field(where, entry, "objects", list)):
        here = f"{where}: objects[{i}]"
        words = names(here, thing, "names")
        if words and words[0].strip():
            x, y, w, h = (field(here, thing, key, float) for key in "xywh")
            labels.append(words[0].strip().lower())
            ids.append(field(here, thing, "object_id", int))
            corners.append((x, y, x + w, y + h))
    boxes = box_array(corners, len(corners), f"{where}: x, y, w, h")
    if not np.isfinite(boxes).all():
        raise ValueError(f"{where}: x, y, w, h: NaN or infinity")
    if size is None and len(boxes) and (boxes[:, 2:].max(axis=0) > 0).all():
        size = (float(boxes[:, 2].max()), float(boxes[:, 3].max()))
    if size is not None:
        boxes = boxes.clip(0, [*size, *size])
    whole = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1)).tolist()
    row_of = {ids[i]: row for row, i in enumerate(whole)}
    relations = []
    for i, relation in enumerate(field(where, entry, "relationships", list)):
        here = f"{where}: relationships[{i}]"
        predicate = field(here, relation, "predicate", str).strip().lower()
        ends = [field(here, relation, f"{end}_id", int) for end in ("subject", "object")]
        if predicate and all(end in row_of for end in ends):
            relations.append((row_of[ends[0]], predicate, row_of[ends[1]]))
    described = [
        (row, word) for id, row in row_of.items() for word in attributes.get((name, id), ())
    ]
    boxes = boxes[whole]
    if frame is not None and size is not None:
        boxes, size = frame.turn(boxes, size)
    try:
        return image_record(
            [labels[i] for i in whole],
            boxes,
            relations,
            described,
            size=size,
            id=name,
            file=file,
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _attributes(path: Path, skipped: SkippedRecords) -> dict[tuple[str, int], list[str]]:
    """Attributes of every object, by image and number."""
    found: dict[tuple[str, int], list[str]] = {}
    for i, entry in enumerate(read_json_list(path) if path.exists() else ()):
        with skipped.record(f"{path.name} [{i}]"):
            image = str(field(f"{path}: [{i}]", entry, "image_id", int))
            for j, thing in enumerate(field(f"{path}: [{i}]", entry, "attributes", list)):
                where = f"{path}: [{i}]: attributes[{j}]"
                key = (image, field(where, thing, "object_id", int))
                words = names(where, thing, "attributes") if "attributes" in thing else []
                known = found.setdefault(key, [])
                cleaned = (word.strip().lower() for word in words)
                known += [word for word in dict.fromkeys(cleaned) if word and word not in known]
    return found


def _sizes(path: Path, skipped: SkippedRecords) -> dict[str, Size]:
    sizes = {}
    for i, entry in enumerate(read_json_list(path) if path.exists() else ()):
        where = f"{path}: [{i}]"
        with skipped.record(f"{path.name} [{i}]"):
            size = [field(where, entry, side, float) for side in ("width", "height")]
            sizes[str(field(where, entry, "image_id", int))] = positive(size, where)
    return sizes
