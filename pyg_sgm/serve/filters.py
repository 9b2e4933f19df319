"""Conditions on metadata as the SQL of the index: names are known ones, values are quoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyg_sgm.serve.forms import Filter


def filter_sql(filters: Sequence[Filter], fields: Mapping[str, str]) -> str | None:
    """All conditions as one, or none.

    Args:
        filters (list of Filter): The conditions.
        fields (dict): What the fields that there are hold, by name, see :func:`kind_of`.

    Raises:
        ValueError: For a field that is not there, or a value of another type.

    Example:
        >>> filter_sql([Filter(field="place", op="=", value="Land's End")], {"place": "string"})
        "place = 'Land''s End'"
    """
    return " AND ".join(_condition(one, fields) for one in filters) or None


def kind_of(type: str) -> str | None:
    """What a field holds, for people: ``"string"``, ``"number"``, ``"boolean"`` or ``"date"``; none
    of what no condition takes.

    Args:
        type (str): As Arrow names it.

    Example:
        >>> kind_of("int64"), kind_of("string"), kind_of("list<item: string>")
        ('number', 'string', None)
    """
    if type == "bool":
        return "boolean"
    if type in ("string", "large_string"):
        return "string"
    if type.startswith(("date", "timestamp")):
        return "date"
    return "number" if type.startswith(("int", "uint", "float", "double", "halffloat")) else None


def _condition(one: Filter, fields: Mapping[str, str]) -> str:
    kind = fields.get(one.field)
    if kind is None:
        raise ValueError(f"no field {one.field!r}; there are {', '.join(fields) or 'none'}")
    is_number = isinstance(one.value, (int, float)) and not isinstance(one.value, bool)
    given = "string" if isinstance(one.value, str) else "number" if is_number else "boolean"
    if kind == "date" and given == "string" and one.op != "contains":
        return f"cast({one.field} as date) {one.op} date '{_day(one)}'"
    if given != kind or (one.op == "contains" and kind != "string"):
        raise ValueError(f"{one.field} {one.op}: expected a {kind}, got {one.value!r}")
    value = one.value
    if isinstance(value, str):
        quoted = "'" + value.replace("'", "''") + "'"
        if one.op == "contains":
            return f"strpos(lower({one.field}), lower({quoted})) > 0"
        return f"{one.field} {one.op} {quoted}"
    return f"{one.field} {one.op} {str(value).lower()}"


def _day(one: Filter) -> date:
    try:
        return date.fromisoformat(str(one.value))
    except ValueError as error:
        raise ValueError(
            f"{one.field} {one.op}: expected a day such as 2024-05-31, got {one.value!r}"
        ) from error
