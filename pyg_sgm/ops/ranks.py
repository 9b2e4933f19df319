"""Ranks of the ground truth in both directions, without a sort."""

import torch
from torch import Tensor


def ranks(scores: Tensor, image_of_text: Tensor) -> tuple[Tensor, Tensor]:
    r"""Rank of the best-scored ground truth of every image and of every text.

    The rank is one plus the number of wrong items scored at least as high, so the ground truth
    takes the worst rank among its equals. The texts of one image do not stand in each other's way.

    Args:
        scores (Tensor): Scores of all pairs.
        image_of_text (LongTensor): Image of every text.

    Shapes:
        - **input:** scores :math:`(I, T)`, image_of_text :math:`(T)`
        - **output:** ranks of the images' texts :math:`(I)` and of the texts' images :math:`(T)`,
          from 1

    Raises:
        ValueError: If a score is NaN, or an image has no text, or the shapes do not fit.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[0.9, 0.2, 0.1], [0.3, 0.2, 0.0]])
        >>> ranks(scores, torch.tensor([0, 0, 1]))
        (tensor([1, 3]), tensor([1, 2, 2]))
    """
    num_images, num_texts = scores.shape
    check_ground_truth(image_of_text, num_images, num_texts)
    if scores.isnan().any():
        image, text = scores.isnan().nonzero()[0].tolist()
        raise ValueError(f"scores[{image}, {text}] is NaN")
    truth = scores[image_of_text, torch.arange(num_texts, device=scores.device)]  # [num_texts]
    text_ranks = (scores >= truth).sum(0)
    best = truth.new_full((num_images,), -torch.inf)
    best = best.scatter_reduce(0, image_of_text, truth, "amax")  # [num_images]
    tied = torch.zeros_like(best, dtype=torch.long)
    tied.index_add_(0, image_of_text, (truth == best[image_of_text]).long())
    image_ranks = (scores >= best[:, None]).sum(1) - tied + 1
    return image_ranks, text_ranks


def check_ground_truth(image_of_text: Tensor, num_images: int, num_texts: int) -> None:
    """Raises ValueError unless every text has one image, and every image a text."""
    if image_of_text.shape != (num_texts,):
        raise ValueError(
            f"image_of_text has shape {tuple(image_of_text.shape)}, expected ({num_texts},)"
        )
    if num_texts and not (image_of_text.min() >= 0 and image_of_text.max() < num_images):
        raise ValueError(f"image_of_text must lie in 0 to {num_images - 1}")
    texts = torch.bincount(image_of_text, minlength=num_images)
    if (texts == 0).any():
        raise ValueError(f"image {int((texts == 0).nonzero()[0])} has no text in image_of_text")
