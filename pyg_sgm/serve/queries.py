"""Queries that come from outside, and changes of their graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pyg_sgm.data import TextRecord
from pyg_sgm.retrieval import Query
from pyg_sgm.retrieval.query import word_forms
from pyg_sgm.serve import edit as edits
from pyg_sgm.serve.forms import MOST_WORDS, Edit
from pyg_sgm.serve.saying import excluded, said_anew


class Mistake(ValueError):
    """What was asked cannot be answered; the message says why, and names no file."""


def read_queries(values: Sequence[Any]) -> list[Any]:
    """Queries of what came from outside, sentences or the JSON of queries; what is neither stays as
    it is. No file is opened because a query says so.

    Args:
        values (list): The values.

    Raises:
        Mistake: If one is no query, is too long, or names files.
    """
    try:
        read = iter(Query.of_sentences([value for value in values if isinstance(value, str)]))
        queries = [next(read) if isinstance(value, str) else _of_json(value) for value in values]
    except ValueError as error:
        raise Mistake(str(error)) from None
    for query in queries:
        if isinstance(query, Query):
            words = sum(len(text.words) for text in (*query.texts, *query.exclude))
            if words > MOST_WORDS:
                raise Mistake(f"query: {words} words; it may have {MOST_WORDS}")
    return queries


def read_query(value: str | dict[str, Any]) -> Query:
    """One query of what came from outside.

    Args:
        value (str or dict): A sentence, or the JSON of a query.

    Raises:
        Mistake: As :func:`read_queries`.
    """
    query: Query = read_queries([value])[0]
    return query


def _of_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value.get("images"):
        raise ValueError("query: images: a photo is sent, or named by `like`")
    return Query.from_json(value)


def edited(query: Query, edit: Edit) -> Query:
    """A query after one change of its first text, or of its exclusions.

    Args:
        query (Query): The query.
        edit (Edit): The change.

    Raises:
        Mistake: If there is no such node.
    """
    try:
        if edit.do == "allow":
            if edit.index >= len(query.exclude):
                raise ValueError(f"there is no exclusion {edit.index}")
            left = (*query.exclude[: edit.index], *query.exclude[edit.index + 1 :])
            return replace(query, exclude=left)
        text = query.texts[0] if query.texts else said_anew(TextRecord("", "", ()))
        exclude = query.exclude
        if edit.do == "exclude":
            exclude = (*exclude, excluded(text, edit.kind, edit.index))
        text = _changed(text, edit)
        texts = (text, *query.texts[1:])
        if not (text.objects or text.words):
            texts = texts[1:]
        known = {form for one in texts for word in one.words for form in word_forms(word)}
        weights = {word: factor for word, factor in query.weights.items() if word in known}
        return replace(query, texts=texts, exclude=exclude, weights=weights)
    except ValueError as error:
        raise Mistake(str(error)) from None


def _changed(text: TextRecord, edit: Edit) -> TextRecord:
    if edit.do == "swap":
        return edits.swapped(text, edit.index)
    if edit.do in ("remove", "exclude"):
        return edits.removed(text, edit.kind, edit.index)
    if edit.phrase is None:
        raise ValueError(f"{edit.do}: phrase: there must be one")
    if edit.do == "rename":
        return edits.renamed(text, edit.kind, edit.index, edit.phrase)
    if edit.do == "add_object":
        return edits.with_object(text, edit.phrase)
    if edit.do == "add_attribute":
        return edits.with_attribute(text, edit.index, edit.phrase)
    return edits.with_relation(text, edit.index, edit.phrase, edit.target)
