"""Annotated boxes, labels and relations that the head can be trained on."""

import gzip
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyg_sgm.data import ImageRecord, image_record

SAME = {"rid": "ride", "on front of": "in front of", "inside of": "inside", "beside": "next to"}
RAREST = 20  # relations that a predicate of vg150 has at least
SAME_OBJECT = 0.7  # overlap above which two boxes of one label in vg150 are one object


def read_annotations(kind: str, folder: str | os.PathLike[str]) -> list[ImageRecord]:
    """Annotated graphs, sorted by the name of the image.

    Args:
        kind (str): ``"vg150"`` for Visual Genome, with ``objects.json``, ``predicates.json`` and
            ``train.json.gz``; ``"vrd"`` for Visual Relationship Detection, with ``objects.txt``,
            ``predicates.txt``, ``annotations_train.json.gz`` and ``train_image_metadata.json.gz``.
        folder (str or PathLike): Folder of these files.

    Raises:
        FileNotFoundError: If a file is absent.
        ValueError: If the kind is unknown.
    """
    if kind not in _READERS:
        raise ValueError(f"annotations {kind!r}: expected one of {', '.join(_READERS)}")
    return _READERS[kind](Path(folder))


def hold_out(records: Sequence[ImageRecord]) -> tuple[list[ImageRecord], list[ImageRecord]]:
    """Images to train on, and every fifth, which is held out.

    Args:
        records (list of ImageRecord): Images in the order of :func:`read_annotations`.
    """
    return [r for at, r in enumerate(records) if at % 5], list(records[::5])


def merged(predicate: str) -> str:
    """A predicate of vg150 without article and copula: "on a" and "be on" are "on"."""
    name = predicate.removeprefix("be ").removesuffix(" a")
    return SAME.get(name, name)


def read_vg150(folder: Path) -> list[ImageRecord]:
    """Graphs of vg150; the size of an image is unknown and taken from the reach of its boxes."""
    labels = json.loads((folder / "objects.json").read_text())
    predicates = [merged(name) for name in json.loads((folder / "predicates.json").read_text())]
    with gzip.open(folder / "train.json.gz", "rt") as file:
        images = dict(json.load(file))
    records = []
    for name in sorted(images):
        objects, relations = images[name]["objs"], images[name]["rels"]
        names = [labels[o["cls"]] for o in objects]
        boxes = np.array([o["bbox"] for o in objects], dtype=np.float64).reshape(-1, 4)
        first = [
            next(j for j in range(i + 1) if names[j] == names[i] and overlap(*boxes[[i, j]]))
            for i in range(len(objects))
        ]
        kept = sorted(set(first))
        number = {j: at for at, j in enumerate(kept)}
        triples = {
            (number[first[r["sub"]]], predicates[p], number[first[r["obj"]]])
            for r in relations
            for p in r["pred"]
        }
        records.append(
            image_record(
                [names[j] for j in kept],
                boxes[kept],
                sorted((s, p, o) for s, p, o in triples if s != o),
                size=tuple(boxes[:, 2:].max(axis=0)) if len(boxes) else None,
                id=name,
            )
        )
    count = Counter(predicate for record in records for _, predicate, _ in record.relations)
    return [
        image_record(r.objects, r.boxes, [t for t in r.relations if count[t[1]] >= RAREST], id=r.id)
        for r in records
    ]


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(sides[0], 0) * max(sides[1], 0)
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    return bool(shared >= SAME_OBJECT * union)


def read_vrd(folder: Path) -> list[ImageRecord]:
    """Graphs of VRD as annotated, relations that are there twice included."""
    labels = (folder / "objects.txt").read_text().splitlines()
    predicates = (folder / "predicates.txt").read_text().splitlines()
    with gzip.open(folder / "annotations_train.json.gz", "rt") as file:
        images = json.load(file)
    with gzip.open(folder / "train_image_metadata.json.gz", "rt") as file:
        metadata = json.load(file)
    records = []
    for name in sorted(images):
        # Number of an object by its label, its box, and 1 for a second one like it.
        number: dict[tuple[Any, ...], int] = {}
        relations = []
        for relation in images[name]:
            ends: list[int] = []
            for end in (relation["subject"], relation["object"]):
                top, bottom, left, right = end["bbox"]
                node = labels[end["category"]], left, top, right, bottom
                # A few relations are of a thing and itself: taken as of two in one place.
                second = number.get((*node, 0)) in ends
                ends.append(number.setdefault((*node, int(second)), len(number)))
            relations.append((ends[0], predicates[relation["predicate"]], ends[1]))
        boxes = np.array([box for _, *box, _ in number], dtype=np.float64).reshape(-1, 4)
        size = [metadata[name]["width"], metadata[name]["height"]]
        size = np.vstack([boxes[:, 2:], size]).max(axis=0)  # that of one image is too small
        records.append(
            image_record(
                [label for label, *_ in number], boxes, relations, size=tuple(size), id=name
            )
        )
    return records


_READERS = {"vg150": read_vg150, "vrd": read_vrd}
