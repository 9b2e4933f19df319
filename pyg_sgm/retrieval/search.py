"""The best answers to queries, with what they are told apart by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.datasets import SceneGraphDataset

if TYPE_CHECKING:
    from pyg_sgm.retrieval.matcher import SceneGraphMatcher


@dataclass(frozen=True)
class Answer:
    """One answer to a query.

    Args:
        record: The image, or the text.
        rank: Its place, from 1.
        score: Score of the pair.
        right: Whether it belongs to the query.
        before: Its place among the answers to the first query; :obj:`None` for the first, and for
            queries that are not compared with it.
    """

    record: ImageRecord | TextRecord
    rank: int
    score: float
    right: bool
    before: int | None = None


@dataclass(frozen=True)
class Answered:
    """A query with its best answers.

    Args:
        query: A text, then answers are images; or an image, then answers are texts.
        answers: Best first.
        truth: Place of the best answer that belongs to the query, from 1; :obj:`None` if the data
            do not say what does.
    """

    query: ImageRecord | TextRecord
    answers: list[Answer]
    truth: int | None


def answer_texts(
    matcher: SceneGraphMatcher, dataset: SceneGraphDataset, texts: Sequence[TextRecord], k: int = 5
) -> list[Answered]:
    """The best images of every text.

    The image of a text that is a caption of the dataset is known. A text that is none is compared
    with the first one: what an edit moves up is what the matcher read in it.

    Args:
        matcher: A trained matcher.
        dataset: Images to search, and captions.
        texts: Queries, with graphs.
        k: Number of answers. (default: ``5``)

    Example:
        >>> from pyg_sgm.retrieval import SceneGraphMatcher
        >>> from pyg_sgm.datasets import SceneWorld
        >>> from pyg_sgm.training import Recipe
        >>> world = SceneWorld("train", num_images=8, captions_per_image=2)
        >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
        >>> matcher = matcher.fit(world, recipe=Recipe(epochs=1), progress=False)
        >>> (found,) = answer_texts(matcher, world, world.texts[:1], k=3)
        >>> [answer.rank for answer in found.answers], 1 <= found.truth <= 8
        ([1, 2, 3], True)
    """
    scores = matcher.score(dataset, list(texts)).t()  # [num_texts, num_images]
    places = _places(scores)
    images_of: dict[str, set[int]] = {}
    for text, image in zip(dataset.texts, dataset.image_of_text.tolist(), strict=True):
        images_of.setdefault(text.caption, set()).add(image)
    found = []
    for number, text in enumerate(texts):
        right = images_of.get(text.caption, set())
        before = places[0] if number and not right else None
        best = _best(dataset.images, places[number], scores[number], right, before, k)
        found.append(Answered(text, best, _first(places[number], right)))
    return found


def answer_images(
    matcher: SceneGraphMatcher, dataset: SceneGraphDataset, images: Sequence[int], k: int = 5
) -> list[Answered]:
    """The best texts of every image.

    Args:
        matcher: A trained matcher.
        dataset: Texts to search, with graphs, and images.
        images: Positions of the images.
        k: Number of answers. (default: ``5``)
    """
    scores = matcher.score(dataset.select_images(images), dataset)  # [num_images, num_texts]
    places = _places(scores)
    found = []
    for number, image in enumerate(images):
        right = set((dataset.image_of_text == image).nonzero()[:, 0].tolist())
        best = _best(dataset.texts, places[number], scores[number], right, None, k)
        found.append(Answered(dataset.images[image], best, _first(places[number], right)))
    return found


def graph_phrases(text: TextRecord) -> list[str]:
    """The graph of a text in words: its objects with their attributes, then its triplets.

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


def _places(scores: Tensor) -> Tensor:
    """Place of every answer to every query, from 1; equal scores keep their order."""
    if scores.isnan().any():
        raise ValueError("a score is NaN")
    order = scores.argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1) + 1


def _best(
    records: Sequence[ImageRecord] | Sequence[TextRecord],
    places: Tensor,
    scores: Tensor,
    right: set[int],
    before: Tensor | None,
    k: int,
) -> list[Answer]:
    """The answers to one query, of the places and scores of all records."""
    return [
        Answer(
            records[i],
            int(places[i]),
            float(scores[i]),
            i in right,
            None if before is None else int(before[i]),
        )
        for i in places.argsort()[:k].tolist()
    ]


def _first(places: Tensor, right: set[int]) -> int | None:
    return min((int(places[i]) for i in right), default=None)
