"""The best answers to queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.datasets import SceneGraphDataset

if TYPE_CHECKING:
    from pyg_sgm.retrieval.matcher import SceneGraphMatcher


@dataclass(frozen=True)
class Candidate:
    """One answer to a query.

    Args:
        index (int): Position among what was searched, as it was passed in.
        id (str): Name of the image, or of the text.
        score (float): Score of the pair.
        rank (int): Place among all answers, from 1.
        relevant (bool, optional): Whether it belongs to the query; :obj:`None` if that is not
            known. (default: :obj:`None`)
        previous_rank (int, optional): Place among the answers to the query that this one is
            compared with; :obj:`None` if there is none. (default: :obj:`None`)
    """

    index: int
    id: str
    score: float
    rank: int
    relevant: bool | None = None
    previous_rank: int | None = None


def best_of(
    scores: Tensor,
    ids: Sequence[str],
    k: int,
    relevant: Collection[int] | None = None,
    previous: Tensor | None = None,
) -> list[Candidate]:
    """The best answers to one query, best first; equal scores keep their order, and what scores
    minus infinity is no answer.

    Args:
        scores (Tensor): Of all that was searched, ``[num_candidates]``.
        ids (list of str): Their names.
        k (int): Number of answers.
        relevant (list of int, optional): Positions of those that belong to the query. If none of
            them is among the first ``k``, the best of them follows after those. (default:
            :obj:`None`, not known)
        previous (Tensor, optional): Places among the answers to another query,
            ``[num_candidates]``. (default: :obj:`None`)

    Raises:
        ValueError: If ``k`` is less than 1 or a score is NaN.

    Example:
        >>> found = best_of(torch.tensor([0.1, 0.3, 0.2]), ["a", "b", "c"], 1, relevant=[2])
        >>> [(one.id, one.rank, one.relevant) for one in found]
        [('b', 1, False), ('c', 2, True)]
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if scores.isnan().any():
        raise ValueError(f"the score of {ids[int(scores.isnan().nonzero()[0])]!r} is NaN")
    answers = int((scores > -torch.inf).sum())
    order: list[int] = scores.argsort(descending=True, stable=True)[:answers].tolist()
    shown = order[:k]
    if relevant and not set(relevant) & set(shown):
        shown += [i for i in order[k:] if i in relevant][:1]
    rank_of = {i: place for place, i in enumerate(order, 1)}
    return [
        Candidate(
            i,
            ids[i],
            float(scores[i]),
            rank_of[i],
            None if relevant is None else i in relevant,
            None if previous is None else int(previous[i]),
        )
        for i in shown
    ]


def in_order(found: Sequence[Candidate]) -> list[Candidate]:
    """The answers to a query without the one of its own that follows after the first ``k``.

    Args:
        found (list of Candidate): Of :func:`best_of`.
    """
    return [candidate for place, candidate in enumerate(found, 1) if candidate.rank == place]


def search_images(
    matcher: SceneGraphMatcher,
    texts: Sequence[TextRecord],
    dataset: SceneGraphDataset,
    k: int = 5,
) -> list[list[Candidate]]:
    """The best images of every text.

    The image of a text that is a caption of the dataset is known. Any other text is compared with
    the first one: what an edit moves up is what the matcher read in it.

    Args:
        matcher (SceneGraphMatcher): A trained matcher.
        texts (list of TextRecord): Queries.
        dataset (SceneGraphDataset): Images to search, and captions.
        k (int, optional): Number of answers to each. (default: :obj:`5`)

    Returns:
        The answers to each text, see :func:`best_of`; the best image of its own comes last where it
        is not among the first ``k``.

    Example:
        >>> from pyg_sgm.retrieval import SceneGraphMatcher
        >>> from pyg_sgm.datasets import SceneWorld
        >>> world = SceneWorld("train", num_images=8, captions_per_image=2)
        >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
        >>> matcher = matcher.fit(world, epochs=1, progress=False)
        >>> (found,) = search_images(matcher, world.texts[:1], world, k=8)
        >>> [candidate.rank for candidate in found], sum(c.relevant for c in found)
        ([1, 2, 3, 4, 5, 6, 7, 8], 1)
    """
    encoded = matcher.encode_images(dataset)
    scores = matcher.score(encoded, texts).t()  # [num_texts, num_images]
    images_of: dict[str, set[int]] = {}
    for text, image in zip(dataset.texts, dataset.image_of_text.tolist(), strict=True):
        images_of.setdefault(text.caption, set()).add(image)
    first = scores[0].argsort(descending=True, stable=True).argsort() + 1
    found = []
    for number, text in enumerate(texts):
        relevant = images_of.get(text.caption)
        previous = first if number and relevant is None else None
        found.append(best_of(scores[number], encoded.ids, k, relevant, previous))
    return found


def search_texts(
    matcher: SceneGraphMatcher,
    images: Sequence[int],
    dataset: SceneGraphDataset,
    k: int = 5,
) -> list[list[Candidate]]:
    """The best texts of some images of a dataset.

    Args:
        matcher (SceneGraphMatcher): A trained matcher.
        images (list of int): Positions of the images.
        dataset (SceneGraphDataset): Texts to search, and images.
        k (int, optional): Number of answers to each. (default: :obj:`5`)

    Returns:
        The answers to each image, see :func:`best_of`; the best text of its own comes last where
        none is among the first ``k``.
    """
    scores = matcher.score(dataset.select_images(images), dataset)  # [num_images, num_texts]
    found = []
    for number, image in enumerate(images):
        relevant = (dataset.image_of_text == image).nonzero()[:, 0].tolist()
        found.append(best_of(scores[number], dataset.text_ids, k, set(relevant)))
    return found


def search_similar(
    matcher: SceneGraphMatcher,
    images: Sequence[ImageRecord],
    dataset: SceneGraphDataset,
    k: int = 5,
) -> list[list[Candidate]]:
    """The images that are most like some images, without the images themselves.

    Args:
        matcher (SceneGraphMatcher): A trained matcher.
        images (list of ImageRecord): Queries; an image of the dataset is known by its id.
        dataset (SceneGraphDataset): Images to search.
        k (int, optional): Number of answers to each. (default: :obj:`5`)
    """
    encoded = matcher.encode_images(dataset)
    row_of = {id: row for row, id in enumerate(encoded.ids)}
    found = []
    for image in images:
        own = row_of.get(image.id)
        query = matcher.encode_images(image if own is None else dataset.select_images([own]))
        ranked = matcher.search_similar(query, encoded, k + 1)
        others = [one for one in ranked if one.index != own][:k]
        found.append([replace(one, rank=place) for place, one in enumerate(others, 1)])
    return found


def graph_phrases(text: TextRecord) -> list[str]:
    """The graph of a text in words: its objects with their attributes, then its triplets.

    Args:
        text (TextRecord): A text with its graph.

    Example:
        >>> from pyg_sgm.text import parse
        >>> graph_phrases(parse("a young man rides a horse").to_record())
        ['young man', 'horse', 'man ride horse']
    """
    described = [
        " ".join([*(label for owner, label in text.attributes if owner == i), name])
        for i, name in enumerate(text.objects)
    ]
    triplets = [f"{text.objects[s]} {phrase} {text.objects[o]}" for s, phrase, o in text.relations]
    return [*described, *triplets]
