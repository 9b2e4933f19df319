"""From photos to graphs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pyg_sgm.data import image_record
from pyg_sgm.vision.detections import Detections, Detector
from pyg_sgm.vision.features import RegionFeatures, union_boxes
from pyg_sgm.vision.graph_folder import Graph
from pyg_sgm.vision.images import Photo
from pyg_sgm.vision.relations import RelationHead

AT_MOST = 832  # pixels of the longer side: twice what a detector of 416 looks at
Attributes = Callable[[np.ndarray, np.ndarray], Sequence[Sequence[tuple[str, float]]]]


class Extractor:
    """Turns images into scene graphs with region features.

    Args:
        detector: What finds the objects.
        features: What their boxes, and the union boxes of relations, are described with.
        relations: What finds the relations. (default: :obj:`None`, there are none)
        attributes: What names the attributes of boxes, from pixels uint8 ``[height, width, 3]`` and
            boxes ``[num_boxes, 4]`` in ``[0, 1]``: for each box (label, confidence), such as
            :func:`~pyg_sgm.vision.attributes.attributes`. (default: :obj:`None`, there are none)
        limit: At most so many relations an image. (default: ``25``)
        options: What it can be made from again, kept with its graphs: the arguments of
            :func:`open_extractor`. (default: :obj:`None`)

    Raises:
        ValueError: If the relation head needs region features.
    """

    def __init__(
        self,
        detector: Detector,
        features: RegionFeatures,
        relations: RelationHead | None = None,
        attributes: Attributes | None = None,
        *,
        limit: int = 25,
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
        self.limit = limit
        self.options = options

    @property
    def key(self) -> dict[str, str]:
        """What its graphs depend on; equal keys give equal graphs."""
        head = "none" if self.relations is None else f"{self.relations.key} limit {self.limit}"
        key = {
            "detector": self.detector.key,
            "features": self.features.key,
            "relations": head,
            "images": f"at most {AT_MOST} pixels",
        }
        if self.attributes is not None:
            key["attributes"] = f"{self.attributes.__module__}.{self.attributes.__qualname__}"
        return key

    @property
    def labels(self) -> dict[str, list[str]]:
        """The labels that its graphs may have."""
        return {
            "object": list(self.detector.labels),
            "relation": [] if self.relations is None else self.relations.predicates,
        }

    def __call__(self, photos: Sequence[Photo]) -> list[Graph]:
        """The graph of each image."""
        found = self.detector(photos)
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
            words = [(i, word, c) for i, one in enumerate(named) for word, c in one]
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

    def _relations(self, objects: Detections) -> list[tuple[int, str, int, float]]:
        if self.relations is None:
            return []
        # One image at a time, so that no relation depends on what else is in the batch.
        (found,) = self.relations.relations(
            [objects.labels], [objects.boxes], [objects.scores], limit=self.limit
        )
        return found
