"""From photos to graphs."""

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from types import FunctionType
from typing import Any

import numpy as np

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.data import image_record
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.vision._shards import Graph, written_boxes
from pyg_sgm.vision.detectors.base import Detections, Detector
from pyg_sgm.vision.detectors.merge import prominence
from pyg_sgm.vision.images import Photo
from pyg_sgm.vision.region_features import RegionFeatures, union_boxes
from pyg_sgm.vision.relations.head import Relation, RelationHead

AT_MOST = 832  # pixels of the longer side: twice what a detector of 416 looks at
Attributes = Callable[[np.ndarray, np.ndarray], Sequence[Sequence[tuple[str, float]]]]
_MOST_PAIRED = 32  # objects, of which all ordered pairs are relations


class Extractor:
    """Turns images into scene graphs with region features.

    Args:
        detector (Detector): What finds the objects.
        features (RegionFeatures): What their boxes, and the union boxes of relations, are described
            with.
        relations (RelationHead, optional): What finds the relations. (default: :obj:`None`, there
            are none)
        attributes (Attributes, optional): What names the attributes of boxes, from pixels uint8
            ``[height, width, 3]`` and boxes ``[num_boxes, 4]`` in ``[0, 1]``: for each box (label,
            confidence), such as :func:`~pyg_sgm.vision.colors.color_attributes`: a function of a
            module, or what tells by an attribute ``fingerprint`` what its answers depend on.
            (default: :obj:`None`, there are none)
        max_relations (int, optional): Most relations per image. (default: :obj:`25`)
        pairs (int, optional): If positive, the relations are instead all ordered pairs of so many
            objects, the most prominent (:func:`~pyg_sgm.vision.detectors.prominence`), whatever the
            relation head says: candidates, each with the features of its union box. A pair has the
            head's likeliest predicate and its confidence, or ``<unk>`` and 0 where the head does
            not know the labels. Cells of a grid, which have no label, are not paired. (default:
            :obj:`0`)
        options (dict, optional): What it can be made from again, kept with its graphs: the
            arguments of :func:`open_extractor`. (default: :obj:`None`)

    Raises:
        ValueError: If the relation head needs region features, for another number of pairs, or for
            pairs of a detector without labels.
    """

    @renamed_arguments(limit="max_relations")
    def __init__(
        self,
        detector: Detector,
        features: RegionFeatures,
        relations: RelationHead | None = None,
        attributes: Attributes | None = None,
        *,
        max_relations: int = 25,
        pairs: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if relations is not None and relations.network.feature is not None:
            raise ValueError(
                "the relation head needs region features, which are made after the relations, for "
                "their union boxes: give one on labels and boxes"
            )
        self.detector = detector
        self.features = features
        self.relations = relations
        self.attributes = attributes
        self.max_relations = max_relations
        if not 0 <= pairs <= _MOST_PAIRED:
            raise ValueError(f"pairs: expected 0 to {_MOST_PAIRED} objects, got {pairs}")
        if pairs and not detector.labels:
            raise ValueError(
                f"pairs: {pairs}: the detector names no objects, of which pairs could be made"
            )
        self.pairs = pairs
        self.options = options

    @property
    def fingerprint(self) -> dict[str, str]:
        """What its graphs depend on; equal ones give equal graphs.

        Raises:
            ValueError: If what names attributes is not told from others: a function within another
                one, a lambda or an object, without an attribute ``fingerprint``.
        """
        head = "none"
        if self.relations is not None:
            head = f"{self.relations.fingerprint} limit {self.max_relations}"
        made = {
            "detector": self.detector.fingerprint,
            "features": self.features.fingerprint,
            "relations": head,
            "images": f"at most {AT_MOST} pixels",
        }
        if self.pairs:
            made["pairs"] = str(self.pairs)
        if self.attributes is not None:
            made["attributes"] = _name_of(self.attributes)
        return made

    @property
    def labels(self) -> dict[str, list[str]]:
        """The labels that its graphs may have."""
        return {
            "object": list(self.detector.labels),
            "relation": [] if self.relations is None else self.relations.predicates,
        }

    def __call__(self, photos: Sequence[Photo]) -> list[Graph]:
        """The graph of each image, without boxes too small to be written."""
        found = [_with_area(objects) for objects in self.detector(photos)]
        relations = [self._relations(objects) for objects in found]
        boxes = [
            np.concatenate(
                [objects.boxes, union_boxes(objects.boxes, [(s, o) for s, _, o, _ in r])]
            )
            for objects, r in zip(found, relations, strict=True)
        ]
        graphs = []
        for photo, objects, r, x in zip(
            photos, found, relations, self.features(photos, boxes), strict=True
        ):
            named = [] if self.attributes is None else self.attributes(photo.pixels, objects.boxes)
            words = [
                (i, word, c)
                for part in (named, objects.names)
                for i, one in enumerate(part)
                for word, c in one
            ]
            record = image_record(
                objects.labels,
                objects.boxes,
                [(s, predicate, o) for s, predicate, o, _ in r],
                [(i, word) for i, word, _ in words],
                scores={
                    "object": objects.scores.tolist(),
                    "relation": [c for *_, c in r],
                    "attribute": [c for *_, c in words],
                },
                id=photo.id,
            )
            count = len(objects.labels)
            graphs.append(Graph(record, photo.size, {"object": x[:count], "relation": x[count:]}))
        return graphs

    def _relations(self, objects: Detections) -> list[Relation]:
        if self.pairs:
            chosen = [
                i
                for i in prominence(objects).argsort()[::-1].tolist()
                if objects.labels[i] != UNKNOWN
            ][: self.pairs]
            chosen.sort()
            best = {(s, o): (p, c) for s, p, o, c in self._predicted(objects, chosen)}
            return [
                (s, predicate, o, confidence)
                for s, o in permutations(chosen, 2)
                for predicate, confidence in [best.get((s, o), (UNKNOWN, 0.0))]
            ]
        return self._predicted(objects, range(len(objects.labels)))

    def _predicted(self, objects: Detections, chosen: Sequence[int]) -> list[Relation]:
        """Relations of the head between some of the objects."""
        if self.relations is None:
            return []
        # One image at a time, so that no relation depends on what else is in the batch.
        (found,) = self.relations.relations(
            [[objects.labels[i] for i in chosen]],
            [objects.boxes[list(chosen)]],
            [objects.scores[list(chosen)]],
            max_relations=len(chosen) ** 2 if self.pairs else self.max_relations,
        )
        return [(chosen[s], predicate, chosen[o], c) for s, predicate, o, c in found]


def _name_of(attributes: Attributes) -> str:
    """What tells a function that names attributes from others."""
    known = getattr(attributes, "fingerprint", None)
    if known is not None:
        return str(known)
    # Other names than those of a module's functions stand for many functions.
    if not isinstance(attributes, FunctionType) or "<" in attributes.__qualname__:
        raise ValueError(
            f"attributes: {attributes!r} is no function of a module: give it an attribute "
            "`fingerprint`, a string that tells what its answers depend on"
        )
    return f"{attributes.__module__}.{attributes.__qualname__}"


def _with_area(found: Detections) -> Detections:
    """The objects whose boxes have an area once they are written."""
    boxes = written_boxes(found.boxes)
    keep = np.flatnonzero((boxes[:, :2] != boxes[:, 2:]).all(axis=1)).tolist()
    return Detections(
        found.boxes[keep],
        tuple(found.labels[i] for i in keep),
        found.scores[keep],
        tuple(found.names[i] for i in keep) if found.names else (),
    )
