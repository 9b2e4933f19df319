"""The Flickr30k scene graphs that the authors of SGM published."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

from pyg_sgm.data import ImageRecord, TextRecord, image_record, text_record
from pyg_sgm.data._checks import box_array, texts
from pyg_sgm.data.features import FeatureFile, check_feature_folder, feature_file, join_features
from pyg_sgm.data.words import nfc
from pyg_sgm.datasets._files.fields import field, names
from pyg_sgm.datasets._files.skipped import SkippedRecords
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
    its width and height, and boxes are normalized by them. The original pickles (``.joblib``) are
    refused; :func:`convert_joblib` makes JSON of them.

    Args:
        root (str or PathLike): Folder of the files.
        split (str): ``"train"``, ``"val"`` (or ``"dev"``) or ``"test"``.
        features (str or PathLike, optional): Folder of region features: ``objects/`` and
            ``predicates/`` (of the union boxes) hold one ``.npy`` ``[36, dim]`` or ``[25, dim]``
            per image, see :func:`open_feature_folder`. (default: :obj:`None`)
        strict (bool, optional): Whether an image or caption that cannot be used is an error; else
            it is left out, and one warning lists all of them. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming the file, if it is cut short or of another shape, or nothing in it can be
            used.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str,
        *,
        features: str | os.PathLike[str] | None = None,
        strict: bool = False,
    ) -> None:
        root = Path(root)
        split = "val" if split == "dev" else split
        skipped = SkippedRecords(strict)
        folders = {}
        if features is not None:
            folders = {node: Path(features, name) for node, name in _FOLDERS.items()}
            for folder in folders.values():
                check_feature_folder(folder)
        path = find(root, f"flickr30k_{split}_lowered_images_data")
        images: list[ImageRecord] = []
        files: dict[str, list[FeatureFile]] = {node: [] for node in folders}
        unused = set()
        for name, value in read_json(path, dict).items():
            with skipped.record(name):
                unused.add(name)
                image = _image(path, name, value)
                for node, file in _features(f"{path}: {name}", image, folders, files).items():
                    files[node].append(file)
                images.append(image)
                unused.remove(name)
        if not images:
            skipped.report(path, 0)

        position = {image.id: i for i, image in enumerate(images)}
        matching_path = find(root, f"caption_image_matching_flickr_{split}")
        matching = read_json(matching_path, dict)
        path = find(root, f"flickr30k_{split}_lowered_caps_data")
        captions, image_of_text = [], []
        for name, value in read_json(path, dict).items():
            with skipped.record(name):
                image_id = matching.get(name)
                if not isinstance(image_id, str):
                    raise ValueError(f"{matching_path}: caption {name!r} has no image")
                if image_id in unused:
                    continue  # its image has been reported
                if image_id not in position:
                    raise ValueError(
                        f"{matching_path}: caption {name!r}: no image {image_id!r} in the data"
                    )
                captions.append(_text(path, name, value))
                image_of_text.append(position[image_id])
        skipped.report(root, len(captions))
        regions = {node: join_features(part) for node, part in files.items()}
        super().__init__(
            images, captions, image_of_text, _labels(root), regions, skipped=skipped.records
        )


_FOLDERS = {"object": "objects", "relation": "predicates"}  # of region features


def _features(
    where: str,
    image: ImageRecord,
    folders: Mapping[str, Path],
    before: Mapping[str, Sequence[FeatureFile]],
) -> dict[str, FeatureFile]:
    """The files of region features of an image."""
    counts = {"object": len(image.objects), "relation": len(image.relations)}
    found = {}
    for node, folder in folders.items():
        file = feature_file(folder, image.id, before[node][0] if before[node] else None)
        if file.rows != counts[node]:
            raise ValueError(f"{where}: {file.rows} rows of features for {counts[node]} {node}s")
        found[node] = file
    return found


def find(root: Path, stem: str) -> Path:
    """The file ``stem`` as ``.json.gz`` or ``.json``, or an error that names what was expected."""
    for suffix in (".json.gz", ".json"):
        if (path := root / (stem + suffix)).exists():
            return path
    if (pickle := root / (stem + ".joblib")).exists():
        raise ValueError(
            f"{pickle}: pickles are never opened as data, they can run code; make JSON of it with "
            "pyg_sgm.datasets.convert_joblib"
        )
    raise FileNotFoundError(f"{root / stem}.json.gz (or .json) is not there")


def _image(path: Path, name: str, value: Any) -> ImageRecord:
    where = f"{path}: {name}"
    labels = names(where, value, "labels")
    boxes, rels = field(where, value, "bbox", list), field(where, value, "rels", list)
    relations = []
    for i, rel in enumerate(rels):
        s, predicate, o = _triplet(f"{where}: rels[{i}]", rel)
        ends = [_object(f"{where}: rels[{i}]", end, labels) for end in (s, o)]
        relations.append((ends[0], predicate, ends[1]))
    try:
        corners = box_array(boxes, len(labels), "box")[:, 2:]
        size = tuple(corners.max(axis=0).tolist()) if len(corners) else None
        if size is not None and not all(0 < s < float("inf") for s in size):
            size = None  # no box can be right: the record's own check says which is wrong
        return image_record(labels, boxes, relations, size=size, id=name)
    except ValueError as error:
        raise ValueError(f"{where}: bbox: {error}") from error


def _text(path: Path, name: str, value: Any) -> TextRecord:
    where = f"{path}: caption {name}"
    sent = field(where, value, "sent", str)
    rels = field(where, value, "rels", list)
    relations = [_triplet(f"{where}: rels[{i}]", rel) for i, rel in enumerate(rels)]
    try:
        return text_record(sent, relations=relations, id=name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _triplet(where: str, value: Any) -> tuple[str, str, str]:
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{where}: expected [subject, predicate, object], got {short(value)}")
    return value[0], value[1], value[2]


def _object(where: str, end: str, labels: list[str]) -> int:
    """The index in ``person:6``."""
    label, _, number = end.rpartition(":")
    index = int(number) if number.isdecimal() and len(number) < 10 else -1
    if not 0 <= index < len(labels):
        raise ValueError(f"{where}: {end!r} is not there ({len(labels)} objects)")
    if labels[index] != nfc(label):
        raise ValueError(f"{where}: {end!r}, but object {index} is a {labels[index]!r}")
    return index


def _labels(root: Path) -> Labels:
    vg = "VG-SGG-dicts-with-attri"
    objects = _known(root, "flickr30k_lowered_img_obj_word2idx")
    predicates = _known(root, "flickr30k_lowered_img_pred_word2idx")
    return Labels(
        objects or _known(root, vg, "label_to_idx"),
        predicates or _known(root, vg, "predicate_to_idx"),
        _known(root, vg, "attribute_to_idx"),
    )


def _known(root: Path, stem: str, name: str | None = None) -> list[str]:
    """The labels that an optional file maps to numbers, or an optional field of it."""
    try:
        path = find(root, stem)
    except FileNotFoundError:
        return []
    content = read_json(path, dict)
    if name is not None:
        content = field(f"{path}", content, name, dict) if name in content else {}
    return texts(content, f"{path}")
