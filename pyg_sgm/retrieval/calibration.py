"""What scores of a trained matcher are worth: chances, and which phrases are missing."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.evaluation.encode import evaluating
from pyg_sgm.io import read_json, write_json
from pyg_sgm.metrics.calibration import Logistic, calibration_error, fit_logistic
from pyg_sgm.models.explanation import Attention, Explanation
from pyg_sgm.retrieval.missing import missing_phrases, phrase_similarities

if TYPE_CHECKING:
    from pyg_sgm.retrieval.scoring import Scorer

FORMAT = "pyg_sgm calibration 1"
LEAST_IMAGES, MOST_IMAGES = 20, 1000
MOST_EXPLAINED = 500
ANSWERS = 10  # of every text, of which the calibration error is told
LOST = 0.1  # share of the phrases of an image's own texts that may be told to be missing


@dataclass(frozen=True)
class Calibration:
    r"""What scores are worth, measured on images and texts that a matcher was not trained on.

    A chance is that of a text having been written for the image, among as many images as were
    measured: :class:`~pyg_sgm.metrics.calibration.Logistic` of the score. A phrase is missing in an
    image where it is less similar to anything in it than nine tenths of all phrases are to the
    images that their texts were written for.

    Args:
        fingerprint (str): What tells the model apart from others.
        num_images (int): Images that were measured.
        num_texts (int): Their texts.
        slope (float): :math:`a` of the logistic curve.
        offset (float): :math:`b`.
        ceiling (float): :math:`c`, the largest chance.
        error (float): Expected calibration error of the first ten answers to each text, by a curve
            that was fitted on the other half of the images.
        word (float, optional): Least mean similarity of the words of an object or attribute that is
            there; :obj:`None` where the model's explanations have no matches. (default:
            :obj:`None`)
        triplet (float, optional): Least similarity of a triplet that is there, likewise. (default:
            :obj:`None`)
    """

    fingerprint: str
    num_images: int
    num_texts: int
    slope: float
    offset: float
    ceiling: float
    error: float
    word: float | None = None
    triplet: float | None = None

    def probability(self, score: float) -> float:
        """Chance that a text with this score was written for the image.

        Args:
            score (float): Score of the pair.
        """
        return self._curve.probability(score)

    def score_at(self, probability: float) -> float:
        """The least score with a chance, infinite beyond :attr:`ceiling`.

        Args:
            probability (float): Between 0 and 1.

        Raises:
            ValueError: If it is not.
        """
        return self._curve.score_at(probability)

    def missing(self, explanation: Explanation | Attention) -> list[str]:
        """Phrases of a text that nothing in an image matches; none where the model cannot tell.

        Args:
            explanation (Explanation or Attention): What the model tells of the pair.
        """
        if self.word is None or isinstance(explanation, Attention):
            return []
        least = -math.inf if self.triplet is None else self.triplet
        return missing_phrases(explanation, self.word, least)

    @property
    def _curve(self) -> Logistic:
        return Logistic(self.slope, self.offset, self.ceiling)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a JSON file.

        Args:
            path (str or PathLike): The file, ``calibration.json`` in a run.
        """
        write_json(path, {"format": FORMAT, **asdict(self)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Calibration:
        """Reads what :meth:`save` wrote.

        Args:
            path (str or PathLike): The file.

        Raises:
            ValueError: Naming file and field, if it is no calibration.
        """
        values = read_json(path, dict)
        if values.pop("format", None) != FORMAT:
            raise ValueError(f"{path}: format: expected {FORMAT!r}")
        names = [field.name for field in fields(cls)]
        if set(values) != set(names):
            wrong = min(set(values) ^ set(names))
            raise ValueError(f"{path}: {wrong}: {'missing' if wrong in names else 'unknown'} field")
        for name, value in values.items():
            kinds = (str,) if name == "fingerprint" else (int, float)
            if value is None and name in ("word", "triplet"):
                continue
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise ValueError(f"{path}: {name}: expected a {kinds[-1].__name__}, got {value!r}")
        if not (values["slope"] > 0 and 0 < values["ceiling"] <= 1):
            raise ValueError(f"{path}: slope, ceiling: not those of a calibration")
        return cls(**values)


def fit_calibration(matcher: Scorer, dataset: SceneGraphDataset, seed: int = 0) -> Calibration:
    """Measures what scores are worth, on at most 1,000 images with their texts.

    Args:
        matcher (Scorer): A trained matcher.
        dataset (SceneGraphDataset): Images and texts with graphs that it was not trained on.
        seed (int, optional): Of the choice of images. (default: :obj:`0`)

    Raises:
        ValueError: If there are fewer than 20 images.
    """
    if len(dataset.images) < LEAST_IMAGES:
        raise ValueError(
            f"a calibration needs {LEAST_IMAGES} images or more that are not trained on, got "
            f"{len(dataset.images)}"
        )
    order = torch.randperm(len(dataset.images), generator=torch.Generator().manual_seed(seed))
    dataset = dataset.select_images(order[:MOST_IMAGES].tolist())
    images, texts = matcher.encode_images(dataset), matcher.encode_texts(dataset)
    scores = matcher.score(images, texts)
    curve = fit_logistic(scores, dataset.image_of_text)
    words: list[float] = []
    triplets: list[float] = []
    model = matcher.saved.model
    chosen = torch.arange(len(texts))[:: max(1, -(-len(texts) // MOST_EXPLAINED))].tolist()
    with evaluating(model) as model:
        for text in chosen:
            image = int(dataset.image_of_text[text])
            explanation = model.explain(
                images.encoding.select(torch.tensor([image])),
                texts.encoding.select(torch.tensor([text])),
                dataset.images[image],
                dataset.texts[text],
            )
            if isinstance(explanation, Attention):
                break
            similar = phrase_similarities(explanation)
            words += [v for v in (*similar.objects, *similar.attributes) if v is not None]
            triplets += [value for value in similar.triplets if value is not None]
    return Calibration(
        matcher.fingerprint,
        len(dataset.images),
        len(texts),
        curve.slope,
        curve.offset,
        curve.ceiling,
        cross_fitted_error(scores, dataset.image_of_text),
        _lowest_tenth(words),
        _lowest_tenth(triplets),
    )


def cross_fitted_error(scores: Tensor, image_of_text: Tensor) -> float:
    """Calibration error of the first answers to each text: the curve is fitted on one half of the
    images with their texts and measured on the other, and the other way round.

    Args:
        scores (Tensor): Scores of all pairs, ``[num_images, num_texts]``.
        image_of_text (LongTensor): Image of every text, ``[num_texts]``.
    """
    even = torch.arange(len(scores)) % 2 == 0
    errors = []
    for half in (even, ~even):
        row = half.cumsum(0) - 1
        texts = half[image_of_text]
        curve = fit_logistic(scores[half][:, texts], row[image_of_text[texts]])
        others, rest = scores[~half][:, ~texts], (~half).cumsum(0) - 1
        best, at = others.topk(min(ANSWERS, len(others)), dim=0)
        chances = torch.tensor([curve.probability(s) for s in best.flatten().tolist()])
        own = rest[image_of_text[~texts]]
        errors.append(calibration_error(chances, (at == own).flatten()))
    return sum(errors) / 2


def _lowest_tenth(values: list[float]) -> float | None:
    """What nine tenths of the values reach."""
    finite = torch.tensor([value for value in values if math.isfinite(value)])
    return float(finite.quantile(LOST)) if len(finite) else None
