"""Records that cannot be used: left out and reported, or an error."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyg_sgm.io import counted

_LISTED = 20  # ids in a warning


@dataclass(frozen=True)
class SkippedRecord:
    """A record of a file that was left out.

    Args:
        id (str): Name of the image or text, or where the record is.
        reason (str): Why it cannot be used; names file, record and field.
    """

    id: str
    reason: str


class SkippedRecords:
    """Collects the records of a dataset that cannot be used.

    Args:
        strict (bool): Whether the first of them is an error.
    """

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.records: list[SkippedRecord] = []

    @contextmanager
    def record(self, id: str) -> Iterator[None]:
        """Leaves out a record if the block raises a ValueError, or lacks a file of its own."""
        try:
            yield
        except (ValueError, FileNotFoundError) as error:
            if self.strict:
                raise
            self.records.append(SkippedRecord(id, str(error)))

    def report(self, path: str | os.PathLike[str], used: int) -> None:
        """Warns once of all of them.

        Args:
            path (str or PathLike): What was read.
            used (int): How many records can be used.

        Raises:
            ValueError: If none can.
        """
        if not used:
            reason = f"no record can be used: {self.records[0].reason}" if self.records else "empty"
            raise ValueError(f"{path}: {reason}")
        if not self.records:
            return
        first = self.records[0].reason
        ids = ", ".join(repr(record.id) for record in self.records[:_LISTED])
        more = f" and {len(self.records) - _LISTED} more" if len(self.records) > _LISTED else ""
        warnings.warn(
            f"{path}: {counted(len(self.records), 'record')} that cannot be used left out: "
            f"{ids}{more}; the first: {first}",
            stacklevel=3,
        )
