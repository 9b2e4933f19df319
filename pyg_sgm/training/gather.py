"""Negatives from all processes of a distributed training."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from pyg_sgm.models import Encoding
from pyg_sgm.ops import Packed

E = TypeVar("E", bound=Encoding)
F = TypeVar("F", bound=Encoding)


def gather_rows(x: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks, with gradients.

    Every process is meant to compute the same function of all rows, and their gradients to be
    averaged afterwards, as distributed data parallel does. A process therefore returns the
    gradient of its own rows times the number of processes, and none is sent back.

    Args:
        x (Tensor): ``[num_rows, *]``; the number of rows may differ between processes.
    """
    apply: Callable[[Tensor], Tensor] = _GatherRows.apply
    return apply(x)


def gather_encoding(encoding: E) -> E:
    """The encoded graphs of all processes, in the order of their ranks, with gradients."""
    values: dict[str, Any] = {}
    for field in fields(encoding):
        value = getattr(encoding, field.name)
        if isinstance(value, Packed):
            sizes = gather_rows(value.sizes)
            ptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
            value = Packed(gather_rows(value.x), ptr)
        elif value is not None:
            value = gather_rows(value)
        values[field.name] = value
    return type(encoding)(**values)


def gather_pairs(
    image: E, text: F, image_of_text: Tensor, image_index: Tensor
) -> tuple[E, F, Tensor]:
    """The batch of all processes together, in every process.

    An image that several processes have, because its texts are spread over them, is kept once.

    Args:
        image (E): Encoding of this process's images.
        text (F): Encoding of this process's texts.
        image_of_text (Tensor): Position in ``image`` of each text's image, ``[num_texts]``.
        image_index (Tensor): Index in the whole data of each image, ``[num_images]``.

    Returns:
        Encodings of all images and of all texts, and the position of each text's image.
    """
    everywhere = gather_rows(image_index)
    unique, position = everywhere.unique(return_inverse=True)
    first = torch.full_like(unique, len(everywhere))
    here = torch.arange(len(everywhere), device=everywhere.device)
    first = first.scatter_reduce(0, position, here, "amin")
    index_of_text = gather_rows(image_index[image_of_text])
    return (
        gather_encoding(image).select(first),
        gather_encoding(text),
        torch.searchsorted(unique, index_of_text),
    )


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        world_size, rank = dist.get_world_size(), dist.get_rank()
        own = torch.tensor([x.size(0)], device=x.device)
        counts = [torch.empty_like(own) for _ in range(world_size)]
        dist.all_gather(counts, own)
        sizes = [int(count) for count in counts]
        ctx.start, ctx.size, ctx.world_size = sum(sizes[:rank]), x.size(0), world_size
        padded = x.new_zeros(max(sizes), *x.shape[1:])  # all_gather needs equal shapes
        padded[: x.size(0)] = x
        parts = [torch.empty_like(padded) for _ in range(world_size)]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad,) = grads
        own: Tensor = ctx.world_size * grad[ctx.start : ctx.start + ctx.size]
        return own
