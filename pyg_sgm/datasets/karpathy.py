"""Captions in Karpathy's JSON, with a folder of images or of region features."""

import os
from pathlib import Path, PurePosixPath
from typing import Any

from pyg_sgm.data import ImageRecord, TextRecord, image_record, text_record
from pyg_sgm.data.features import FeatureFile, check_feature_folder, feature_file, join_features
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.datasets._files.fields import field, filled
from pyg_sgm.datasets._files.images import check_folder, find_image
from pyg_sgm.datasets._files.skipped import SkippedRecords
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.io import read_json


class KarpathyCaptions(SceneGraphDataset):
    """Captions of ``dataset_{flickr8k,flickr30k,coco}.json``, with pixels or region features if
    there are.

    Images are known by ``filename``, texts by ``sentid``. The split ``train`` includes
    ``restval``, and ``dev`` is ``val``. Objects of region features have the unknown label and no
    box, text graphs have words and nothing else.

    Args:
        path (str or PathLike): The JSON file, unpacked if its name ends in ``.gz``.
        split (str): ``"train"``, ``"val"`` (or ``"dev"``) or ``"test"``.
        images (str or PathLike, optional): Folder of the images, each at ``filepath/filename``
            (COCO) or ``filename``. (default: :obj:`None`)
        features (str or PathLike, optional): Folder of one ``.npy`` ``[regions, dim]`` per image,
            see :func:`open_feature_folder`. (default: :obj:`None`, images without objects)
        strict (bool, optional): Whether an image or sentence that cannot be used, or an image
            without sentences, is an error; else it is left out, and one warning lists all of them.
            (default: :obj:`False`)

    Raises:
        FileNotFoundError: If a file or folder is absent.
        ValueError: Naming file, record and field, if the file is cut short or of another shape, a
            file name occurs twice, or no image of that split can be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        split: str,
        *,
        images: str | os.PathLike[str] | None = None,
        features: str | os.PathLike[str] | None = None,
        strict: bool = False,
    ) -> None:
        path = Path(path)
        check_folder(images)
        if features is not None:
            check_feature_folder(features)
        split = "val" if split == "dev" else split
        splits = ("train", "restval") if split == "train" else (split,)
        content = read_json(path, dict)
        if "annotations" in content and "images" in content:
            raise ValueError(f"{path}: these are COCO's own captions, which coco:FILE reads")
        skipped = SkippedRecords(strict)
        records: dict[str, ImageRecord] = {}
        files: list[FeatureFile] = []
        texts: list[TextRecord] = []
        image_of_text: list[int] = []
        for i, entry in enumerate(field(f"{path}", content, "images", list)):
            where = f"{path}: images[{i}]"
            name = entry.get("filename") if isinstance(entry, dict) else None
            if isinstance(name, str) and name in records:
                raise ValueError(f"{where}: filename: {name!r} occurs twice")
            with skipped.record(name if isinstance(name, str) else f"images[{i}]"):
                if field(where, entry, "split", str) not in splits:
                    continue
                record, file = _image(where, entry, images, features, files[0] if files else None)
                own: list[TextRecord] = []
                for j, sentence in enumerate(field(where, entry, "sentences", list)):
                    with skipped.record(f"{record.id} sentences[{j}]"):
                        own.append(_text(f"{where}: sentences[{j}]", sentence))
                if not own:
                    raise ValueError(f"{where}: sentences: {name!r} has none")
                files += [] if file is None else [file]
                texts += own
                image_of_text += [len(records)] * len(own)
                records[record.id] = record
        skipped.report(path, len(records))
        if not records:
            raise ValueError(f"{path}: no image of the split {split!r}")
        regions = {} if features is None else {"object": join_features(files)}
        super().__init__(
            list(records.values()),
            texts,
            image_of_text,
            features=regions,
            skipped=skipped.records,
        )


def _image(
    where: str,
    entry: Any,
    images: str | os.PathLike[str] | None,
    features: str | os.PathLike[str] | None,
    like: FeatureFile | None,
) -> tuple[ImageRecord, FeatureFile | None]:
    name = filled(where, entry, "filename")
    below = field(where, entry, "filepath", str) if "filepath" in entry else ""
    paths = [str(PurePosixPath(below, name)), name]
    file = None if images is None else find_image(images, paths, f"{where}: filename")
    regions = None if features is None else feature_file(features, name, like)
    objects = None if regions is None else [UNKNOWN] * regions.rows
    try:
        return image_record(objects, id=name, file=file), regions
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _text(where: str, sentence: Any) -> TextRecord:
    raw = field(where, sentence, "raw", str)
    try:
        return text_record(raw, id=str(field(where, sentence, "sentid", int)))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
