"""What a search answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Hit:
    """One image that a search found.

    Args:
        id (str): Name of the image.
        score (float): Score of the query with it.
        rank (int): Place among all images, from 1.
        path (str, optional): File of its pixels, where it is known. (default: :obj:`None`)
        levels (dict, optional): Contributions to the score by level, which add up to it. (default:
            none)
        missing (list of str, optional): Phrases of the query that nothing in the image matches.
            (default: none)
        metadata (dict, optional): What the image was added with. (default: none)
        probability (float, optional): Chance that image and query belong together, where the run
            has a calibration. (default: :obj:`None`)
    """

    id: str
    score: float
    rank: int
    path: str | None = None
    levels: Mapping[str, float] = field(default_factory=dict)
    missing: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    probability: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it, fit for JSON where the metadata are."""
        return asdict(self)


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query.

    Args:
        hits (list of Hit): The best images, best first; equal scores in the order in which the
            images were added.
        certified (bool): Whether bounds prove these to be the best by the full score. Models
            without bounds, such as HOAD, say no: all their images are scored, whatever they say.
        num_scored (int): Images whose full score was computed.
        num_images (int): Images that were searched, those that pass the filter.
    """

    hits: Sequence[Hit]
    certified: bool
    num_scored: int
    num_images: int

    def to_dict(self) -> dict[str, Any]:
        """All of it, fit for JSON where the metadata are."""
        return {
            "certified": self.certified,
            "num_scored": self.num_scored,
            "num_images": self.num_images,
            "hits": [hit.to_dict() for hit in self.hits],
        }


@dataclass(frozen=True)
class Added:
    """What :meth:`SceneGraphIndex.add` did.

    Args:
        added (int): Images that are new.
        replaced (int): Images that were there with other content or metadata.
        unchanged (int): Images that were there as they are.
        skipped (dict): Why images could not be read, by their ids.
    """

    added: int
    replaced: int
    unchanged: int
    skipped: Mapping[str, str]
