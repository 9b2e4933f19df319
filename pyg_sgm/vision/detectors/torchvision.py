"""The detectors of torchvision."""

from collections.abc import Sequence

import numpy as np
import torch

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.vision.detectors.base import Detections
from pyg_sgm.vision.images import Photo


class TorchvisionDetector:
    """A detector of torchvision with the weights it comes with.

    Args:
        name (str): Such as :obj:`"fasterrcnn_resnet50_fpn_v2"`.
        min_score (float, optional): Least score. (default: :obj:`0.3`)
        max_objects (int, optional): At most so many objects per image. (default: :obj:`26`)

    Raises:
        ImportError: If torchvision is absent.
        ValueError: If it has no such detector.
    """

    @renamed_arguments(limit="max_objects")
    def __init__(self, name: str, *, min_score: float = 0.3, max_objects: int = 26) -> None:
        try:
            from torchvision import models
        except ImportError as error:
            raise ImportError(
                f"detector {name!r} needs torchvision: pip install torchvision"
            ) from error
        if name not in models.list_models(module=models.detection):
            raise ValueError(f"torchvision has no detector {name!r}")
        weights = models.get_model_weights(name).DEFAULT
        self._names = tuple(weights.meta["categories"])
        # Names that stand for no label, such as that of the background.
        self.labels = tuple(x for x in self._names if x not in ("__background__", "N/A"))
        self._net = models.get_model(name, weights=weights).eval()
        self._min_score = min_score
        self._max_objects = max_objects
        self.fingerprint = f"torchvision {name} {weights} score {min_score} limit {max_objects}"

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        # One image at a time: the network pads the images of a batch to the largest of them.
        return [self._detect(photo.pixels) for photo in photos]

    def _detect(self, pixels: np.ndarray) -> Detections:
        image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            (found,) = self._net([image])
        height, width = pixels.shape[:2]
        box = (found["boxes"].numpy() / ([width, height] * 2)).clip(0, 1).astype(np.float32)
        score = found["scores"].numpy()
        names = np.array(self._names, dtype=object)[found["labels"].numpy()]
        sound = (score >= self._min_score) & (box[:, 2:] > box[:, :2]).all(1)
        keep = np.flatnonzero(sound & np.isin(names, self.labels))[: self._max_objects]
        return Detections(box[keep], tuple(names[keep]), score[keep].astype(np.float32))
