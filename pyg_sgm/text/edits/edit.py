"""False captions that differ from a true one in a single thing, in words and graph alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Literal, get_args

from pyg_sgm.data import TextRecord
from pyg_sgm.text.edits.addition import Additions
from pyg_sgm.text.edits.located import Located, locate
from pyg_sgm.text.edits.paraphrase import paraphrase
from pyg_sgm.text.edits.replacement import Attributes, Objects, Predicates, Replacements
from pyg_sgm.text.edits.swap import is_reversible, swap, swap_attributes
from pyg_sgm.text.synonyms import is_number
from pyg_sgm.text.words import noun_lemma

EditKind = Literal[
    "swapped_relation",
    "swapped_reversible",
    "replaced_predicate",
    "replaced_attribute",
    "replaced_count",
    "half_truth",
    "added_object",
    "replaced_object",
    "swapped_attribute",
]
EDITS: tuple[EditKind, ...] = get_args(EditKind)
Wording = Literal["own", "paraphrase", "other"]
WORDINGS: tuple[Wording, ...] = get_args(Wording)
REPLACEMENTS: dict[EditKind, type[Replacements]] = {
    "replaced_predicate": Predicates,
    "replaced_attribute": Attributes,
    "replaced_count": Attributes,
    "replaced_object": Objects,
}
_Made = tuple[TextRecord, TextRecord] | None  # true and false


@dataclass(frozen=True)
class Edit:
    """A true text of an image and a false one.

    Args:
        index (int): Index of the text that was edited.
        true (TextRecord): What is true of the image: that text, a part of it, or the same in other
            words.
        false (TextRecord): What is wrong in one thing.
    """

    index: int
    true: TextRecord
    false: TextRecord


def make_edits(
    texts: Sequence[TextRecord],
    image_of_text: Sequence[int],
    kind: EditKind,
    seed: int = 0,
    *,
    reversible: frozenset[tuple[str, str]] | None = None,
    wording: Wording = "own",
) -> list[Edit]:
    """For every text that allows it, a true and a false text that differ in one thing.

    Nothing is parsed again: a parser that stumbles over odd sentences would tell the false ones
    apart without the image. Words, graph and positions of the nodes change together.

    - ``"swapped_relation"``: subject and object of a relation exchange places, with their
      determiners and adjectives; the words stay the same. Relations that hold in both directions
      are left alone, and so are nouns that the text names twice.
    - ``"swapped_reversible"``: the same where either could do it to the other; see
      :func:`reversible_pairs`.
    - ``"replaced_predicate"``: another predicate of the same form ("riding", "leading") that the
      texts use more than once with that object.
    - ``"replaced_attribute"``: another attribute of the same sort (color, size, age, material,
      number) that the texts give more than once to that noun.
    - ``"replaced_count"``: another number.
    - ``"half_truth"``: the text cut down to one relation is true, and the same with a detail of its
      subject that the texts give more than once to that noun, but not in this image, is false.
    - ``"added_object"``: a thing more, that other texts name together with one of these.
    - ``"replaced_object"``: another thing that the texts name more than once as subject, or as
      object, of the same predicate.
    - ``"swapped_attribute"``: two attributes of one sort, of different objects, exchange places.

    What replaces or is added holds in no text of the image, and is no synonym of what does.

    Args:
        texts (list of TextRecord): Texts with graphs.
        image_of_text (list of int): Image of every text; those of one image are each other's
            witnesses.
        kind (EditKind): What the false texts get wrong.
        seed (int, optional): Of the choice among the nodes of a text, and among replacements, which
            are drawn by their frequency. (default: :obj:`0`)
        reversible (set, optional): Pairs of nouns, needed by ``"swapped_reversible"``. (default:
            :obj:`None`)
        wording (Wording, optional): The true side: ``"own"``, the text that was edited;
            ``"paraphrase"``, the same with a synonym, where it has one; ``"other"``, another text
            of the image, where there is one. A half-truth keeps its own. (default: :obj:`"own"`)

    Raises:
        ValueError: If there is no such kind or wording, or the reversible pairs are missing.

    Example:
        >>> from pyg_sgm.text import parse
        >>> text = parse("a young man rides a brown horse").to_record()
        >>> edit = make_edits([text], [0], "swapped_relation")[0]
        >>> edit.true.caption, edit.false.caption
        ('a young man rides a brown horse', 'a brown horse rides a young man')
    """
    if kind not in EDITS:
        raise ValueError(f"kind: expected one of {EDITS}, got {kind!r}")
    if wording not in WORDINGS:
        raise ValueError(f"wording: expected one of {WORDINGS}, got {wording!r}")
    located = [locate(text) for text in texts]
    random = Random(f"{seed}/{kind}")
    make = _maker(located, image_of_text, kind, random, reversible)
    edits = []
    for i, (image, it) in enumerate(zip(image_of_text, located, strict=True)):
        made = make(it, image)
        if made is not None:
            edits.append(Edit(i, *made))
    return reworded(edits, texts, image_of_text, kind, wording, seed)


def reworded(
    edits: list[Edit],
    texts: Sequence[TextRecord],
    image_of_text: Sequence[int],
    kind: EditKind,
    wording: Wording,
    seed: int = 0,
) -> list[Edit]:
    """Edits of :func:`make_edits` with their true sides in other words.

    Args:
        edits (list of Edit): In their own words.
        texts (list of TextRecord): The texts that were edited.
        image_of_text (list of int): Image of every text.
        kind (EditKind): What the false texts get wrong.
        wording (Wording): See :func:`make_edits`.
        seed (int, optional): Of the choice among words, or texts. (default: :obj:`0`)
    """
    if wording == "own" or kind == "half_truth":
        return edits
    words = Random(f"{seed}/{kind}/{wording}")
    if wording == "paraphrase":
        return [
            Edit(e.index, paraphrase(locate(texts[e.index]), words) or e.true, e.false)
            for e in edits
        ]
    of_image: dict[int, list[int]] = defaultdict(list)
    for i, image in enumerate(image_of_text):
        of_image[image].append(i)
    others = {e.index: [i for i in of_image[image_of_text[e.index]] if i != e.index] for e in edits}
    return [
        Edit(e.index, texts[words.choice(others[e.index] or [e.index])], e.false) for e in edits
    ]


def edit_texts(
    texts: Sequence[TextRecord],
    image_of_text: Sequence[int],
    kind: EditKind,
    seed: int = 0,
    *,
    reversible: frozenset[tuple[str, str]] | None = None,
) -> dict[int, TextRecord]:
    """The false texts of :func:`make_edits` by the index of the text that was edited.

    Args:
        texts (list of TextRecord): Texts with graphs.
        image_of_text (list of int): Image of every text.
        kind (EditKind): What the false texts get wrong.
        seed (int, optional): Of the choices. (default: :obj:`0`)
        reversible (set, optional): Pairs of nouns, needed by ``"swapped_reversible"``. (default:
            :obj:`None`)

    Raises:
        ValueError: If there is no such kind, or the reversible pairs are missing.

    Example:
        >>> from pyg_sgm.text import parse
        >>> text = parse("a young man rides a brown horse").to_record()
        >>> false = edit_texts([text], [0], "swapped_relation")[0]
        >>> [(false.objects[s], p, false.objects[o]) for s, p, o in false.relations]
        [('horse', 'ride', 'man')]
    """
    edits = make_edits(texts, image_of_text, kind, seed, reversible=reversible)
    return {edit.index: edit.false for edit in edits}


def _maker(
    located: Sequence[Located],
    image_of_text: Sequence[int],
    kind: EditKind,
    random: Random,
    reversible: frozenset[tuple[str, str]] | None,
) -> Callable[[Located, int], _Made]:
    """What makes the true and the false text of a text and its image."""
    if kind in ("swapped_relation", "swapped_reversible"):
        if kind == "swapped_reversible" and reversible is None:
            raise ValueError("swapped_reversible needs the pairs of reversible_pairs(texts)")
        pairs = reversible if kind == "swapped_reversible" else None
        return lambda it, image: _swapped(it, pairs, random)
    if kind in ("half_truth", "added_object"):
        additions = Additions(located, image_of_text)
        if kind == "half_truth":
            return lambda it, image: additions.half_truth(it, image, random)
        return lambda it, image: _paired(it, additions.added_object(it, image, random))
    if kind == "swapped_attribute":
        told: dict[int, set[tuple[str, str]]] = defaultdict(set)  # of the nouns of an image
        for image, it in zip(image_of_text, located, strict=True):
            told[image] |= {
                (noun_lemma(it.text.objects[owner]), label) for owner, label in it.text.attributes
            }
        return lambda it, image: _exchanged(it, told[image], random)
    edits = REPLACEMENTS[kind](located)
    said: dict[int, set[str]] = defaultdict(set)  # what the texts of an image say
    for image, it in zip(image_of_text, located, strict=True):
        said[image] |= edits.said(it)

    def replaced(it: Located, image: int) -> _Made:
        nodes: Iterable[int] = edits.nodes(it)
        if kind == "replaced_count":
            nodes = [node for node in nodes if is_number(it.text.attributes[node][1])]
        choices = [(node, found) for node in nodes if (found := edits.of(it, node, said[image]))]
        if not choices:
            return None
        node, counts = random.choice(choices)
        ((new, label),) = random.choices(list(counts), list(counts.values()))
        return it.text, edits.apply(it, node, new, label)

    return replaced


def _swapped(it: Located, reversible: frozenset[tuple[str, str]] | None, random: Random) -> _Made:
    swaps = [
        swapped
        for r in range(len(it.text.relations))
        if reversible is None or is_reversible(it, r, reversible)
        if (swapped := swap(it, r)) is not None
    ]
    return (it.text, random.choice(swaps)) if swaps else None


def _exchanged(it: Located, told: set[tuple[str, str]], random: Random) -> _Made:
    pairs = combinations(range(len(it.text.attributes)), 2)
    swaps = [
        swapped
        for one, two in pairs
        if (swapped := swap_attributes(it, one, two, told)) is not None
    ]
    return (it.text, random.choice(swaps)) if swaps else None


def _paired(it: Located, false: TextRecord | None) -> _Made:
    return None if false is None else (it.text, false)
