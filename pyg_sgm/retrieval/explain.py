"""Explanations of one image with one text, in their own words."""

from __future__ import annotations

from typing import Any

from pyg_sgm.data import GraphCollection, ImageRecord, TextRecord, Vocabularies
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.evaluation import encode_images, encode_texts
from pyg_sgm.evaluation.encode import evaluating
from pyg_sgm.models import Matcher
from pyg_sgm.models.explanation import Attention, Explanation
from pyg_sgm.text import parse


def explain(
    model: Matcher,
    image: tuple[GraphCollection, ImageRecord],
    text: tuple[GraphCollection, TextRecord],
) -> Explanation | Attention:
    """What a model tells of the score of one image with one text.

    Args:
        model: Any matcher; see :meth:`pyg_sgm.models.Matcher.explain`.
        image: One graph, and the same in strings; see :func:`readable_image`.
        text: One graph, and the same in strings; see :func:`readable_text`.
    """
    (images, image_record), (texts, record) = image, text
    encoded = encode_images(model, images), encode_texts(model, texts)
    with evaluating(model):
        return model.explain(*encoded, image_record, record)


def readable_image(image: Any, graphs: GraphCollection, vocabularies: Vocabularies) -> ImageRecord:
    """The one image in strings: as the user gave it, else from its graph.

    Raises:
        ValueError: If there is not exactly one.
    """
    _check_one(graphs, "image")
    if isinstance(image, SceneGraphDataset):
        return image.images[0]
    if isinstance(image, (list, tuple)):
        image = image[0]
    if isinstance(image, ImageRecord):
        return image
    graph = graphs.batch()
    ends = _ends(graph)
    predicates = [vocabularies.predicates.word(i) for i in graph["relation"].label.tolist()]
    boxes = graph["object"].get("box")
    size = (float(graph.width[0]), float(graph.height[0])) if "width" in graph else None
    return ImageRecord(
        graphs.ids[0],
        [vocabularies.objects.word(i) for i in graph["object"].label.tolist()],
        None if boxes is None else boxes.numpy(),
        [(s, predicate, o) for predicate, (s, o) in zip(predicates, ends, strict=True)],
        size=size,
    )


def readable_text(text: Any, graphs: GraphCollection, vocabularies: Vocabularies) -> TextRecord:
    """The one text in strings: as the user gave it, else from its graph.

    Raises:
        ValueError: If there is not exactly one.
    """
    _check_one(graphs, "text")
    if isinstance(text, SceneGraphDataset):
        return text.texts[0]
    if isinstance(text, (list, tuple)):
        text = text[0]
    if isinstance(text, str):
        return parse(text).to_record()
    if isinstance(text, TextRecord):
        return text
    graph, known = graphs.batch(), vocabularies.words
    words = [known.word(i) for i in graph["word"].token.tolist()]
    phrases = {
        node: [
            " ".join(known.word(i) for i in part.tolist())
            for part in graph[node].token.split(graph[node].length.tolist())
        ]
        for node in ("object", "relation")
    }
    relations = [(s, p, o) for p, (s, o) in zip(phrases["relation"], _ends(graph), strict=True)]
    return TextRecord(graphs.ids[0], " ".join(words), words, phrases["object"], (), relations)


def _check_one(graphs: GraphCollection, name: str) -> None:
    if len(graphs) != 1:
        raise ValueError(f"expected one {name}, got {len(graphs)}")


def _ends(graph: Any) -> list[tuple[int, int]]:
    subject = graph["object", "subject_of", "relation"].edge_index[0].tolist()
    target = graph["relation", "has_object", "object"].edge_index[1].tolist()
    return list(zip(subject, target, strict=True))
