"""Labels of image graphs as a language model reads them, in sentences that tell the graph."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

from pyg_sgm.data import ImageRecord, Ragged, SharedRows, Spans, text_record
from pyg_sgm.data.vocabulary import UNKNOWN
from pyg_sgm.text.encoder import TextEncoder
from pyg_sgm.text.vector_cache import word_features
from pyg_sgm.text.words import noun_lemma

Mention = tuple[tuple[str, ...], int, int]  # the words of a sentence, and the part that is meant


def label_features(
    images: Sequence[ImageRecord],
    encoder: TextEncoder,
    folder: str | os.PathLike[str] | None = None,
) -> dict[str, Ragged]:
    r"""Features of the labels of objects and relations, read by the language model that reads the
    captions, so that both speak of the same things in the same way

    .. math::
        \mathbf{l}_o = \frac{\sqrt{d}}{4} \, \frac{\bar{\mathbf{t}}_o}{\|\bar{\mathbf{t}}_o\|},
        \qquad
        \mathbf{l}_r = \frac{\sqrt{d}}{4} \, \frac{\bar{\mathbf{t}}_r}{\|\bar{\mathbf{t}}_r\|}

    (either of the two vectors of an encoder of all layers), where :math:`\bar{\mathbf{t}}_o` is
    the mean over the words of the object's label in the sentence that lists all labels of its
    image once ("a man , a horse , trees"), and :math:`\bar{\mathbf{t}}_r` that over a sentence of
    the relation alone ("a man riding a horse").
    What has no label, as cells of a grid, has zeros; parts of a relation that have none are left
    out of its sentence.

    Args:
        images (sequence of ImageRecord): Images with graphs.
        encoder (TextEncoder): What reads them.
        folder (path, optional): As of :func:`word_features`. (default: :obj:`None`, held in memory)

    Returns:
        dict: Of ``"object"`` and ``"relation"``, rows ``[num_nodes, width]``, one span per image.

    Example:
        >>> from pyg_sgm.data import image_record
        >>> from pyg_sgm.text import open_text_encoder
        >>> image = image_record(["man", "horse"], relations=[(0, "riding", 1)])
        >>> encoder = open_text_encoder("minilm")  # doctest: +SKIP
        >>> label_features([image], encoder)["relation"].rows.shape  # doctest: +SKIP
        (1, 384)
    """
    mentions: dict[str, list[Mention]] = {"object": [], "relation": []}
    for image in images:
        listed: list[str] = []
        at = {"": (0, 0), UNKNOWN: (0, 0)}
        for label in image.objects:
            if label not in at:
                words = _noun_phrase(label)
                listed += [",", *words] if listed else words
                at[label] = (len(listed) - len(label.split()), len(listed))
        sentence = tuple(listed)
        mentions["object"] += [(sentence, *at[label]) for label in image.objects]
        for subject, predicate, object in image.relations:
            told = _noun_phrase(image.objects[subject])
            told += [] if predicate == UNKNOWN else predicate.split()
            told += _noun_phrase(image.objects[object])
            mentions["relation"].append((tuple(told), 0, len(told)))
    counts = {
        "object": torch.tensor([len(image.objects) for image in images], dtype=torch.long),
        "relation": torch.tensor([len(image.relations) for image in images], dtype=torch.long),
    }
    return {
        node: Ragged(_read(mentions[node], encoder, folder), Spans.packed(count))
        for node, count in counts.items()
    }


def _read(
    mentions: Sequence[Mention], encoder: TextEncoder, folder: str | os.PathLike[str] | None
) -> SharedRows:
    """What the encoder makes of each mention, ``[num_mentions, width]``."""
    distinct = {mention: row for row, mention in enumerate(dict.fromkeys(mentions))}
    sentences = [text_record(words) for words, _, _ in distinct]
    features = word_features(sentences, encoder, folder)
    table = torch.zeros(len(distinct), encoder.width, dtype=torch.half)
    for row, (_, start, end) in enumerate(distinct):
        if start < end:
            first = int(features.spans.start[row])
            words = features.rows[torch.arange(first + start, first + end)]
            table[row] = encoder.scaled(words.mean(dim=0)).half()
    row_of = torch.tensor([distinct[mention] for mention in mentions], dtype=torch.long)
    return SharedRows(table, row_of)


def _noun_phrase(label: str) -> list[str]:
    """The words of a label, after an article if it is one thing; none for what has no label."""
    words = [] if label == UNKNOWN else label.split()
    if not words or noun_lemma(words[-1]) != words[-1]:
        return words
    return ["an" if words[0][0] in "aeiou" else "a", *words]
