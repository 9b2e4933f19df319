"""Image graphs and text graphs of a dataset, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data.collection import GraphCollection


@dataclass(frozen=True)
class PairBatch:
    """Some texts and the images they belong to, each image once.

    Args:
        image (HeteroData): The union of the image graphs.
        text (HeteroData): The union of the text graphs.
        image_of_text (Tensor): Position in this batch of each text's image, ``[num_texts]``.
        image_index (Tensor): Index in the whole set of each image of this batch, ``[num_images]``.
        edited (HeteroData, optional): The union of the graphs of true texts of these images, then
            of false ones in the same order. (default: :obj:`None`)
        image_of_edit (Tensor, optional): Position in this batch of the image of each true and false
            text, ``[num_edits]``. (default: :obj:`None`)
    """

    image: HeteroData
    text: HeteroData
    image_of_text: Tensor
    image_index: Tensor
    edited: HeteroData | None = None
    image_of_edit: Tensor | None = None

    def to(self, device: torch.device | str) -> "PairBatch":
        """The same batch on another device.

        Args:
            device (device or str): The device.
        """
        # Nothing waits for the copies but what is computed from them.
        return PairBatch(
            self.image.to(device, non_blocking=True),
            self.text.to(device, non_blocking=True),
            self.image_of_text.to(device, non_blocking=True),
            self.image_index.to(device, non_blocking=True),
            None if self.edited is None else self.edited.to(device, non_blocking=True),
            None
            if self.image_of_edit is None
            else self.image_of_edit.to(device, non_blocking=True),
        )


@dataclass(frozen=True)
class EditedTexts:
    """True texts and false ones that differ from them in one thing; its length counts pairs.

    Args:
        texts (GraphCollection): The graphs of the true texts, then of the false ones in the same
            order.
        text (Tensor): Index of the text that was edited, ``[num_edits]``.
        kind (Tensor): Number of the kind of edit, ``[num_edits]``.

    Raises:
        ValueError: If the numbers of texts, indices and kinds do not fit.
    """

    texts: GraphCollection
    text: Tensor
    kind: Tensor

    def __post_init__(self) -> None:
        if not len(self.texts) == 2 * len(self.text) == 2 * len(self.kind):
            raise ValueError(
                f"{len(self.texts)} true and false texts, {len(self.text)} indices of texts, "
                f"{len(self.kind)} kinds"
            )

    def __len__(self) -> int:
        return len(self.text)

    def batch(self, index: Tensor) -> HeteroData:
        """The union of the given true texts, then of their false ones.

        Args:
            index (Tensor): Positions of the pairs.
        """
        return self.texts.batch(torch.cat([index, index + len(self)]))


@dataclass(frozen=True)
class PairedGraphs:
    """The graphs of a dataset and which image each text describes; its length counts texts.

    Args:
        images (GraphCollection): All image graphs.
        texts (GraphCollection): All text graphs.
        image_of_text (Tensor): Index of each text's image, ``[num_texts]``.
        edits (EditedTexts, optional): False texts to train with. (default: :obj:`None`)

    Raises:
        ValueError: If ``image_of_text`` has another length or points outside ``images``.
    """

    images: GraphCollection
    texts: GraphCollection
    image_of_text: Tensor
    edits: EditedTexts | None = None

    def __post_init__(self) -> None:
        if self.image_of_text.shape != (len(self.texts),):
            raise ValueError(
                f"image_of_text: expected [{len(self.texts)}], got {list(self.image_of_text.shape)}"
            )
        bad = (self.image_of_text < 0) | (self.image_of_text >= len(self.images))
        if bad.any():
            i = int(bad.nonzero()[0])
            raise ValueError(f"image_of_text: text {i} has no image {int(self.image_of_text[i])}")

    def __len__(self) -> int:
        return len(self.texts)

    def batch(self, text_index: Tensor | Sequence[int] | None = None) -> PairBatch:
        """The given texts (default: all) and their images, sorted by index.

        Args:
            text_index (Tensor or list of int, optional): Positions of the texts. (default:
                :obj:`None`, all)
        """
        if text_index is None:
            text_index = torch.arange(len(self))
        text_index = torch.as_tensor(text_index, dtype=torch.long)
        image_index, image_of_text = self.image_of_text[text_index].unique(return_inverse=True)
        return PairBatch(
            self.images.batch(image_index), self.texts.batch(text_index), image_of_text, image_index
        )
