"""What must not be there, as texts of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import Any, TypeAlias

from pyg_sgm.data import TextRecord
from pyg_sgm.retrieval.query_json import text_from_json
from pyg_sgm.text import ParsedCaption, drop_denied_words, graph_record, parse

#: What must not be there: a sentence such as ``"hat"``, a record, a pair (object, attribute), or a
#: triplet.
Exclusion: TypeAlias = "str | TextRecord | Sequence[str]"
Records: TypeAlias = tuple[TextRecord, ...]


def wanted_and_excluded(parsed: ParsedCaption) -> tuple[Records, Records]:
    """A sentence without what it denies, if anything is left of it, and what it denies. Of "a man
    without a hat" the hat alone is excluded, or photos of men would pay for the man.

    Args:
        parsed (ParsedCaption): A parsed sentence.

    Example:
        >>> wanted, excluded = wanted_and_excluded(parse("a man without a hat"))
        >>> [text.caption for text in wanted], [text.caption for text in excluded]
        (['a man'], ['hat'])
    """
    denied: list[Exclusion] = []
    for names in parsed.exclusions:
        new = [name for name in (names[0], names[-1]) if name not in parsed.objects]
        denied.append(new[0] if len(names) == 3 and len(new) == 1 else names)
    exclude = exclusion_records(denied, "query: exclude")
    wanted = drop_denied_words(parsed)
    return ((wanted.to_record(),) if wanted.objects or not exclude else ()), exclude


def exclusion_records(values: Exclusion | Sequence[Exclusion], where: str) -> Records:
    """Records of what must not be there; "without a hat" excludes the hat.

    Args:
        values (list of Exclusion): What users write, see :meth:`Query.graph`.
        where (str): What it is, for messages.

    Raises:
        ValueError: If it is something else.
    """
    if isinstance(values, (str, TextRecord)):
        values = [values]
    if not isinstance(values, (list, tuple)):
        raise ValueError(f"{where}: expected a list, got {short(values)}")
    return tuple(
        text
        for number, value in enumerate(values)
        for text in _records(value, f"{where}[{number}]")
    )


def _records(value: Exclusion | Mapping[str, Any], where: str) -> Records:
    if isinstance(value, Mapping):
        value = text_from_json(value, where)
    if isinstance(value, TextRecord):
        return (value,)
    if isinstance(value, str):
        parsed = parse(value)
        if not parsed.words:
            raise ValueError(f"{where}: {value!r} has no word")
        texts, exclude = wanted_and_excluded(parsed)
        return exclude or tuple(_bare(text, where) for text in texts)
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{where}: expected a sentence, or names, got {short(value)}")
    if len(value) == 1:
        return _records(value[0], where)
    if len(value) == 2:
        return (graph_record(attributes=[(value[0], value[1])], id=where),)
    if len(value) == 3:
        return (graph_record([(value[0], value[1], value[2])], id=where),)
    raise ValueError(f"{where}: expected one to three names, got {len(value)}")


def _bare(text: TextRecord, where: str) -> TextRecord:
    """What a sentence names, without its articles and the like, which match everything a little."""
    if not text.objects:
        return text
    return graph_record(text.relations, text.attributes, text.objects, where)
