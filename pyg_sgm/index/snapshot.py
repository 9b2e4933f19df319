"""What a search reads: the images of one version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord
from pyg_sgm.index.filters import check_filter
from pyg_sgm.index.header import Header
from pyg_sgm.index.hits import Hit
from pyg_sgm.index.rows import GRAPH, OWN, SHOWN, from_text, is_metadata, record_of
from pyg_sgm.index.segment import Segment, open_segment
from pyg_sgm.index.store import Rows, Table
from pyg_sgm.models import Encoding


@dataclass(frozen=True)
class Snapshot:
    """The images of a version, in the order in which they were added.

    Args:
        header (Header): What made them.
        rows (Rows, optional): Their rows; :obj:`None`, if there never was one.
        ids (list of str): Their names.
        keys (list of int): Keys of their rows.
        positions (Tensor): When they were added, among all, ascending.
        segments (list of tuple): Segments of their encodings, and for each the place of every image
            of it, -1 of one that was removed.
    """

    header: Header
    rows: Rows | None
    ids: list[str]
    keys: list[int]
    positions: Tensor
    segments: list[tuple[Segment, Tensor]]

    @classmethod
    def read(cls, table: Table, header: Header, folder: Path, kind: type[Encoding]) -> Snapshot:
        """The version of a table that a header names.

        Args:
            table (Table): The table.
            header (Header): The header.
            folder (Path): Where segments are.
            kind (type): Class of the encoding.

        Raises:
            FileNotFoundError: If a segment is absent.
            ValueError: If a segment is damaged.
        """
        if not header.version:
            return cls(header, None, [], [], torch.zeros(0, dtype=torch.long), [])
        rows = table.at(header.version)
        found = rows.read(["id", "position"]).sort_by("position")
        ids = [from_text(id) for id in found["id"].to_pylist()]
        positions = torch.tensor(found["position"].to_pylist(), dtype=torch.long)
        segments = []
        for name in header.segments:
            segment = open_segment(folder / name, kind)
            place = torch.searchsorted(positions, segment.positions)
            there = place.clamp(max=max(len(positions) - 1, 0))
            alive = positions[there] == segment.positions if len(positions) else place < 0
            segments.append((segment, torch.where(alive, there, -1)))
        return cls(header, rows, ids, found["_rowid"].to_pylist(), positions, segments)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def place(self) -> dict[str, int]:
        """Place of every id."""
        return {id: place for place, id in enumerate(self.ids)}

    @cached_property
    def metadata(self) -> dict[str, str]:
        """Types of the metadata by their names."""
        if self.rows is None:
            return {}
        return {
            field.name: str(field.type) for field in self.rows.schema() if is_metadata(field.name)
        }

    @cached_property
    def home(self) -> Tensor:
        """Segment and row in it of every image, ``[2, num_images]``."""
        home = torch.full((2, len(self)), -1)
        for number, (_, places) in enumerate(self.segments):
            alive = (places >= 0).nonzero()[:, 0]
            home[0, places[alive]] = number
            home[1, places[alive]] = alive
        return home

    def matching(self, where: str | None) -> Tensor | None:
        """Places of the images that meet a condition, ``[num_matching]``; :obj:`None` for all.

        Args:
            where (str, optional): The condition.

        Raises:
            ValueError: If it is none.
        """
        if where is None or self.rows is None:
            return None
        hidden = [name for name in OWN if name not in SHOWN]
        hidden += [field.column for field in self.header.fields]
        check_filter(where, self.metadata, hidden)
        keys = set(self.rows.read(["id"], where)["_rowid"].to_pylist())
        return torch.tensor([i for i, key in enumerate(self.keys) if key in keys], dtype=torch.long)

    def parts(self, places: Tensor, device: torch.device) -> list[tuple[Tensor, Encoding]]:
        """Encodings of some images in float32, segment by segment.

        Args:
            places (Tensor): Their places, ``[num_images]``.
            device (device): Where the encodings are wanted.

        Returns:
            For each segment that has any: which of ``places`` they are, and their encoding.
        """
        found = []
        number, row = self.home[:, places]
        for n in number.unique().tolist():
            own = (number == n).nonzero()[:, 0]
            encoding = self.segments[n][0].encoding.select(row[own])
            found.append((own, encoding.to(device, torch.float32)))
        return found

    def records(self, places: Tensor) -> list[ImageRecord]:
        """Graphs of some images.

        Args:
            places (Tensor): Their places, ``[num_images]``.
        """
        if self.rows is None or not len(places):
            return []
        keys = [self.keys[i] for i in places.tolist()]
        return [record_of(row) for row in self.rows.take(keys, ["id", "path", *GRAPH]).to_pylist()]

    def hits(self, places: Tensor, scores: Sequence[float]) -> list[Hit]:
        """Images as answers.

        Args:
            places (Tensor): Their places, best first, ``[num_hits]``.
            scores (list of float): Their scores.
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
                metadata={name: row[name] for name in names if row[name] is not None},
            )
            for rank, (row, score) in enumerate(zip(rows.to_pylist(), scores, strict=True), start=1)
        ]
