"""Boxes that several labels name, as one object."""

from collections.abc import Sequence

import numpy as np

from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.vision.detectors.base import Detections, Detector
from pyg_sgm.vision.images import Photo

IOU_THRESHOLD = 0.65  # above which two boxes of different labels are one object
_SAME_LABEL = 0.5  # the same of one label

# Labels of Open Images and COCO that say little where another says more.
_GENERAL = frozenset(
    """
    person, human body, animal, mammal, carnivore, bird, reptile, fish, insect, invertebrate,
    vehicle, land vehicle, watercraft, aircraft, wheel, plant, tree, building, furniture, food,
    fruit, vegetable, dessert, drink, toy, tool, weapon, sports equipment, ball, home appliance,
    kitchen appliance, tableware, kitchenware, container, musical instrument, office supplies
    """.replace("\n    ", " ")
    .strip()
    .split(", ")
)
# Labels of what is worn, or of a part of somebody, which a box may share with who wears it.
_WORN = frozenset(
    """
    clothing, dress, jacket, jeans, shorts, suit, skirt, shirt, coat, trousers, swimwear, miniskirt,
    sports uniform, footwear, fashion accessory, glasses, sunglasses, goggles, hat, helmet, tie,
    human face, human head, human hair, human arm, human hand, human leg, human foot, human eye,
    human nose, human mouth, human ear, human beard
    """.replace("\n    ", " ")
    .strip()
    .split(", ")
)


class Merged:
    """A detector whose objects have several names where its labels overlap.

    Detectors of many labels, and several detectors together, give one thing per box and label:
    "person", "woman" and "dress". :func:`merge_overlapping` makes one object of them.

    Args:
        detector (Detector): The detector.

    Example:
        >>> from pyg_sgm.vision import Grid
        >>> Merged(Grid(1)).fingerprint
        'grid 1 merged 0.65'
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.fingerprint = f"{detector.fingerprint} merged {IOU_THRESHOLD}"
        self.labels = detector.labels

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        return [merge_overlapping(found) for found in self._detector(photos)]


def merge_overlapping(found: Detections) -> Detections:
    """One object per thing, of boxes that overlap.

    Boxes are taken by score; one that overlaps an object's first box by more than .65 (intersection
    over union; .5 if it has a name of the object already) is another name of it. The label is the
    name of the highest score, where names such as "person" and "animal" come after others, and what
    is worn or a part of the body after those; the other names are kept in :attr:`Detections.names`.
    Box and score are those of the first box. Regions without a label stay as they are.

    Args:
        found (Detections): What detectors found in one image.

    Example:
        >>> box = [0.1, 0.1, 0.5, 0.9]
        >>> scores = np.array([0.9, 0.6, 0.4], np.float32)
        >>> found = Detections(np.array([box] * 3), ("clothing", "person", "girl"), scores)
        >>> merged = merge_overlapping(found)
        >>> merged.labels, [name for name, _ in merged.names[0]]
        (('girl',), ['clothing', 'person'])
    """
    named = np.array([label != UNKNOWN for label in found.labels], dtype=bool)
    order = np.flatnonzero(named)
    order = order[np.argsort(-found.scores[order], kind="stable")]
    boxes = found.boxes.astype(np.float64)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    heads: list[int] = []
    names: list[dict[str, float]] = []
    for i in order.tolist():
        label, score = found.labels[i], float(found.scores[i])
        if heads:
            corner = np.minimum(boxes[i, 2:], boxes[heads, 2:])
            both = (corner - np.maximum(boxes[i, :2], boxes[heads, :2])).clip(min=0).prod(-1)
            iou = both / (area[i] + area[heads] - both)
            least = np.array([_SAME_LABEL if label in own else IOU_THRESHOLD for own in names])
            best = int(np.where(iou > least, iou, -1).argmax())
            if iou[best] > least[best]:
                names[best].setdefault(label, score)  # the first has the highest score
                continue
        heads.append(i)
        names.append({label: score})
    labels = [min(own, key=lambda name: (_rank(name), -own[name])) for own in names]
    rest = np.flatnonzero(~named).tolist()
    keep = [*rest, *heads]
    return Detections(
        found.boxes[keep],
        (*(found.labels[i] for i in rest), *labels),
        found.scores[keep],
        (
            *(() for _ in rest),
            *(
                tuple((name, score) for name, score in own.items() if name != label)
                for own, label in zip(names, labels, strict=True)
            ),
        ),
    )


def prominence(found: Detections) -> np.ndarray:
    """How much an object matters in its image, ``[num_boxes]``.

    It is the sum of the scores of all its names times its area to the power of .15, and three
    tenths of that if it is worn or a part of the body.

    Args:
        found (Detections): What detectors found in one image.
    """
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).astype(np.float64)
    names = found.names or ((),) * len(found.labels)
    score = found.scores + np.array([sum(score for _, score in own) for own in names])
    worn = np.array([_rank(label) == 2 for label in found.labels], dtype=bool)
    out: np.ndarray = score * sides.prod(-1) ** 0.15 * np.where(worn, 0.3, 1)
    return out


def _rank(name: str) -> int:
    return 1 if name in _GENERAL else 2 if name in _WORN else 0
