"""False captions that differ from a true one in a single thing, in words and graph alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Literal, get_args

from pyg_sgm.data import TextRecord
from pyg_sgm.text.edits.located import locate
from pyg_sgm.text.edits.replacement import Replacements
from pyg_sgm.text.edits.swap import swap

EditKind = Literal["swapped_relation", "replaced_predicate", "replaced_attribute"]
EDITS: tuple[EditKind, ...] = get_args(EditKind)


def edit_texts(
    texts: Sequence[TextRecord], image_of_text: Sequence[int], kind: EditKind, seed: int = 0
) -> dict[int, TextRecord]:
    """For every text that allows it, a false one that differs from it in one thing.

    Both have the same nodes, and nothing is parsed again: a parser that stumbles over odd sentences
    would tell the false ones apart without the image.

    - ``"swapped_relation"``: subject and object of a relation exchange places, with their
      determiners and adjectives; the words stay the same. Relations that hold in both directions
      are left alone, and so are nouns that the text names twice.
    - ``"replaced_predicate"``: another predicate of the same form ("riding", "leading") that the
      texts use more than once with that object.
    - ``"replaced_attribute"``: another attribute of the same sort (color, size, age, material,
      number) that the texts give more than once to that noun.

    What replaces holds in no other text of the image, and is no synonym of the word it replaces or
    of one that does.

    Args:
        texts: Texts with graphs.
        image_of_text: Image of every text; those of one image are each other's witnesses.
        kind: What the false texts get wrong.
        seed: Of the choice among the relations of a text, and among replacements, which are drawn
            by their frequency. (default: ``0``)

    Returns:
        Index of the true text and the false one.

    Raises:
        ValueError: If there is no such kind.

    Example:
        >>> from pyg_sgm.text import parse
        >>> text = parse("a young man rides a brown horse").to_record()
        >>> false = edit_texts([text], [0], "swapped_relation")[0]
        >>> false.caption, [(false.objects[s], p, false.objects[o]) for s, p, o in false.relations]
        ('a brown horse rides a young man', [('horse', 'ride', 'man')])
    """
    if kind not in EDITS:
        raise ValueError(f"kind: expected one of {EDITS}, got {kind!r}")
    located = [locate(text) for text in texts]
    random = Random(f"{seed}/{kind}")
    if kind == "swapped_relation":
        swaps = {
            i: [edited for r in range(len(it.text.relations)) if (edited := swap(it, r))]
            for i, it in enumerate(located)
        }
        return {i: random.choice(edited) for i, edited in swaps.items() if edited}
    edits = Replacements(located, "relation" if kind == "replaced_predicate" else "attribute")
    said: dict[int, set[str]] = defaultdict(set)  # what the texts of an image say
    for image, it in zip(image_of_text, located, strict=True):
        said[image] |= edits.said(it)
    chosen = {}
    for i, (image, it) in enumerate(zip(image_of_text, located, strict=True)):
        nodes = [
            (node, found) for node in edits.nodes(it) if (found := edits.of(it, node, said[image]))
        ]
        if nodes:
            node, counts = random.choice(nodes)
            ((new, label),) = random.choices(list(counts), list(counts.values()))
            chosen[i] = edits.apply(it, node, new, label)
    return chosen
