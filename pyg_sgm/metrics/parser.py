"""Tuple F1 of text scene graphs, SPICE's idea without WordNet."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pyg_sgm._deprecated import renamed_arguments

_OTHER = re.compile(r"[^\w']|_")


def plain_words(phrase: str) -> str:
    """Lower-case words of a phrase joined by single spaces: the plainest normalizer.

    Example:
        >>> plain_words("T-shirt,  RED")
        't shirt red'
        >>> plain_words("Grüne Bäume")
        'grüne bäume'
    """
    text = unicodedata.normalize("NFC", phrase.lower())
    return " ".join(_OTHER.sub(_mark_or_space, text).split())


def _mark_or_space(match: re.Match[str]) -> str:
    """A combining mark, which is a part of its word, or a space."""
    char = match[0]
    # Not the variation selectors of emoji.
    mark = unicodedata.category(char) in ("Mn", "Mc") and not "\ufe00" <= char <= "\ufe0f"
    return char if mark else " "


def lemmatized_words(phrase: str) -> str:
    """:func:`plain_words` with every word as simplemma's English lemma.

    Args:
        phrase (str): Words of any language; only English ones are lemmatized.

    Raises:
        ImportError: If simplemma is missing.

    Example:
        >>> lemmatized_words("Two Dogs")
        'two dog'
    """
    return " ".join(map(_lemma, plain_words(phrase).split()))


@cache
def _lemma(word: str) -> str:
    try:
        import simplemma
    except ImportError as error:
        raise ImportError("lemmas need simplemma: pip install simplemma") from error
    return simplemma.lemmatize(word, lang="en")


@renamed_arguments(normalise="normalize")
def graph_tuples(
    graph: Mapping[str, Any], normalize: Callable[[str], str] = plain_words
) -> set[tuple[str, ...]]:
    """The set of tuples that stands for a graph.

    Objects give 1-tuples, attributes 2-tuples (object, attribute), relations 3-tuples (subject,
    predicate, object); an object that an attribute or a relation names is an object too. A tuple
    with a part that normalizes to nothing is left out.

    Args:
        graph (dict): Mapping with the optional lists ``objects`` of phrases, ``attributes`` of
            pairs and ``relations`` of triplets.
        normalize (callable, optional): Brings a phrase to the form in which phrases are compared.
            (default: :func:`plain_words`)

    Example:
        >>> sorted(graph_tuples({"attributes": [("Horse", "brown")]}))
        [('horse',), ('horse', 'brown')]
    """
    written: Iterable[tuple[str, ...]] = (
        *((name,) for name in graph.get("objects", ())),
        *(tuple(pair) for pair in graph.get("attributes", ())),
        *(tuple(triplet) for triplet in graph.get("relations", ())),
    )
    tuples = set()
    for parts in written:
        words = tuple(map(normalize, parts))
        if all(words):
            tuples.add(words)
            tuples.add(words[:1])
            if len(words) == 3:
                tuples.add(words[2:])
    return tuples


@dataclass(frozen=True)
class TupleScore:
    r"""Counts of tuples and the figures that follow from them.

    Args:
        hit (int): Tuples predicted and true.
        predicted (int): Tuples predicted.
        true (int): Tuples that are true.

    Example:
        >>> TupleScore(hit=3, predicted=4, true=6)
        TupleScore(precision=0.7500, recall=0.5000, f1=0.6000)
    """

    hit: int
    predicted: int
    true: int

    @property
    def precision(self) -> float:
        """Share of the predicted tuples that are true; 0 if none is predicted."""
        return self.hit / max(self.predicted, 1)

    @property
    def recall(self) -> float:
        """Share of the true tuples that are predicted; 0 if there is none."""
        return self.hit / max(self.true, 1)

    @property
    def f1(self) -> float:
        r"""Harmonic mean of both, :math:`2 \cdot hit / (predicted + true)`; 0 for 0 / 0."""
        return 2 * self.hit / max(self.predicted + self.true, 1)

    def __repr__(self) -> str:
        figures = {name: getattr(self, name) for name in ("precision", "recall", "f1")}
        return f"TupleScore({', '.join(f'{name}={value:.4f}' for name, value in figures.items())})"


@dataclass(frozen=True)
class ParserScore:
    """Scores of a parser: by kind of tuple, over all, and the share of graphs that are exact."""

    exact: float
    objects: TupleScore
    attributes: TupleScore
    relations: TupleScore
    all: TupleScore


@renamed_arguments(normalise="normalize")
def parser_f1(
    predicted: Sequence[Mapping[str, Any]],
    gold: Sequence[Mapping[str, Any]],
    normalize: Callable[[str], str] = plain_words,
) -> ParserScore:
    r"""Precision, recall and F1 of predicted text graphs, micro-averaged over the captions.

    With :math:`P_i` and :math:`G_i` the sets of tuples of caption :math:`i` (see
    :func:`graph_tuples`), precision is :math:`\sum_i |P_i \cap G_i| / \sum_i |P_i|` and recall
    :math:`\sum_i |P_i \cap G_i| / \sum_i |G_i|`: the tuples of SPICE (`"SPICE: Semantic
    Propositional Image Caption Evaluation" <https://arxiv.org/abs/1607.08822>`_) compared as
    words, without synonyms.

    Args:
        predicted (list of dict): One graph per caption, as :func:`graph_tuples` takes it.
        gold (list of dict): The true graphs, in the same order.
        normalize (callable, optional): Brings a phrase to the form in which phrases are compared;
            give it a lemmatizer to forgive inflection. (default: :func:`plain_words`)

    Raises:
        ValueError: If the two differ in length or are empty.

    Example:
        >>> from pyg_sgm.data import read_scene_graph
        >>> gold = [read_scene_graph("( man , ride , horse )"), read_scene_graph("( dog )")]
        >>> score = parser_f1([gold[0], {"objects": ["cat"]}], gold)
        >>> score.all
        TupleScore(precision=0.7500, recall=0.7500, f1=0.7500)
        >>> score.exact
        0.5
    """
    if len(predicted) != len(gold) or not gold:
        raise ValueError(
            f"parser_f1: as many predicted as gold graphs, at least one; got {len(predicted)} "
            f"predicted and {len(gold)} gold"
        )
    pairs = [
        (graph_tuples(p, normalize), graph_tuples(g, normalize))
        for p, g in zip(predicted, gold, strict=True)
    ]

    def score(sizes: tuple[int, ...]) -> TupleScore:
        counts = [
            [sum(len(t) in sizes for t in tuples) for tuples in (p & g, p, g)] for p, g in pairs
        ]
        hit, found, true = map(sum, zip(*counts, strict=True))
        return TupleScore(hit, found, true)

    return ParserScore(
        exact=sum(p == g for p, g in pairs) / len(pairs),
        objects=score((1,)),
        attributes=score((2,)),
        relations=score((3,)),
        all=score((1, 2, 3)),
    )
