"""False texts to train with: which are made of the training texts, and which a batch sees."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import (
    EditedTexts,
    PairBatch,
    PairedGraphs,
    Ragged,
    TextRecord,
    Vocabulary,
    pack_texts,
)
from pyg_sgm.text import EDITS, WORDINGS, Edit, EditKind, make_edits, reversible_pairs
from pyg_sgm.text.edits.edit import reworded

# The others are left to the probe: what another object is, the other images of a batch tell, and
# swapped attributes are told no better after training with them (docs/results/photos.md).
TRAINED: tuple[EditKind, ...] = tuple(
    kind for kind in EDITS if kind not in ("replaced_object", "swapped_attribute")
)
PER_TEXT = 2  # edits of a text; more are read and never seen
WORDING_SHARE = (0.5, 0.25, 0.25)  # of the true sides, in the order of WORDINGS


def training_edits(
    texts: Sequence[TextRecord], image_of_text: Sequence[int], kinds: Sequence[str] = ()
) -> list[tuple[EditKind, Edit]]:
    """True and false texts for training, at most two of each text.

    A text keeps the edits of those kinds that fewest texts allow, so that rare kinds, such as swaps
    of nouns either of which could do it to the other, are not lost among the frequent ones. The
    true side of every second edit is in other words: a paraphrase, or another text of the image.
    The same texts have the same edits in every training, so that their words are read once.

    Args:
        texts (list of TextRecord): Texts with graphs.
        image_of_text (list of int): Image of every text.
        kinds (list of str, optional): Kinds of :func:`pyg_sgm.text.make_edits`. (default: all but
            ``"replaced_object"`` and ``"swapped_attribute"``)

    Raises:
        ValueError: If there is no such kind.
    """
    reversible = reversible_pairs(texts)
    made: dict[EditKind, dict[int, list[Edit]]] = {}
    for kind in cast(Sequence[EditKind], kinds or TRAINED):
        own = make_edits(texts, image_of_text, kind, reversible=reversible)
        made[kind] = {edit.index: [] for edit in own}
        for wording in WORDINGS:
            for edit in reworded(own, texts, image_of_text, kind, wording):
                made[kind][edit.index].append(edit)
    rarest = sorted(made, key=lambda kind: len(made[kind]))
    chosen = []
    random = np.random.default_rng(0)
    for text in range(len(texts)):
        for kind in [kind for kind in rarest if text in made[kind]][:PER_TEXT]:
            number = int(random.choice(len(WORDINGS), p=WORDING_SHARE))
            chosen.append((kind, made[kind][text][number]))
    return chosen


def with_edits(
    graphs: PairedGraphs,
    edits: Sequence[tuple[EditKind, Edit]],
    words: Vocabulary,
    word_features: Callable[[Sequence[TextRecord]], Ragged] | None = None,
) -> PairedGraphs:
    """Training graphs with the graphs of true and false texts.

    Args:
        graphs (PairedGraphs): The graphs of the texts that were edited.
        edits (list of tuple): Of :func:`training_edits`.
        words (Vocabulary): Words to indices.
        word_features (callable, optional): Gives the features of the words of texts. (default:
            :obj:`None`)
    """
    records = [edit.true for _, edit in edits] + [edit.false for _, edit in edits]
    features = {} if word_features is None else {"word": word_features(records)}
    text = torch.tensor([edit.index for _, edit in edits], dtype=torch.long)
    kind = torch.tensor([EDITS.index(kind) for kind, _ in edits], dtype=torch.long)
    return replace(graphs, edits=EditedTexts(pack_texts(records, words, features), text, kind))


def edited_batch(graphs: PairedGraphs, text_index: Tensor, count: int, seed: int) -> PairBatch:
    """A batch with edits of its texts, of every kind equally many where there are enough.

    Args:
        graphs (PairedGraphs): With edits.
        text_index (Tensor): Positions of the texts.
        count (int): Edits at most.
        seed (int): Of the choice, which follows from it and the texts.
    """
    batch, edits = graphs.batch(text_index), graphs.edits
    assert edits is not None
    mine = torch.isin(edits.text, text_index).nonzero().squeeze(1)
    random = np.random.default_rng([seed, *text_index.tolist()])
    mine = mine[torch.from_numpy(random.permutation(len(mine)))]
    order = edits.kind[mine].argsort(stable=True)
    sizes = torch.bincount(edits.kind[mine], minlength=1)
    nth = torch.arange(len(mine)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    chosen = mine[order[nth.argsort(stable=True)[:count]]]  # one of each kind, then the next
    image = torch.searchsorted(batch.image_index, graphs.image_of_text[edits.text[chosen]])
    return replace(batch, edited=edits.batch(chosen), image_of_edit=image)
