"""Explanations of one image with one text, in their own words."""

from __future__ import annotations

from torch_geometric.data import HeteroData

from pyg_sgm.data import ImageRecord, TextRecord, Vocabularies
from pyg_sgm.evaluation import encode_images, encode_texts
from pyg_sgm.evaluation.encode import evaluating
from pyg_sgm.models import Matcher
from pyg_sgm.models.explanation import Attention, Explanation
from pyg_sgm.retrieval.inputs import ImageGraphs, TextGraphs


def explain_pair(
    model: Matcher, image: ImageGraphs, text: TextGraphs, vocabularies: Vocabularies
) -> Explanation | Attention:
    """What a model tells of the score of one image with one text.

    Args:
        model (Matcher): Any matcher; see :meth:`pyg_sgm.models.Matcher.explain`.
        image (ImageGraphs): One image.
        text (TextGraphs): One text.
        vocabularies (Vocabularies): Those of the model.

    Raises:
        ValueError: If there is not one of each.
    """
    records = image_in_strings(image, vocabularies), text_in_strings(text, vocabularies)
    encoded = encode_images(model, image.graphs), encode_texts(model, text.graphs)
    with evaluating(model) as model:
        return model.explain(*encoded, *records)


def image_in_strings(image: ImageGraphs, vocabularies: Vocabularies) -> ImageRecord:
    """The one image in strings: as the user gave it, else from its graph.

    Args:
        image (ImageGraphs): One image.
        vocabularies (Vocabularies): Those of its labels.

    Raises:
        ValueError: If there is not exactly one.
    """
    if len(image.ids) != 1:
        raise ValueError(f"expected one image, got {len(image.ids)}")
    if image.records is not None:
        return image.records[0]
    graph = image.graphs.batch()
    predicates = [vocabularies.predicates.word(i) for i in graph["relation"].label.tolist()]
    attributes = [vocabularies.attributes.word(i) for i in graph["attribute"].label.tolist()]
    boxes = graph["object"].get("box")
    return ImageRecord(
        image.ids[0],
        [vocabularies.objects.word(i) for i in graph["object"].label.tolist()],
        None if boxes is None else boxes.numpy(),
        [(s, label, o) for label, (s, o) in zip(predicates, _ends(graph), strict=True)],
        list(zip(_owners(graph), attributes, strict=True)),
        size=(float(graph.width[0]), float(graph.height[0])) if "width" in graph else None,
    )


def text_in_strings(text: TextGraphs, vocabularies: Vocabularies) -> TextRecord:
    """The one text in strings: as the user gave it, else from its graph.

    Args:
        text (TextGraphs): One text.
        vocabularies (Vocabularies): Those of its words.

    Raises:
        ValueError: If there is not exactly one.
    """
    if len(text.graphs) != 1:
        raise ValueError(f"expected one text, got {len(text.graphs)}")
    if text.records is not None:
        return text.records[0]
    graph, known = text.graphs.batch(), vocabularies.words
    words = [known.word(i) for i in graph["word"].token.tolist()]
    phrases = {
        node: [
            " ".join(known.word(i) for i in part.tolist())
            for part in graph[node].token.split(graph[node].length.tolist())
        ]
        for node in ("object", "relation", "attribute")
    }
    return TextRecord(
        text.graphs.ids[0],
        " ".join(words),
        words,
        phrases["object"],
        list(zip(_owners(graph), phrases["attribute"], strict=True)),
        [(s, label, o) for label, (s, o) in zip(phrases["relation"], _ends(graph), strict=True)],
    )


def _ends(graph: HeteroData) -> list[tuple[int, int]]:
    """Subject and object of every relation."""
    subject = graph["object", "subject_of", "relation"].edge_index[0].tolist()
    target = graph["relation", "has_object", "object"].edge_index[1].tolist()
    return list(zip(subject, target, strict=True))


def _owners(graph: HeteroData) -> list[int]:
    """The object of every attribute."""
    owners: list[int] = graph["attribute", "describes", "object"].edge_index[1].tolist()
    return owners
