"""What an index says of itself: what made its rows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyg_sgm.index.rows import Field
from pyg_sgm.io import parse_json
from pyg_sgm.vision.fingerprint import migrated

if TYPE_CHECKING:
    from pyg_sgm.retrieval import SceneGraphMatcher

FORMAT = {"format": "pyg_sgm index", "format_version": 1}
DTYPES = ("float16", "float32")


@dataclass(frozen=True)
class Header:
    """What made the rows of an index.

    Args:
        model (str): Name of the model.
        fingerprint (str): That of its weights, options and vocabularies.
        extractor (dict, optional): What the graphs of photos depend on; :obj:`None`, if the model
            was trained on graphs that came without pixels.
        run (str, optional): Folder or repository that the matcher was opened from, if it is known.
        dtype (str): Type of the vectors in the rows.
        table (str): Name of the table of the rows.
        fields (list of Field): How the encodings are kept; none before the first row.
        version (int): Version of the table that is seen; 0, if nothing is.
        segments (list of str): Names of the segments of its images.
        staged (str, optional): The header that takes the place of this one when all is rebuilt.
    """

    model: str
    fingerprint: str
    extractor: Mapping[str, str] | None
    run: str | None
    dtype: str
    table: str = "images"
    fields: tuple[Field, ...] = ()
    version: int = 0
    segments: tuple[str, ...] = ()
    staged: str | None = None

    def to_text(self) -> str:
        """As it is written."""
        return json.dumps(FORMAT | asdict(self))

    @classmethod
    def of_text(cls, text: str, where: str) -> Header:
        """What was written.

        Args:
            text (str): See :meth:`to_text`.
            where (str): The index, for messages.

        Raises:
            ValueError: If it is of another version, or none of an index.
        """
        found = parse_json(text, f"{where}: header")
        if not isinstance(found, dict) or found.get("format") != FORMAT["format"]:
            raise ValueError(f"{where}: no index of pyg_sgm")
        if found.get("format_version") != FORMAT["format_version"]:
            raise ValueError(
                f"{where}: an index of version {found.get('format_version')!r}, this pyg_sgm reads "
                f"version {FORMAT['format_version']}: update it, or build the index again"
            )
        values: dict[str, Any] = {name: found.get(name) for name in cls.__dataclass_fields__}
        for name in ("model", "fingerprint", "table"):
            if not isinstance(values[name], str):
                raise ValueError(f"{where}: header: {name}: expected a string")
        if values["dtype"] not in DTYPES:
            raise ValueError(f"{where}: header: dtype: {values['dtype']!r}")
        try:
            values["fields"] = tuple(Field(**field) for field in values["fields"])
        except TypeError as error:
            raise ValueError(f"{where}: header: fields: {error}") from error
        names = values["segments"]
        if not isinstance(names, list) or not all(_is_name(name) for name in names):
            raise ValueError(f"{where}: header: segments: expected names, got {names!r}")
        values["segments"] = tuple(names)
        if type(values["version"]) is not int:
            raise ValueError(f"{where}: header: version: expected a number")
        if not isinstance(values["staged"], str | None):
            raise ValueError(f"{where}: header: staged: expected a string")
        return cls(**values)


def header_of(matcher: SceneGraphMatcher, run: str | None, dtype: str) -> Header:
    """The header of what a matcher makes.

    Args:
        matcher (SceneGraphMatcher): A trained matcher.
        run (str, optional): Where it was opened from.
        dtype (str): ``"float16"`` or ``"float32"``.

    Raises:
        ValueError: If there is no such type, or the matcher is not trained.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, got {dtype!r}")
    fingerprint = matcher.fingerprint
    made = None if matcher.made_by is None else migrated(matcher.made_by).get("fingerprint")
    return Header(matcher.name, fingerprint, made, run, dtype)


def _is_name(name: object) -> bool:
    """Whether it is a name of a segment, and no way out of the index."""
    return isinstance(name, str) and name.replace("-", "").isalnum()


def check_same_makers(known: Header, matcher: SceneGraphMatcher, where: str) -> None:
    """Checks that a matcher makes what is in an index.

    Args:
        known (Header): That of the index.
        matcher (SceneGraphMatcher): The matcher.
        where (str): The index, for messages.

    Raises:
        ValueError: Saying in what they differ, and what to do.
    """
    own = header_of(matcher, None, known.dtype)
    if same_makers(known, own):
        return
    run = known.run or "RUN"
    remedy = (
        f"open it with the run it was built with ({run}), or, if that has been trained since, "
        f"`pyg-sgm index rebuild {shlex.quote(where)} --run {shlex.quote(run)}`"
    )
    if (known.model, known.fingerprint) != (own.model, own.fingerprint):
        raise ValueError(
            f"{where}: built with the model {known.model} {known.fingerprint}, not {own.model} "
            f"{own.fingerprint}: {remedy}"
        )
    old, new = dict(known.extractor or {}), dict(own.extractor or {})
    part = next(part for part in old | new if old.get(part) != new.get(part))
    raise ValueError(
        f"{where}: its graphs were made with {part} {old.get(part)!r}, not {new.get(part)!r}: "
        f"{remedy}"
    )


def same_makers(known: Header, own: Header) -> bool:
    """Whether two headers name the same model and extractor.

    Args:
        known (Header): One.
        own (Header): The other.
    """
    return (known.model, known.fingerprint, known.extractor or {}) == (
        own.model,
        own.fingerprint,
        own.extractor or {},
    )
