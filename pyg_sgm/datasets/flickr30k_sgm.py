"""The Flickr30k scene graphs that the authors of SGM published."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from pyg_sgm.data import ImageRecord, TextRecord, image_record, open_feature_folder, text_record
from pyg_sgm.datasets.base import Labels, SceneGraphDataset
from pyg_sgm.io import read_json


class Flickr30kSGM(SceneGraphDataset):
    """Flickr30k graphs of `SGM <https://arxiv.org/abs/1910.05134>`_: labels, boxes and relations
    of every image, and the triplets of every caption. There are no pixels.

    Files, each as ``.json`` or ``.json.gz``:

    * ``flickr30k_{split}_lowered_images_data``: file name to ``labels``, ``bbox`` (pixels) and
      ``rels`` of ``["person:6", "wearing", "pant:1"]``, where ``person:6`` is the object at
      position 6, whose label must be ``person``;
    * ``flickr30k_{split}_lowered_caps_data``: caption id to ``sent`` and ``rels`` of phrases;
    * ``caption_image_matching_flickr_{split}``: caption id to file name;
    * optional, for labels that do not occur: ``flickr30k_lowered_img_obj_word2idx``,
      ``flickr30k_lowered_img_pred_word2idx``, ``VG-SGG-dicts-with-attri``.

    The files hold no image sizes: the furthest right and lower edge of an image's boxes stand for
    its width and height, and boxes are normalised by them. The original pickles (``.joblib``) are
    refused.

    Args:
        root: Folder of the files.
        split: ``"train"``, ``"val"`` or ``"test"``.
        features: Folder of region features: ``objects/`` and ``predicates/`` (of the union boxes)
            hold one ``.npy`` ``[36, dim]`` or ``[25, dim]`` an image, see
            :func:`open_feature_folder`. (default: :obj:`None`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming file, record and field, for a file that is cut short or of the wrong
            shape, a relation of an object that the image lacks, an empty box or one that begins
            more than a pixel outside the image, a caption without its image.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str,
        features: str | os.PathLike[str] | None = None,
    ) -> None:
        root = Path(root)
        path = find(root, f"flickr30k_{split}_lowered_images_data")
        images = [_image(path, name, value) for name, value in read_json(path, dict).items()]
        position = {image.id: i for i, image in enumerate(images)}

        matching_path = find(root, f"caption_image_matching_flickr_{split}")
        matching = read_json(matching_path, dict)
        path = find(root, f"flickr30k_{split}_lowered_caps_data")
        texts, image_of_text = [], []
        for name, value in read_json(path, dict).items():
            texts.append(_text(path, name, value))
            if name not in matching:
                raise ValueError(f"{matching_path}: caption {name!r} has no image")
            if matching[name] not in position:
                raise ValueError(
                    f"{matching_path}: caption {name!r}: no image {matching[name]!r} in the data"
                )
            image_of_text.append(position[matching[name]])
        regions = {}
        if features is not None:
            for node, folder in (("object", "objects"), ("relation", "predicates")):
                regions[node] = open_feature_folder(Path(features) / folder, list(position))
        super().__init__(images, texts, image_of_text, _labels(root), regions)


def find(root: Path, stem: str) -> Path:
    """The file ``stem`` as ``.json.gz`` or ``.json``, or an error that names what was expected."""
    for suffix in (".json.gz", ".json"):
        if (path := root / (stem + suffix)).exists():
            return path
    if (pickle := root / (stem + ".joblib")).exists():
        raise ValueError(f"{pickle}: pickles are never read, they can run code; convert it to JSON")
    raise FileNotFoundError(f"{root / stem}.json.gz (or .json) is not there")


def _image(path: Path, name: str, value: Any) -> ImageRecord:
    where = f"{path}: {name}"
    labels, boxes, rels = _fields(where, value, "labels", "bbox", "rels")
    if not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{where}: labels: expected strings")
    relations = []
    for i, rel in enumerate(rels):
        s, predicate, o = _triplet(f"{where}: rels[{i}]", rel)
        ends = [_object(f"{where}: rels[{i}]", end, labels) for end in (s, o)]
        relations.append((ends[0], predicate, ends[1]))
    try:
        corners = np.array(boxes, dtype=np.float64).reshape(-1, 4)[:, 2:]
        size = tuple(corners.max(axis=0).tolist()) if len(corners) else None
        if size is not None and not all(0 < s < float("inf") for s in size):
            size = None  # no box can be right: the record's own check says which is wrong
        return image_record(labels, boxes, relations, size=size, id=name)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: bbox: {error}") from error


def _text(path: Path, name: str, value: Any) -> TextRecord:
    where = f"{path}: caption {name}"
    if not isinstance(value, dict) or not isinstance(value.get("sent"), str):
        raise ValueError(f"{where}: sent: expected a string")
    (rels,) = _fields(where, value, "rels")
    relations = [_triplet(f"{where}: rels[{i}]", rel) for i, rel in enumerate(rels)]
    try:
        return text_record(value["sent"], relations=relations, id=name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _fields(where: str, value: Any, *names: str) -> list[list]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object, got {type(value).__name__}")
    for name in names:
        if not isinstance(value.get(name), list):
            raise ValueError(f"{where}: {name}: expected a list")
    return [value[name] for name in names]


def _triplet(where: str, value: Any) -> tuple[str, str, str]:
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{where}: expected [subject, predicate, object], got {value!r}")
    return value[0], value[1], value[2]


def _object(where: str, end: str, labels: list[str]) -> int:
    """The index in ``person:6``."""
    label, _, number = end.rpartition(":")
    index = int(number) if number.isdecimal() else -1
    if not 0 <= index < len(labels):
        raise ValueError(f"{where}: {end!r} is not there ({len(labels)} objects)")
    if labels[index] != label:
        raise ValueError(f"{where}: {end!r}, but object {index} is a {labels[index]!r}")
    return index


def _labels(root: Path) -> Labels:
    vg = _optional(root, "VG-SGG-dicts-with-attri")
    objects = _optional(root, "flickr30k_lowered_img_obj_word2idx") or vg.get("label_to_idx", {})
    predicates = _optional(root, "flickr30k_lowered_img_pred_word2idx") or vg.get(
        "predicate_to_idx", {}
    )
    return Labels(list(objects), list(predicates), list(vg.get("attribute_to_idx", {})))


def _optional(root: Path, stem: str) -> dict:
    try:
        return read_json(find(root, stem), dict)
    except FileNotFoundError:
        return {}
