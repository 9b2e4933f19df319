"""Scores without hubs: what a bank of training pairs says of images and texts that match all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.models.base import Encoding, Matcher, encoding_types
from pyg_sgm.models.bounds import BoundLevel
from pyg_sgm.models.explanation import Attention, Explanation
from pyg_sgm.ops import Packed, is_ptr

TEMPERATURE = 0.05
BLOCK = 512  # graphs of the bank that are scored at a time


class QueryBank(Matcher[Any, Any]):
    r"""A trained model whose scores are freed of hubs by a bank of training pairs

    .. math::
        \tilde{S}_{kl} = S_{kl} - \frac{h_k + h_l}{2}, \quad
        h_k = \tau \log \frac{1}{|T|} \sum_{t \in T} e^{S_{kt} / \tau}, \quad
        h_l = \tau \log \frac{1}{|I|} \sum_{i \in I} e^{S_{il} / \tau}

    where :math:`I` and :math:`T` are the images and the texts of the bank. Divided by
    :math:`\tau` it is, up to a constant, the mean of :math:`\log p(l \mid k)` among the texts of
    the bank and :math:`\log p(k \mid l)` among its images, what the contrastive loss trains. An
    image that is near every text has a large :math:`h_k` and no longer answers them all. This is
    the inverted softmax of the `"Cross Modal Retrieval with Querybank Normalisation"
    <https://arxiv.org/abs/2112.12777>`_ paper in its logarithm, in both directions at once, and for
    every query. Nothing is learned, and the bank knows nothing of what is searched.

    The numbers :math:`h / 2` are kept in the field ``hubness`` of encodings.

    Args:
        model (Matcher): A trained model.
        images (Encoding): Encoded images of the bank.
        texts (Encoding): Encoded texts of the bank.
        temperature (float, optional): :math:`\tau`. (default: :obj:`0.05`)

    Raises:
        ValueError: If the temperature is not positive.

    Example:
        >>> import torch
        >>> from pyg_sgm.models import GraphSizes, VSE
        >>> from pyg_sgm.models.regions_words import GlobalEncoding
        >>> model = VSE(GraphSizes(words=10, objects=5, predicates=1, attributes=1), dim=2)
        >>> hub, other = torch.tensor([0.8, 0.6]), torch.tensor([1.0, 0.0])
        >>> bank = GlobalEncoding(torch.stack([hub, other]))
        >>> bank = QueryBank(model, bank, GlobalEncoding(torch.eye(2)))
        >>> bank.hubness_of_images(GlobalEncoding(torch.stack([hub, other]))).tolist()
        [0.3831..., 0.4826...]
    """

    def __init__(
        self, model: Matcher, images: Encoding, texts: Encoding, temperature: float = TEMPERATURE
    ) -> None:
        super().__init__(model.sizes)
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.config = model.config
        self.model: Matcher = model
        self.images = _Kept(images)
        self.texts = _Kept(texts)
        self.temperature = temperature

    def encode_image(self, batch: HeteroData) -> Encoding:
        encoding: Encoding = self.model.encode_image(batch)
        return replace(encoding, hubness=self.hubness_of_images(encoding))

    def encode_text(self, batch: HeteroData) -> Encoding:
        encoding: Encoding = self.model.encode_text(batch)
        return replace(encoding, hubness=self.hubness_of_texts(encoding))

    def hubness_of_images(self, images: Encoding) -> Tensor:
        """:math:`h_k / 2` of encoded images, ``[num_images]``.

        Args:
            images (Encoding): Of the model.
        """
        blocks = [self.model.score(images, texts) for texts in self.texts.blocks()]
        return self._log_mean(torch.cat(blocks, dim=1))

    def hubness_of_texts(self, texts: Encoding) -> Tensor:
        """:math:`h_l / 2` of encoded texts, ``[num_texts]``.

        Args:
            texts (Encoding): Of the model.
        """
        blocks = [self.model.score(images, texts) for images in self.images.blocks()]
        return self._log_mean(torch.cat(blocks).t())

    def _log_mean(self, scores: Tensor) -> Tensor:
        total = (scores / self.temperature).logsumexp(dim=1) - math.log(scores.size(1))
        return total * self.temperature / 2

    def score(self, image: Encoding, text: Encoding) -> Tensor:
        scores: Tensor = self.model.score(image, text)
        return scores - _hubness(image, text)

    def levels(self, image: Encoding, text: Encoding) -> dict[str, Tensor]:
        """The levels of the model, and as ``"hubness"`` what is taken off.

        Args:
            image (Encoding): Encoded images.
            text (Encoding): Encoded texts.
        """
        return {**self.model.levels(image, text), "hubness": -_hubness(image, text)}

    def bound_levels(self) -> Sequence[BoundLevel]:
        """Those of the model; ``hubness`` of both encodings is to be taken off."""
        return self.model.bound_levels()

    def weigh(self, text: Encoding, words: Packed, triplets: Packed) -> Encoding:
        weighed: Encoding = self.model.weigh(text, words, triplets)
        return weighed

    def attention_nodes(self, encoding: Encoding) -> Packed:
        return self.model.attention_nodes(encoding)

    def explain(
        self, image: Encoding, text: Encoding, image_record: ImageRecord, text_record: TextRecord
    ) -> Explanation | Attention:
        told = self.model.explain(image, text, image_record, text_record)
        hubness = float(_hubness(image, text))
        if isinstance(told, Attention):
            return replace(told, score=told.score - hubness)
        return replace(told, levels={**told.levels, "hubness": -hubness})

    def embeddings(self) -> dict[str, nn.Embedding]:
        return self.model.embeddings()

    def bank(self) -> dict[str, Tensor]:
        """The bank in tensors for a file, floating point in half precision."""
        state = {
            f"{side}.{name}": value
            for side, kept in (("images", self.images), ("texts", self.texts))
            for name, value in kept.state_dict().items()
        }
        return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}

    @classmethod
    def of_bank(
        cls, model: Matcher, bank: dict[str, Tensor], temperature: float = TEMPERATURE
    ) -> Self:
        r"""The model with what :meth:`bank` gave.

        Args:
            model (Matcher): The same model.
            bank (dict): Tensors by their names.
            temperature (float, optional): :math:`\tau`. (default: :obj:`0.05`)

        Raises:
            ValueError: If they are no bank of the model, or the temperature is not positive.
        """
        sides = []
        for side, kind in zip(("images", "texts"), encoding_types(model), strict=True):
            found = {k.removeprefix(f"{side}."): v for k, v in bank.items() if k.startswith(side)}
            sides.append(_checked(_encoding(kind, found)))
        images, texts = sides
        one = torch.tensor([0])
        try:
            with torch.no_grad():
                model.score(images.select(one), texts.select(one))
        except (RuntimeError, IndexError, AttributeError, TypeError, StopIteration) as error:
            raise ValueError(f"this is no bank of the model: {error}") from error
        return cls(model, images, texts, temperature)


def _hubness(image: Encoding, text: Encoding) -> Tensor:
    """``[num_images, num_texts]``."""
    assert image.hubness is not None
    assert text.hubness is not None
    return image.hubness[:, None] + text.hubness


class _Kept(nn.Module):
    """An encoding as buffers of a module, which go where the model goes."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self.kind = type(encoding)
        for name, value in encoding.values().items():
            if isinstance(value, Packed):
                self.register_buffer(name, value.x)
                self.register_buffer(f"{name}_ptr", value.ptr)
            elif value is not None:
                self.register_buffer(name, value)

    def blocks(self) -> list[Encoding]:
        """The encoding in parts."""
        encoding = _encoding(self.kind, dict(self.named_buffers()))
        first = next(iter(self.buffers()))
        rows = torch.arange(len(encoding), device=first.device)
        return [encoding.select(part) for part in rows.split(BLOCK)]


def _encoding(kind: type[Encoding], tensors: dict[str, Tensor]) -> Encoding:
    """The encoding of buffers."""
    names = [name for name in tensors if f"{name.removesuffix('_ptr')}_ptr" != name]
    values: dict[str, Any] = {
        name: Packed(tensors[name], tensors[f"{name}_ptr"])
        if f"{name}_ptr" in tensors
        else tensors[name]
        for name in names
    }
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"this is no bank of {kind.__name__}: {error}") from error


def _checked(encoding: Encoding) -> Encoding:
    """The encoding, if its values are finite and its boundaries fit."""
    for name, value in encoding.values().items():
        x = value.x if isinstance(value, Packed) else value
        if x is not None and not x.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinity")
        if isinstance(value, Packed) and not is_ptr(value.ptr, len(value.x)):
            raise ValueError(f"{name}_ptr does not fit {name}")
    return encoding
