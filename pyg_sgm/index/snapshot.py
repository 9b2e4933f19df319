"""One version of the images of an index, as a search reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pyg_sgm.index.filters import check_filter
from pyg_sgm.index.header import Header
from pyg_sgm.index.hits import Hit
from pyg_sgm.index.rows import OWN, PREFIX, SHOWN, encoding_of, from_text
from pyg_sgm.index.store import Rows, Table
from pyg_sgm.models import Encoding


@dataclass(frozen=True)
class Snapshot:
    """The images of a version, in the order in which they were added.

    Args:
        version (int): The version.
        rows (Rows, optional): Its rows; :obj:`None`, if there never was one.
        ids (list of str): Names.
        keys (list of int): Keys of their rows.
        header (Header): What made them.
    """

    version: int
    rows: Rows | None
    ids: list[str]
    keys: list[int]
    header: Header

    @classmethod
    def read(cls, table: Table, header: Header) -> Snapshot:
        """The newest version of a table.

        Args:
            table (Table): The table.
            header (Header): What made the rows.
        """
        version = table.version()
        if not version:
            return cls(0, None, [], [], header)
        rows = table.at(version)
        found = rows.read(["id", "position"]).sort_by("position")
        ids = [from_text(id) for id in found["id"].to_pylist()]
        return cls(version, rows, ids, found["_rowid"].to_pylist(), header)

    @cached_property
    def place(self) -> dict[str, int]:
        """Position of every id."""
        return {id: place for place, id in enumerate(self.ids)}

    @cached_property
    def metadata(self) -> dict[str, str]:
        """Types of the metadata by their names."""
        if self.rows is None:
            return {}
        return {
            field.name: str(field.type)
            for field in self.rows.schema()
            if field.name not in OWN and not field.name.startswith(PREFIX)
        }

    def matching(self, where: str | None) -> Tensor:
        """Positions of the images that meet a condition, ``[num_matching]``.

        Args:
            where (str, optional): The condition; :obj:`None` for all.

        Raises:
            ValueError: If it is none.
        """
        if where is None or self.rows is None:
            return torch.arange(len(self.ids))
        hidden = [name for name in OWN if name not in SHOWN]
        hidden += [field.column for field in self.header.fields]
        check_filter(where, self.metadata, hidden)
        keys = set(self.rows.read(["id"], where)["_rowid"].to_pylist())
        return torch.tensor([i for i, key in enumerate(self.keys) if key in keys], dtype=torch.long)

    def encoding(self, places: Tensor, kind: type[Encoding]) -> Encoding:
        """Encodings of some images, in float32.

        Args:
            places (Tensor): Their positions, ``[num_images]``, at least one.
            kind (type): Class of the encoding.
        """
        assert self.rows is not None
        columns = [field.column for field in self.header.fields]
        table = self.rows.take([self.keys[i] for i in places.tolist()], columns)
        return encoding_of(table, self.header.fields, kind).to(torch.float32)

    def hits(self, places: Tensor, scores: Tensor, levels: Sequence[dict[str, float]]) -> list[Hit]:
        """Images as answers.

        Args:
            places (Tensor): Their positions, best first, ``[num_hits]``.
            scores (Tensor): Their scores, ``[num_hits]``.
            levels (list of dict): Contributions to each score.
        """
        if self.rows is None or not len(places):
            return []
        names = list(self.metadata)
        rows = self.rows.take([self.keys[i] for i in places.tolist()], ["id", "path", *names])
        return [
            Hit(
                from_text(row["id"]),
                score,
                rank,
                None if row["path"] is None else from_text(row["path"]),
                parts,
                metadata={name: row[name] for name in names if row[name] is not None},
            )
            for rank, (row, score, parts) in enumerate(
                zip(rows.to_pylist(), scores.tolist(), levels, strict=True), start=1
            )
        ]
