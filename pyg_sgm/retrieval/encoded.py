"""Images and texts after a model has encoded them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from pyg_sgm.models import Encoding
from pyg_sgm.models.arrays import encoding_of_arrays
from pyg_sgm.models.base import encoding_types
from pyg_sgm.retrieval.encoded_files import read_arrays, write_arrays

if TYPE_CHECKING:
    from pyg_sgm.retrieval.scoring import Scorer


@dataclass(frozen=True)
class EncodedImages:
    """Images after :meth:`SceneGraphMatcher.encode_images`, in the order they were given.

    Args:
        ids (list of str): Name of each image.
        encoding (Encoding): What the model makes of those whose graphs are known.
        known (Tensor): Their positions among all, ``[num_known]``.
        fingerprint (str): What tells the model apart from others.
    """

    ids: Sequence[str]
    encoding: Encoding
    known: Tensor
    fingerprint: str

    def __len__(self) -> int:
        return len(self.ids)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a file, whole or not at all.

        Args:
            path (str or PathLike): ``.safetensors`` or ``.npz``, whose arrays are the fields of the
                encoding (``objects``) and, where an image has several rows, their boundaries
                (``objects.ptr``); or ``.parquet``, with a row of lists for each image whose graph
                is known (needs pyarrow).

        Raises:
            ValueError: If the name has another ending.
        """
        write_arrays(path, self.ids, self.encoding, self.known, self.fingerprint)

    @classmethod
    def load(cls, path: str | os.PathLike[str], matcher: Scorer) -> EncodedImages:
        """Reads what :meth:`save` or :meth:`SceneGraphIndex.export` wrote, or another program in
        the same form.

        Args:
            path (str or PathLike): The file.
            matcher (SceneGraphMatcher): The matcher that has encoded the images.

        Raises:
            ValueError: Naming file and field, if it is cut short or not such a file, or if another
                model has encoded the images.

        Example:
            >>> from pyg_sgm import SceneGraphMatcher
            >>> from pyg_sgm.datasets import SceneWorld
            >>> world = SceneWorld("train", num_images=8, captions_per_image=2)
            >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
            >>> matcher = matcher.fit(world, epochs=1, progress=False)
            >>> images = matcher.encode_images(world)
            >>> images.save(getfixture("tmp_path") / "world.npz")
            >>> again = EncodedImages.load(getfixture("tmp_path") / "world.npz", matcher)
            >>> torch.equal(matcher.score(again, world), matcher.score(images, world))
            True
        """
        model = matcher.saved.model
        kind, _ = encoding_types(model)
        ids, arrays, fingerprint = read_arrays(path, kind)
        if fingerprint != matcher.fingerprint:
            raise ValueError(
                f"{os.fspath(path)}: fingerprint: these images were encoded by another model"
            )
        known = arrays.pop("known", torch.arange(len(ids)))
        encoding = encoding_of_arrays(arrays, kind, os.fspath(path))
        like = next(model.parameters())
        found = cls(ids, encoding.to(like.device).to(like.dtype), known, fingerprint)
        right = known.dim() == 1 and len(known) == len(encoding) and not known.is_floating_point()
        if not right or not (known >= 0).all() or not (known < len(ids)).all():
            raise ValueError(
                f"{os.fspath(path)}: {len(encoding)} encodings for {len(ids)} images do not fit"
            )
        return found


@dataclass(frozen=True)
class EncodedTexts:
    """Texts after :meth:`SceneGraphMatcher.encode_texts`, in the order they were given.

    Args:
        ids (list of str): Name of each text.
        encoding (Encoding): What the model makes of them.
        fingerprint (str): What tells the model apart from others.
    """

    ids: Sequence[str]
    encoding: Encoding
    fingerprint: str

    def __len__(self) -> int:
        return len(self.ids)


Encoded = TypeVar("Encoded", EncodedImages, EncodedTexts)


def check_same_model(encoded: EncodedImages | EncodedTexts, fingerprint: str) -> None:
    """Raises a ValueError unless something was encoded by the model of a fingerprint."""
    if encoded.fingerprint != fingerprint:
        what = "images" if isinstance(encoded, EncodedImages) else "texts"
        raise ValueError(f"these {what} were encoded by another model: encode them with this one")


def one_query(encoded: Encoded, name: str) -> Encoded:
    """The query itself, if it is one image or text.

    Raises:
        ValueError: If it is none or several.
    """
    if len(encoded) != 1:
        raise ValueError(f"expected one {name} as the query, got {len(encoded)}")
    return encoded
