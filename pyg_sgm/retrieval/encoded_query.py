"""Queries as a model scores them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data import GraphCollection, TextRecord, node_spans
from pyg_sgm.evaluation import score
from pyg_sgm.models import Encoding, Matcher
from pyg_sgm.ops import Packed
from pyg_sgm.retrieval.encoded import EncodedImages, EncodedTexts, one_query
from pyg_sgm.retrieval.query import Query, QueryPart, word_forms
from pyg_sgm.text import parse_texts

if TYPE_CHECKING:
    from pyg_sgm.retrieval.scoring import Scorer


@dataclass(frozen=True)
class EncodedQuery:
    """A query after :func:`encode_query`.

    Args:
        parts (tuple): Weight and encoding of every part, one text (or an image in its place) each:
            positive weights, which add up to one, for what is wanted, negative ones for what must
            not be there.
    """

    parts: tuple[tuple[float, EncodedTexts], ...]

    def contributions(self, scores: Tensor) -> Tensor:
        r"""What every part adds to the score of images, :math:`w s` of one that is wanted and
        :math:`w \max(0, s)` of an excluded one; the sum over the last dimension is the score.

        Args:
            scores (Tensor): Scores :math:`s` of images with the parts, ``[..., num_parts]``.

        Example:
            >>> query = EncodedQuery(((0.5, None), (0.5, None), (-1.0, None)))
            >>> query.contributions(torch.tensor([[1.0, -1.0, 0.2], [1.0, 0.0, -3.0]]))
            tensor([[ 0.5000, -0.5000, -0.2000],
                    [ 0.5000,  0.0000, -0.0000]])
        """
        weights = torch.tensor([w for w, _ in self.parts], dtype=scores.dtype, device=scores.device)
        return weights * torch.where(weights < 0, scores.clamp(min=0), scores)


def encode_query(
    matcher: Scorer,
    query: QueryPart | Sequence[QueryPart] | EncodedQuery | EncodedTexts | GraphCollection,
) -> EncodedQuery:
    """The parts of one query, encoded.

    Args:
        matcher (Scorer): A trained matcher.
        query (Query): The query, what :meth:`Query.of` takes, one text as a graph or encoded, or
            an encoded query, which is given back.

    Raises:
        ValueError: If the query is none, an image of it cannot be read or was encoded by another
            model, or it has weights and the model has none.
    """
    if isinstance(query, EncodedQuery):
        return query
    if _is_text(query):
        return EncodedQuery(((1.0, one_query(matcher.encode_texts(query), "text")),))
    return encode_queries(matcher, [query])[0]


def encode_queries(
    matcher: Scorer, queries: Sequence[QueryPart | Sequence[QueryPart]]
) -> list[EncodedQuery]:
    """The parts of several queries; all texts are encoded together.

    Args:
        matcher (Scorer): A trained matcher.
        queries (list of Query): The queries, or what :meth:`Query.of` takes.

    Raises:
        ValueError: As :func:`encode_query`.

    Example:
        >>> from pyg_sgm import SceneGraphMatcher
        >>> from pyg_sgm.datasets import SceneWorld
        >>> world = SceneWorld("train", num_images=8, captions_per_image=2)
        >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
        >>> matcher = matcher.fit(world, epochs=1, progress=False)
        >>> query, = encode_queries(matcher, ["a man without a hat"])
        >>> [weight for weight, _ in query.parts]
        [1.0, -1.0]
    """
    asked = [Query.of(query) for query in queries]
    records = [text for query in asked for text in (*query.texts, *query.exclude)]
    plain = iter(parse_texts([text for text in records if not text.has_graph]))
    records = [text if text.has_graph else next(plain) for text in records]
    texts = zip(_one_by_one(matcher, records), records, strict=True)
    found = []
    for query in asked:
        wanted = [
            _weighed(matcher, encoded, record, query.weights)
            for encoded, record in islice(texts, len(query.texts))
        ]
        wanted += [as_text(matcher.encode_images(image)) for image in query.images]
        excluded = [encoded for encoded, _ in islice(texts, len(query.exclude))]
        parts = [(1 / len(wanted), part) for part in wanted] + [(-1.0, part) for part in excluded]
        found.append(EncodedQuery(tuple(parts)))
    return found


def as_text(image: EncodedImages) -> EncodedTexts:
    """One encoded image in the place of a text, since models put both into one space.

    Args:
        image (EncodedImages): One image.

    Raises:
        ValueError: If it is none or several.
    """
    query = one_query(image, "image")
    return EncodedTexts(query.ids, query.encoding, query.fingerprint)


def check_encoded(matcher: Scorer, query: EncodedQuery) -> None:
    """Raises a ValueError if a query was encoded by another model.

    Args:
        matcher (Scorer): A trained matcher.
        query (EncodedQuery): The query.
    """
    for _, part in query.parts:
        matcher.encode_texts(part)  # which refuses those of another model


def score_query(matcher: Scorer, images: EncodedImages, query: EncodedQuery) -> Tensor:
    """Scores of images, ``[num_images]``, on the CPU; minus infinity for those that cannot be read.

    Args:
        matcher (Scorer): A trained matcher.
        images (EncodedImages): The images.
        query (EncodedQuery): The query.

    Raises:
        ValueError: If they were encoded by another model, or a score is NaN.
    """
    check_encoded(matcher, query)
    known = matcher.encode_images(images)
    parts = part_scores(matcher.saved.model, known.encoding, query)
    scores = torch.full((len(known),), -torch.inf)
    scores[known.known] = query.contributions(parts).sum(dim=1)
    return scores


def part_scores(model: Matcher, image: Encoding, query: EncodedQuery) -> Tensor:
    """Scores of images with the parts of a query, ``[num_images, num_parts]``, on the CPU. Those of
    the excluded parts are without what a :class:`~pyg_sgm.models.QueryBank` takes off, which is of
    use among answers, and would let a match cost less.

    Args:
        model (Matcher): A trained model.
        image (Encoding): Encoded images.
        query (EncodedQuery): The query.

    Raises:
        ValueError: If a score is NaN.
    """
    columns = []
    for weight, part in query.parts:
        column = score(model, image, part.encoding)
        if weight < 0 and image.hubness is not None and part.encoding.hubness is not None:
            column += (image.hubness[:, None] + part.encoding.hubness).cpu()
        columns.append(column)
    return torch.cat(columns, dim=1)


def _is_text(query: object) -> TypeGuard[EncodedTexts | GraphCollection | HeteroData]:
    """Whether a query is a text as tensors."""
    if isinstance(query, HeteroData):
        return "word" in query.node_types
    return isinstance(query, (EncodedTexts, GraphCollection))


def _one_by_one(matcher: Scorer, records: Sequence[TextRecord]) -> list[EncodedTexts]:
    if not records:
        return []
    all = matcher.encode_texts(records)
    return [
        EncodedTexts([id], all.encoding.select(torch.tensor([row])), all.fingerprint)
        for row, id in enumerate(all.ids)
    ]


def _weighed(
    matcher: Scorer,
    encoded: EncodedTexts,
    text: TextRecord,
    weights: Mapping[str, float],
) -> EncodedTexts:
    """One text with the factors of its words; a triplet has the product of those of its words."""
    if not weights:
        return encoded
    words = [_factor(word, weights) for word in text.words]
    nodes = {
        node: [math.prod(words[at] for at in span) for span in spans]
        for node, spans in node_spans(text).items()
    }
    objects, predicates = nodes["object"], nodes["relation"]
    triplets = [
        objects[s] * predicate * objects[o]
        for (s, _, o), predicate in zip(text.relations, predicates, strict=True)
    ]
    model = matcher.model
    assert model is not None  # it has encoded the text
    like = next(model.parameters())
    weighed = model.weigh(encoded.encoding, _packed(words, like), _packed(triplets, like))
    return EncodedTexts(encoded.ids, weighed, encoded.fingerprint)


def _factor(word: str, weights: Mapping[str, float]) -> float:
    return math.prod(weights.get(form, 1.0) for form in word_forms(word))


def _packed(factors: Sequence[float], like: Tensor) -> Packed:
    """Factors of the nodes of one graph."""
    x = torch.tensor(factors, dtype=like.dtype, device=like.device)
    return Packed(x, torch.tensor([0, len(factors)], device=like.device))
