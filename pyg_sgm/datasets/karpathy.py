"""Captions in Karpathy's JSON, with a folder of images or of region features."""

import os
from pathlib import Path
from typing import Any

from pyg_sgm.data import TextRecord, image_record, open_feature_folder, text_record
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.datasets._files.images import find_image
from pyg_sgm.datasets._files.json import field
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.io import read_json


class KarpathyCaptions(SceneGraphDataset):
    """Captions of ``dataset_{flickr8k,flickr30k,coco}.json``, with pixels or region features if
    there are.

    Images are known by ``filename``, texts by ``sentid``. The split ``train`` includes
    ``restval``, and ``dev`` is ``val``. Objects of region features have the unknown label and no
    box, text graphs have words and nothing else.

    Args:
        path: The JSON file, gzipped if its name ends in ``.gz``.
        split: ``"train"``, ``"val"`` (or ``"dev"``) or ``"test"``.
        features: Folder of one ``.npy`` ``[regions, dim]`` an image, see
            :func:`open_feature_folder`. (default: :obj:`None`, images without objects)
        images: Folder of the images, each at ``filepath/filename`` (COCO) or ``filename``.
            (default: :obj:`None`)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming file, record and field, if the file is cut short or of another shape,
            has no image of that split, or names an image that the folder lacks.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        split: str,
        features: str | os.PathLike[str] | None = None,
        images: str | os.PathLike[str] | None = None,
    ) -> None:
        path = Path(path)
        split = "val" if split == "dev" else split
        entries = read_json(path, dict).get("images")
        if not isinstance(entries, list):
            raise ValueError(f"{path}: images: expected a list")
        ids: list[str] = []
        files: list[Path | None] = []
        texts: list[TextRecord] = []
        image_of_text: list[int] = []
        splits = ("train", "restval") if split == "train" else (split,)
        for i, entry in enumerate(entries):
            where = f"{path}: images[{i}]"
            if field(where, entry, "split", str) in splits:
                for j, sentence in enumerate(field(where, entry, "sentences", list)):
                    texts.append(_text(f"{where}: sentences[{j}]", sentence))
                    image_of_text.append(len(ids))
                name = field(where, entry, "filename", str)
                below = f"{field(where, entry, 'filepath', str)}/" if "filepath" in entry else ""
                here = f"{where}: filename"
                files.append(
                    None if images is None else find_image(images, [below + name, name], here)
                )
                ids.append(name)
        if not ids:
            raise ValueError(f"{path}: no image of the split {split!r}")
        if len(set(ids)) < len(ids):
            raise ValueError(f"{path}: a filename occurs twice")
        regions = {} if features is None else {"object": open_feature_folder(features, ids)}
        counts = regions["object"].spans.count.tolist() if regions else [None] * len(ids)
        records = [
            image_record(None if count is None else [UNKNOWN] * count, id=name, file=file)
            for name, count, file in zip(ids, counts, files, strict=True)
        ]
        super().__init__(records, texts, image_of_text, features=regions)


def _text(where: str, sentence: Any) -> TextRecord:
    raw = field(where, sentence, "raw", str)
    return text_record(raw, id=str(field(where, sentence, "sentid", int)))
