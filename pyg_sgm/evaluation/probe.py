"""Does a matcher read relations? True captions against false ones of the same image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pyg_sgm.data import TextRecord
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.metrics import pair_accuracy
from pyg_sgm.text import EDITS, EditKind, edit_texts


class PairScorer(Protocol):
    """What is asked of a matcher: :class:`~pyg_sgm.retrieval.SceneGraphMatcher` has it."""

    def encode_images(self, images: SceneGraphDataset, /) -> Any: ...

    def encode_texts(self, texts: list[TextRecord], /) -> Any: ...

    def score_pairs(self, images: Any, texts: Any, image_of_text: Tensor, /) -> Tensor: ...


@dataclass(frozen=True)
class Probe:
    """How often a matcher prefers true captions to false ones; chance is 0.5.

    Args:
        kind: What the false captions get wrong; see :func:`pyg_sgm.text.edit_texts`.
        accuracy: Share of the cases in which the true caption scores higher with its image; a
            tie counts half. :obj:`None` without a case.
        control: The same with another image in place of its own: what the captions give away by
            themselves, because one of them sounds odd. :obj:`None` without another image.
        cases: The true and the false caption of every case.
    """

    kind: EditKind
    accuracy: float | None
    control: float | None
    cases: list[tuple[TextRecord, TextRecord]]

    def to_dict(self) -> dict[str, float | int | None]:
        """The shares and the number of cases, fit for JSON."""
        return {
            "accuracy": self.accuracy,
            "control": self.control,
            "cases": len(self.cases),
        }


def probe_relations(matcher: PairScorer, dataset: SceneGraphDataset, seed: int = 0) -> list[Probe]:
    """Scores true captions against false ones that differ from them in one thing.

    A model that takes a caption for a bag of words gets 0.5 on swapped relations, exactly: both
    captions have the same words, and both scores are the same.

    Args:
        matcher: A trained matcher.
        dataset: Images, and texts whose graphs are known.
        seed: Of the edits. (default: ``0``)

    Returns:
        One result per kind of edit.

    Example:
        >>> from pyg_sgm.retrieval import SceneGraphMatcher
        >>> from pyg_sgm.datasets import SceneWorld
        >>> from pyg_sgm.training import Recipe
        >>> world = SceneWorld("train", num_images=24, captions_per_image=2)
        >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
        >>> matcher = matcher.fit(world, recipe=Recipe(epochs=1), progress=False)
        >>> [probe.kind for probe in probe_relations(matcher, world)]
        ['swapped_relation', 'replaced_predicate', 'replaced_attribute']
    """
    images = matcher.encode_images(dataset)
    return [_probe(matcher, images, dataset, kind, seed) for kind in EDITS]


def _probe(
    matcher: PairScorer,
    images: Any,
    dataset: SceneGraphDataset,
    kind: EditKind,
    seed: int,
) -> Probe:
    edits = edit_texts(dataset.texts, dataset.image_of_text.tolist(), kind, seed)
    cases = [(dataset.texts[i], false) for i, false in edits.items()]
    if not cases:
        return Probe(kind, None, None, cases)
    texts = matcher.encode_texts([text for case in cases for text in case])
    # [num_cases * 2], true and false in turn
    own = dataset.image_of_text[list(edits)].repeat_interleave(2)
    # Half the images away: images beside each other may be alike.
    others = (own + len(images) // 2) % len(images)
    scores = [matcher.score_pairs(images, texts, image) for image in (own, others)]
    # Images that cannot be read score minus infinity with any text.
    read = scores[0][::2] > -torch.inf
    cases = [case for case, kept in zip(cases, read.tolist(), strict=True) if kept]
    accuracy, control = (_accuracy(each, read) for each in scores)
    return Probe(kind, accuracy, control if len(images) > 1 else None, cases)


def _accuracy(scores: Tensor, read: Tensor) -> float | None:
    """Share of the pairs of images that could be read, whose true caption scores higher."""
    true, false = scores[::2], scores[1::2]
    there = read & (true > -torch.inf)
    return pair_accuracy(true[there], false[there]) if there.any() else None
