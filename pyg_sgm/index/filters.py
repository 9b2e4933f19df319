"""Conditions on metadata in SQL, without a way to what nobody may ask for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

# What a condition is made of, so that what stands in a string is not taken for a name.
_TOKEN = re.compile(
    r"""(?P<string>'(?:[^']|'')*')|(?P<quoted>"[^"]*"|`[^`]*`)|(?P<name>[^\W\d]\w*)"""
    r"""|(?P<other>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[\s()<>=!,.%*/+-]|\[|\])"""
)
MOST = 10_000  # characters


def check_filter(where: str, fields: Mapping[str, str], hidden: Collection[str]) -> None:
    """Checks that a condition reads no hidden column.

    Args:
        where (str): A condition in SQL.
        fields (dict): Types of the columns that it may read, by name, for messages.
        hidden (list of str): Columns that it may not.

    Raises:
        ValueError: If it does, or has what is no part of a condition.

    Example:
        >>> check_filter("year > 2020 AND place = 'path'", {"year": "int64"}, ["path"])
        >>> check_filter("path LIKE '/home%'", {"year": "int64"}, ["path"])
        Traceback (most recent call last):
        ValueError: filter "path LIKE '/home%'": there is no column 'path'; known: year (int64)
    """
    said = where if len(where) <= 200 else where[:200] + "..."
    known = ", ".join(f"{name} ({kind})" for name, kind in fields.items()) or "none"
    if len(where) > MOST:
        raise ValueError(f"filter {said!r}: longer than {MOST} characters")
    place = 0
    while place < len(where):
        token = _TOKEN.match(where, place)
        if token is None or where.startswith(("--", "/*"), place):
            raise ValueError(f"filter {said!r}: {where[place : place + 10]!r} is no part of it")
        name = token["quoted"][1:-1] if token["quoted"] else token["name"] or ""
        if name.lower() in hidden or name.startswith("_"):
            raise ValueError(f"filter {said!r}: there is no column {name!r}; known: {known}")
        place = token.end()
