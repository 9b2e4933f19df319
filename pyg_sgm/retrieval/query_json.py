"""Texts of queries as plain values, and back with every field checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from reprlib import repr as short
from typing import Any

from pyg_sgm.data import ImageRecord, TextRecord, text_record
from pyg_sgm.io import is_path
from pyg_sgm.text import graph_record

GRAPH = ("objects", "attributes", "relations")
FIELDS = ("caption", "words", *GRAPH, "spans")


def text_to_json(text: TextRecord) -> dict[str, Any]:
    """A text as plain values; one without a graph is its caption and its words.

    Args:
        text (TextRecord): A text.
    """
    values: dict[str, Any] = {"caption": text.caption, "words": list(text.words)}
    if not text.has_graph:
        return values
    values |= {
        "objects": list(text.objects),
        "attributes": [list(attribute) for attribute in text.attributes],
        "relations": [list(relation) for relation in text.relations],
    }
    if text.spans is not None:
        spans = {node: [list(span) for span in text.spans[node]] for node in text.spans}
        values["spans"] = spans
    return values


def text_from_json(value: Any, where: str) -> str | TextRecord:
    """The text of plain values: a sentence that is still to be parsed, or a graph.

    Args:
        value (str or dict): A sentence; or ``"objects"`` (names), ``"attributes"`` (pairs of object
            and attribute) and ``"relations"`` (triplets), where objects are indices or names.
            Without ``"caption"`` its words are those of its nodes; with it, ``"words"`` and
            ``"spans"`` may say which words are which node's. A caption alone is a sentence;
            with nothing but its words it is a text without a graph.
        where (str): What it is, for messages.

    Raises:
        ValueError: Naming the field, if there is another, or one is not what it should be.
    """
    if isinstance(value, str):
        return value
    values = fields_of(value, FIELDS, where, "a sentence or a graph")
    caption = values.get("caption")
    if caption is not None and not isinstance(caption, str):
        raise ValueError(f"{where}: caption: expected a string, got {short(caption)}")
    for name in GRAPH:
        list_of(values, name, where)
    graph = {name: values[name] for name in GRAPH if name in values}
    if caption is None:
        return graph_record(**graph, id=where)
    if not graph and "words" not in values:
        return caption
    record = text_record(
        values.get("words", caption), **graph, spans=_spans(values, where), id=where
    )
    return replace(record, caption=caption)


def image_to_json(image: object) -> str:
    """The path of an image.

    Args:
        image (any): A path, or a record with a file.

    Raises:
        ValueError: If it is no file.
    """
    if isinstance(image, ImageRecord) and image.file is not None:
        return str(image.file)
    if isinstance(image, (str, os.PathLike)) or is_path(image):
        return str(image)
    raise ValueError(f"query: images: {type(image).__name__} is no file")


def fields_of(
    value: Any, known: tuple[str, ...], where: str, expected: str = "a dict"
) -> Mapping[str, Any]:
    """A dict without other fields than those known.

    Args:
        value (any): What is checked.
        known (tuple of str): Names of the fields.
        where (str): What it is, for messages.
        expected (str, optional): What it should be, for messages. (default: :obj:`"a dict"`)

    Raises:
        ValueError: If it is no dict, or has another field.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected {expected}, got {short(value)}")
    for name in value:
        if name not in known:
            raise ValueError(f"{where}: no field {short(name)}; known: {', '.join(known)}")
    return value


def list_of(values: Mapping[str, Any], name: str, where: str) -> list[Any]:
    """The list in a field, empty if it is not there.

    Args:
        values (dict): What has the field.
        name (str): The field.
        where (str): What it belongs to, for messages.

    Raises:
        ValueError: If it is something else.
    """
    found = values.get(name, [])
    if not isinstance(found, list):
        raise ValueError(f"{where}: {name}: expected a list, got {short(found)}")
    return found


def _spans(values: Mapping[str, Any], where: str) -> Mapping[str, list[list[int]]] | None:
    """Positions of the words of every node, whose values text_record checks."""
    if "spans" not in values:
        return None
    at = f"{where}: spans"
    spans = fields_of(values["spans"], ("object", "attribute", "relation"), at)
    for node in spans:
        for number, span in enumerate(list_of(spans, node, at)):
            if not isinstance(span, list):
                raise ValueError(f"{at}: {node}[{number}]: expected a list, got {short(span)}")
    return spans
