"""Models of two towers, such as CLIP and SigLIP: one vector for a photo, one for a sentence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pyg_sgm.io import only_local
from pyg_sgm.vision.images import Photo, read_photo, to_photo

if TYPE_CHECKING:
    from PIL import Image

BATCH = 32  # photos or sentences at a time

T = TypeVar("T")


class TwoTowers(nn.Module):
    r"""A frozen model of two towers on photos and sentences

    .. math:: S = \cos(\mathbf{f}, \mathbf{h})

    of the vector :math:`\mathbf{f}` of a photo and that of a sentence, :math:`\mathbf{h}`. Its
    scores are a prior for :meth:`pyg_sgm.retrieval.SceneGraphMatcher.rerank`.

    Args:
        net (nn.Module): Both towers.
        image (callable): What maps images of Pillow to vectors ``[num_images, dim]``, on the device
            of ``net``.
        text (callable): What maps sentences to vectors ``[num_texts, dim]``, likewise.

    Example:
        >>> from PIL import Image
        >>> color = nn.Embedding.from_pretrained(torch.eye(3))
        >>> image = lambda images: torch.tensor([i.getpixel((0, 0)) for i in images]).float()
        >>> text = lambda texts: color(torch.tensor(["rgb".index(text[0]) for text in texts]))
        >>> towers = TwoTowers(color, image, text)
        >>> towers([Image.new("RGB", (4, 3), "red")], ["red", "blue"])
        tensor([[1., 0.]])
    """

    def __init__(
        self,
        net: nn.Module,
        image: Callable[[Sequence[Image.Image]], Tensor],
        text: Callable[[Sequence[str]], Tensor],
    ) -> None:
        super().__init__()
        self.net = net.eval().requires_grad_(False)
        self._image = image
        self._text = text

    def forward(self, images: Iterable[Any], texts: Iterable[str]) -> Tensor:
        """Scores every photo with every sentence, ``[num_images, num_texts]``.

        Args:
            images (iterable): See :meth:`encode_images`.
            texts (iterable of str): See :meth:`encode_texts`.
        """
        return self.encode_images(images) @ self.encode_texts(texts).T

    @torch.no_grad()
    def encode_images(
        self, images: Iterable[str | os.PathLike[str] | Image.Image | np.ndarray | Photo]
    ) -> Tensor:
        """Vectors of photos, of length 1, ``[num_images, dim]``.

        Args:
            images (iterable): Files, or images in memory. Few are held at a time.

        Raises:
            FileNotFoundError, ImageError: Naming the file, if one cannot be read.
        """
        parts = [self._image([_image(each) for each in some]) for some in _batches(images)]
        return nn.functional.normalize(torch.cat(parts).float(), dim=-1)

    @torch.no_grad()
    def encode_texts(self, texts: Iterable[str]) -> Tensor:
        """Vectors of sentences, of length 1, ``[num_texts, dim]``.

        Args:
            texts (iterable of str): The sentences; what is longer than the tower reads is cut off.
        """
        parts = [self._text(some) for some in _batches(texts)]
        return nn.functional.normalize(torch.cat(parts).float(), dim=-1)


def open_towers(name: str) -> TwoTowers:
    """Opens a model of two towers.

    Args:
        name (str): ``"hf:NAME"``, a CLIP, a SigLIP or another of transformers that gives features
            of images and of texts, by the name of a folder or of a repository with weights in
            safetensors; or ``"open_clip:MODEL/PRETRAINED"``, such as
            ``"open_clip:ViT-B-32/laion2b_s34b_b79k"``.

    Raises:
        ImportError: If the package is absent.
        ValueError: If the name is of no such form, or there is no such model.
    """
    kind, _, rest = name.partition(":")
    if kind not in _OPENERS or not rest:
        known = "hf:NAME or open_clip:MODEL/PRETRAINED"
        raise ValueError(f"two towers {name!r}: expected {known}")
    return _OPENERS[kind](rest)


def _transformers_towers(name: str) -> TwoTowers:
    try:
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
    except ImportError as error:
        raise ImportError(
            f"two towers 'hf:{name}' need transformers: pip install transformers"
        ) from error
    try:
        local = {"local_files_only": only_local(name)}
        net: Any = AutoModel.from_pretrained(name, use_safetensors=True, **local).float()
        pixels: Any = AutoImageProcessor.from_pretrained(name, **local)
        tokens: Any = AutoTokenizer.from_pretrained(name, **local)
        length = net.config.text_config.max_position_embeddings
        vectors_of_images, vectors_of_texts = net.get_image_features, net.get_text_features
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"two towers 'hf:{name}': {error}") from error
    # SigLIP was trained on small letters, filled up to one length that it sees all of.
    siglip = net.config.model_type.startswith("siglip")

    def image(images: Sequence[Image.Image]) -> Tensor:
        seen = pixels(images=images, return_tensors="pt").to(net.device)
        return _vectors(vectors_of_images(**seen))

    def text(texts: Sequence[str]) -> Tensor:
        found = tokens(
            [text.lower() for text in texts] if siglip else list(texts),
            padding="max_length" if siglip else True,
            truncation=True,
            max_length=length,
            return_tensors="pt",
        ).to(net.device)
        seen = {} if siglip else {"attention_mask": found["attention_mask"]}
        return _vectors(vectors_of_texts(input_ids=found["input_ids"], **seen))

    return TwoTowers(net, image, text)


def _open_clip_towers(name: str) -> TwoTowers:
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            f"two towers 'open_clip:{name}' need open_clip: pip install open_clip_torch"
        ) from error
    model, _, weights = name.partition("/")
    if not weights:  # it would make random ones
        raise ValueError(f"two towers 'open_clip:{name}': expected open_clip:MODEL/PRETRAINED")
    try:
        net, _, prepare = open_clip.create_model_and_transforms(model, pretrained=weights)
        tokens = open_clip.get_tokenizer(model)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"two towers 'open_clip:{name}': {error}") from error

    def device() -> torch.device:
        found: torch.device = next(net.parameters()).device
        return found

    def image(images: Sequence[Image.Image]) -> Tensor:
        vectors: Tensor = net.encode_image(torch.stack([prepare(x) for x in images]).to(device()))
        return vectors

    def text(texts: Sequence[str]) -> Tensor:
        vectors: Tensor = net.encode_text(tokens(list(texts)).to(device()))
        return vectors

    return TwoTowers(net, image, text)


_OPENERS: dict[str, Callable[[str], TwoTowers]] = {
    "hf": _transformers_towers,
    "open_clip": _open_clip_towers,
}


def _vectors(out: Any) -> Tensor:
    """The vectors, which transformers gives by themselves before version 5."""
    vectors: Tensor = out if isinstance(out, Tensor) else out.pooler_output
    return vectors


def _batches(values: Iterable[T]) -> Iterator[list[T]]:
    each = iter(values)
    while some := list(islice(each, BATCH)):
        yield some


def _image(image: Any) -> Image.Image:
    from PIL import Image

    if isinstance(image, str | os.PathLike):
        image = read_photo(image)
    elif not isinstance(image, Photo):
        image = to_photo(image)
    return Image.fromarray(image.pixels)
