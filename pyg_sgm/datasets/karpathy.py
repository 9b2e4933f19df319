"""Captions in Karpathy's JSON."""

import os
from pathlib import Path
from typing import Any

from pyg_sgm.data import TextRecord, image_record, open_feature_folder, text_record
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.datasets.base import SceneGraphDataset
from pyg_sgm.datasets.json_file import read_json


class KarpathyCaptions(SceneGraphDataset):
    """Captions of ``dataset_{flickr8k,flickr30k,coco}.json``, with region features if there are.

    Images are known by ``filename``, texts by ``sentid``. The split ``train`` includes
    ``restval``. Objects have the unknown label and no box, text graphs have words and nothing
    else.

    Args:
        path: The JSON file, gzipped if its name ends in ``.gz``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        features: Folder of one ``.npy`` ``[regions, dim]`` an image, see
            :func:`open_feature_folder`. (default: :obj:`None`, images without objects)

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: Naming file, record and field, if the file is cut short or of another shape,
            or has no image of that split.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        split: str,
        features: str | os.PathLike[str] | None = None,
    ) -> None:
        path = Path(path)
        entries = read_json(path, dict).get("images")
        if not isinstance(entries, list):
            raise ValueError(f"{path}: images: expected a list")
        ids: list[str] = []
        texts: list[TextRecord] = []
        image_of_text: list[int] = []
        splits = ("train", "restval") if split == "train" else (split,)
        for i, entry in enumerate(entries):
            where = f"{path}: images[{i}]"
            if _field(where, entry, "split", str) in splits:
                for j, sentence in enumerate(_field(where, entry, "sentences", list)):
                    texts.append(_text(f"{where}: sentences[{j}]", sentence))
                    image_of_text.append(len(ids))
                ids.append(_field(where, entry, "filename", str))
        if not ids:
            raise ValueError(f"{path}: no image of the split {split!r}")
        if len(set(ids)) < len(ids):
            raise ValueError(f"{path}: a filename occurs twice")
        regions = {} if features is None else {"object": open_feature_folder(features, ids)}
        counts = regions["object"].spans.count.tolist() if regions else [0] * len(ids)
        images = [
            image_record([UNKNOWN] * count, id=name)
            for name, count in zip(ids, counts, strict=True)
        ]
        super().__init__(images, texts, image_of_text, features=regions)


def _text(where: str, sentence: Any) -> TextRecord:
    raw = _field(where, sentence, "raw", str)
    return text_record(raw, id=str(_field(where, sentence, "sentid", int)))


def _field(where: str, entry: Any, name: str, kind: type) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get(name), kind):
        raise ValueError(f"{where}: {name}: expected {kind.__name__}")
    return entry[name]
