"""Does a matcher read relations? True captions against false ones of the same image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pyg_sgm.data import TextRecord
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.metrics import pair_wins
from pyg_sgm.text import EDITS, Edit, EditKind, make_edits, reversible_pairs

AT_ONCE = 256  # texts, with the cases of all kinds


class Scorer(Protocol):
    """What is asked of a matcher: :class:`~pyg_sgm.retrieval.SceneGraphMatcher` has it."""

    def encode_images(self, images: SceneGraphDataset, /) -> Any: ...

    def encode_texts(self, texts: list[TextRecord], /) -> Any: ...

    def score(self, images: Any, texts: Any, /) -> Tensor: ...


@dataclass(frozen=True)
class Probe:
    """How often a matcher prefers true captions to false ones; chance is 0.5.

    Args:
        kind (EditKind): What the false captions get wrong; see :func:`pyg_sgm.text.make_edits`.
        accuracy (float): Share of the cases in which the true caption scores higher with its image;
            a tie counts half. :obj:`None` without a case.
        control (float): The same with every other image in place of its own, the mean of all: what
            the captions give away by themselves, because one of them sounds odd. :obj:`None`
            without another image.
        margin (float): Accuracy minus control: what the matcher reads from the image.
        interval (float): Half of the width of the margin's 95 % interval over the cases.
            :obj:`None` with less than two.
        cases (list of tuple): The true and the false caption of every case.
    """

    kind: EditKind
    accuracy: float | None
    control: float | None
    margin: float | None
    interval: float | None
    cases: list[tuple[TextRecord, TextRecord]]

    def to_dict(self) -> dict[str, float | int | None]:
        """The shares and the number of cases, fit for JSON."""
        return {
            "margin": self.margin,
            "interval": self.interval,
            "accuracy": self.accuracy,
            "control": self.control,
            "cases": len(self.cases),
        }


def probe_relations(
    matcher: Scorer,
    dataset: SceneGraphDataset,
    seed: int = 0,
    reversible: frozenset[tuple[str, str]] | None = None,
    kinds: Sequence[EditKind] = EDITS,
) -> list[Probe]:
    """Scores true captions against false ones that differ from them in one thing.

    The false captions are made by rule from the graphs of the true ones, and some sound odd ("a
    hat in a man"). What that gives away is in the control, so the margin over it is what counts. A
    model that takes a caption for a bag of words gets 0.5 on swapped relations, exactly: both
    captions have the same words, and both scores are the same.

    Args:
        matcher (Scorer): A trained matcher.
        dataset (SceneGraphDataset): Images, and texts whose graphs are known. Images that cannot be
            read are left out, and their texts.
        seed (int, optional): Of the edits. (default: :obj:`0`)
        reversible (set, optional): Pairs of nouns for swaps that sound as well as the truth, as a
            rule :func:`~pyg_sgm.text.reversible_pairs` of the training captions. (default: those of
            the captions of ``dataset``)
        kinds (sequence of EditKind, optional): What the false captions get wrong. (default: all)

    Returns:
        One result per kind of edit.

    Example:
        >>> from pyg_sgm.retrieval import SceneGraphMatcher
        >>> from pyg_sgm.datasets import SceneWorld
        >>> from pyg_sgm.training import Recipe
        >>> world = SceneWorld("train", num_images=24, captions_per_image=2)
        >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
        >>> matcher = matcher.fit(world, recipe=Recipe(epochs=1), progress=False)
        >>> [probe.kind for probe in probe_relations(matcher, world)][:3]
        ['swapped_relation', 'swapped_reversible', 'replaced_predicate']
    """
    if reversible is None:
        reversible = reversible_pairs(dataset.texts)
    images, of_text = matcher.encode_images(dataset), dataset.image_of_text.tolist()
    blocks: defaultdict[int, defaultdict[EditKind, list[Edit]]]
    blocks = defaultdict(lambda: defaultdict(list))
    for kind in kinds:
        for edit in make_edits(dataset.texts, of_text, kind, seed, reversible=reversible):
            blocks[edit.index // AT_ONCE][kind].append(edit)
    cases: dict[EditKind, list[_Case]] = {kind: [] for kind in kinds}
    for block in blocks.values():
        # Most kinds share the true side, which is scored once.
        texts = {id(t): t for edits in block.values() for e in edits for t in (e.true, e.false)}
        scores = matcher.score(images, matcher.encode_texts(list(texts.values())))
        column = {text: number for number, text in enumerate(texts)}
        for kind, edits in block.items():
            cases[kind] += _cases(edits, scores, column, dataset.image_of_text)
    return [_probe(kind, cases[kind]) for kind in kinds]


@dataclass(frozen=True)
class _Case:
    edit: Edit
    own: float  # whether its own image prefers the true side
    others: float  # share of the other images that do


def _cases(
    edits: list[Edit], scores: Tensor, column: dict[int, int], image_of_text: Tensor
) -> list[_Case]:
    true = scores[:, [column[id(edit.true)] for edit in edits]]  # [num_images, num_edits]
    false = scores[:, [column[id(edit.false)] for edit in edits]]
    wins = pair_wins(true, false)
    row = image_of_text[[edit.index for edit in edits]]
    # An image that cannot be read scores minus infinity, and is nobody's image.
    seen = (scores > -torch.inf).any(dim=1)
    own = wins[row, torch.arange(len(edits))]
    others = (wins[seen].sum(dim=0) - own) / (seen.sum() - 1)
    told = zip(edits, seen[row].tolist(), own.tolist(), others.tolist(), strict=True)
    return [_Case(edit, own, others) for edit, there, own, others in told if there]


def _probe(kind: EditKind, found: list[_Case]) -> Probe:
    cases = [(case.edit.true, case.edit.false) for case in found]
    accuracy = torch.tensor([case.own for case in found], dtype=torch.float64)
    control = torch.tensor([case.others for case in found], dtype=torch.float64)
    if not cases:
        return Probe(kind, None, None, None, None, cases)
    if control.isnan().any():  # there is no other image
        return Probe(kind, float(accuracy.mean()), None, None, None, cases)
    margin = accuracy - control
    interval = 1.96 * float(margin.std()) / len(cases) ** 0.5 if len(cases) > 1 else None
    return Probe(
        kind,
        accuracy=float(accuracy.mean()),
        control=float(control.mean()),
        margin=float(margin.mean()),
        interval=interval,
        cases=cases,
    )
