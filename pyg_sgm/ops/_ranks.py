"""Ranks of the ground truth in both directions, without a sort and without the whole matrix."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ScoreBlock = Callable[[Tensor, Tensor], Tensor]


def ranks(scores: Tensor, image_of_text: Tensor) -> tuple[Tensor, Tensor]:
    r"""Rank of the best-scored ground truth of every image and of every text.

    The rank is one plus the number of wrong items scored at least as high, up to rounding (see
    :func:`lowest_tie`), so the ground truth takes the worst rank among its equals. The texts of one
    image do not stand in each other's way.

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
    _check_ground_truth(image_of_text, num_images, num_texts)
    truth = scores[image_of_text, torch.arange(num_texts, device=scores.device)]
    counter = RankCounter(truth, image_of_text, num_images)
    rows = max(1, 2**22 // max(1, num_texts))
    for start in range(0, num_images, rows):
        counter.add(scores[start : start + rows], start, 0)
    return counter.image_ranks, counter.text_ranks


@dataclass(frozen=True)
class Ranking:
    """What :func:`stream_ranks` keeps of a score matrix.

    Args:
        image_ranks (LongTensor): Rank of each image's best text, ``[num_images]``, from 1.
        text_ranks (LongTensor): Rank of each text's image, ``[num_texts]``, from 1.
        top_texts (LongTensor): The best texts of each image, best first, ``[num_images, k]``.
        top_text_scores (Tensor): Their scores.
        top_images (LongTensor): The best images of each text, best first, ``[num_texts, k]``.
        top_image_scores (Tensor): Their scores.
    """

    image_ranks: Tensor
    text_ranks: Tensor
    top_texts: Tensor
    top_text_scores: Tensor
    top_images: Tensor
    top_image_scores: Tensor


def stream_ranks(
    score: ScoreBlock,
    num_images: int,
    image_of_text: Tensor,
    k: int = 10,
    block: tuple[int, int] = (2048, 2048),
) -> Ranking:
    r"""Ranks as :func:`ranks` gives them, and the best of each direction, from blocks of scores.

    The blocks of an image and its own texts are scored first, a share of
    :math:`1 / \text{num\_images}` times the images taken at a time; then every pair once. Only one
    block and the running best are in memory. A pair may be rounded otherwise in another block,
    which is why what is equal up to rounding counts as equal.

    Args:
        score (callable): Takes the numbers of some images and of some texts, increasing, and
            returns their scores ``[num_selected_images, num_selected_texts]``.
        num_images (int): Number of images.
        image_of_text (LongTensor): Image of every text, on the device of the scores.
        k (int, optional): How many of the best to keep, at most all. (default: :obj:`10`)
        block (tuple, optional): Images and texts to score at a time. (default: :obj:`(2048, 2048)`)

    Raises:
        ValueError: If a score is NaN, an image has no text, or ``k`` is less than 1.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[0.9, 0.2, 0.1], [0.3, 0.2, 0.0]])
        >>> ranking = stream_ranks(lambda i, t: scores[i][:, t], 2, torch.tensor([0, 0, 1]), k=1)
        >>> ranking.image_ranks, ranking.top_images.t()
        (tensor([1, 3]), tensor([[0, 0, 0]]))
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    num_texts = image_of_text.numel()
    _check_ground_truth(image_of_text, num_images, num_texts)
    truth = _ground_truth_scores(score, num_images, image_of_text)
    counter = RankCounter(truth, image_of_text, num_images)
    for_images = _Best(truth, num_images, min(k, num_texts))
    for_texts = _Best(truth, num_texts, min(k, num_images))
    for texts in _spans(num_texts, block[1], truth.device):
        for images in _spans(num_images, block[0], truth.device):
            scores = score(images, texts)
            counter.add(scores, int(images[0]), int(texts[0]))
            for_images.add(scores, images, texts)
            for_texts.add(scores.t().contiguous(), texts, images)
    return Ranking(
        counter.image_ranks,
        counter.text_ranks,
        *(for_images.index, for_images.score),
        *(for_texts.index, for_texts.score),
    )


def _ground_truth_scores(score: ScoreBlock, num_images: int, image_of_text: Tensor) -> Tensor:
    """Score of every text with its image, ``[num_texts]``."""
    device = image_of_text.device
    truth = torch.empty(len(image_of_text), device=device)
    for images in _spans(num_images, max(1, num_images // 100), device):
        mine = (image_of_text >= images[0]) & (image_of_text <= images[-1])
        texts = mine.nonzero().squeeze(1)
        block = score(images, texts)
        truth = truth.to(block.dtype)
        truth[texts] = block[
            image_of_text[texts] - images[0], torch.arange(len(texts), device=device)
        ]
    return truth


def _spans(length: int, size: int, device: torch.device) -> list[Tensor]:
    """The numbers below ``length``, ``size`` at a time."""
    return list(torch.arange(length, device=device).split(size)) if length else []


def lowest_tie(truth: Tensor) -> Tensor:
    r"""The lowest score that counts as equal to a true one. The same numbers summed in another
    order, or in a block of another shape, are not the same to the last bit, so equal is

    .. math:: s \ge t - 10^{-5} \max(|t|, \overline{|t|})

    where the mean is that of all true scores; an infinite score is equal to itself alone.

    Args:
        truth (Tensor): True scores :math:`t`, of any shape.

    Example:
        >>> import torch
        >>> torch.tensor([0.499999, 0.4999]) >= lowest_tie(torch.tensor([0.5, 0.5]))
        tensor([ True, False])
    """
    infinite = truth.isinf()
    size = truth.masked_fill(infinite, 0).abs()
    return torch.where(infinite, truth, truth - 1e-5 * size.maximum(size.mean()))


class RankCounter:
    """Counts, block by block, the wrong items scored at least as high as the ground truth, up to
    rounding.

    Args:
        truth (Tensor): Score of every text with its image, ``[num_texts]``.
        image_of_text (LongTensor): Image of every text, ``[num_texts]``.
        num_images (int): Number of images, each of which has a text.

    Raises:
        ValueError: If an image has no text, or a text no image.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[0.9, 0.2, 0.1], [0.3, 0.2, 0.0]])
        >>> counter = RankCounter(torch.tensor([0.9, 0.2, 0.0]), torch.tensor([0, 0, 1]), 2)
        >>> counter.add(scores[:, :1], 0, 0)
        >>> counter.add(scores[:, 1:], 0, 1)
        >>> counter.image_ranks, counter.text_ranks
        (tensor([1, 3]), tensor([1, 2, 2]))
    """

    def __init__(self, truth: Tensor, image_of_text: Tensor, num_images: int) -> None:
        _check_ground_truth(image_of_text, num_images, len(truth))
        self.image_of_text = image_of_text
        best = truth.new_full((num_images,), -torch.inf)
        best = best.scatter_reduce(0, image_of_text, truth, "amax")
        self.floor_of_images, self.floor_of_texts = lowest_tie(best), lowest_tie(truth)
        self.image_ranks = torch.ones_like(best, dtype=torch.long)
        self.text_ranks = torch.ones_like(truth, dtype=torch.long)

    def add(self, scores: Tensor, first_image: int, first_text: int) -> None:
        """Counts a block of pairs, each once.

        Args:
            scores (Tensor): Scores of consecutive images with consecutive texts.
            first_image (int): The first of these images.
            first_text (int): The first of these texts.

        Raises:
            ValueError: If a score is NaN.
        """
        num_images, num_texts = scores.shape
        # A sum shows NaN faster than a look at every score, and infinities are looked into.
        if scores.sum().isnan() and scores.isnan().any():
            image, text = scores.isnan().nonzero()[0].tolist()
            raise ValueError(f"scores[{first_image + image}, {first_text + text}] is NaN")
        images = slice(first_image, first_image + num_images)
        texts = slice(first_text, first_text + num_texts)
        text_floor, image_floor = self.floor_of_texts[texts], self.floor_of_images[images]
        # The pairs of the ground truth are no obstacle to it.
        row = self.image_of_text[texts] - first_image
        column = ((row >= 0) & (row < num_images)).nonzero().squeeze(1)
        row = row[column]
        own = scores[row, column]
        self.text_ranks[texts] += (scores >= text_floor).count_nonzero(0)
        self.text_ranks[texts][column] -= (own >= text_floor[column]).long()
        self.image_ranks[images] += (scores >= image_floor[:, None]).count_nonzero(1)
        self.image_ranks[images].index_add_(0, row, -(own >= image_floor[row]).long())


class _Best:
    """The running best ``k`` of every row."""

    def __init__(self, like: Tensor, num_rows: int, k: int) -> None:
        self.score = like.new_full((num_rows, k), -torch.inf)
        self.index = torch.full((num_rows, k), -1, device=like.device)
        self.k = k

    def add(self, scores: Tensor, rows: Tensor, columns: Tensor) -> None:
        top, position = scores.topk(min(self.k, scores.size(1)), dim=1)
        # Places not yet taken hold minus infinity; in stable order what is new goes before them.
        score = torch.cat([top, self.score[rows]], dim=1)
        index = torch.cat([columns[position], self.index[rows]], dim=1)
        order = score.argsort(dim=1, descending=True, stable=True)
        self.score[rows] = score.gather(1, order)[:, : self.k]
        self.index[rows] = index.gather(1, order)[:, : self.k]


def _check_ground_truth(image_of_text: Tensor, num_images: int, num_texts: int) -> None:
    if image_of_text.shape != (num_texts,):
        raise ValueError(
            f"image_of_text has shape {tuple(image_of_text.shape)}, expected ({num_texts},)"
        )
    if num_texts and (image_of_text.min() < 0 or image_of_text.max() >= num_images):
        raise ValueError(f"image_of_text must lie in 0 to {num_images - 1}")
    texts = torch.bincount(image_of_text, minlength=num_images)
    if (texts == 0).any():
        raise ValueError(f"image {int((texts == 0).nonzero()[0])} has no text in image_of_text")
