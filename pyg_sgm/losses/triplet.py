"""Triplet loss on a score matrix."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from pyg_sgm._deprecated import renamed_arguments


def triplet_loss(
    scores: Tensor,
    image_of_text: Tensor,
    margin: float = 0.2,
    hardest: bool = True,
    mask_same_image: bool = True,
) -> Tensor:
    r"""Margin loss of SGM, with the hardest negative of the batch (eq. 9)

    .. math:: \sum_{(k, l)} [m - S_{kl} + \max_{l'} S_{kl'}]_+ + [m - S_{kl} + \max_{k'} S_{k'l}]_+

    or with the sum over all negatives in place of both maxima (eq. 8). Summed over all pairs of an
    image :math:`k` and a text :math:`l` of it.

    Args:
        scores (Tensor): Scores of the images against the texts of a batch.
        image_of_text (LongTensor): Image of each text.
        margin (float, optional): :math:`m`. (default: :obj:`0.2`)
        hardest (bool, optional): Eq. 9 if :obj:`True`, eq. 8 if :obj:`False`. (default:
            :obj:`True`)
        mask_same_image (bool, optional): If :obj:`False`, another text of the same image is a
            negative, as in the diagonal of the paper's batch. (default: :obj:`True`)

    Shapes:
        - **input:** scores :math:`(I, T)`, image_of_text :math:`(T)`
        - **output:** a scalar

    Example:
        >>> import torch
        >>> scores = torch.tensor([[0.9, 0.8], [0.1, 0.5]])
        >>> triplet_loss(scores, torch.tensor([0, 1]))
        tensor(0.6000)
    """
    pairs = scores[image_of_text]  # [num_texts, num_texts], row i holds the image of text i
    positive = pairs.diagonal()
    if mask_same_image:
        masked = image_of_text[:, None] == image_of_text
    else:
        masked = torch.eye(positive.numel(), dtype=torch.bool, device=scores.device)
    text_cost = (margin - positive[:, None] + pairs).relu().masked_fill(masked, 0)
    image_cost = (margin - positive + pairs).relu().masked_fill(masked, 0)
    if hardest and positive.numel() > 0:
        return text_cost.amax(dim=1).sum() + image_cost.amax(dim=0).sum()
    return text_cost.sum() + image_cost.sum()


class TripletLoss(nn.Module):
    r""":func:`triplet_loss` with a warm-up.

    Training on hardest negatives from scratch may collapse: all scores become equal and the loss
    sticks at :math:`2Tm` for :math:`T` texts. The first :obj:`warmup_calls` calls in training mode
    therefore use the sum over negatives, and :attr:`collapsed` tells whether the last
    :obj:`patience_calls` calls after it stayed within one percent of :math:`2Tm`.

    Args:
        margin (float, optional): :math:`m`. (default: :obj:`0.2`)
        hardest (bool, optional): Eq. 9 of SGM, else eq. 8. (default: :obj:`True`)
        mask_same_image (bool, optional): See :func:`triplet_loss`. (default: :obj:`True`)
        warmup_calls (int, optional): Calls in training mode with eq. 8 before eq. 9. (default:
            :obj:`0`)
        patience_calls (int, optional): Stuck calls in a row that count as a collapse. (default:
            :obj:`50`)

    Example:
        >>> import torch
        >>> loss = TripletLoss(patience_calls=1)
        >>> loss(torch.zeros(3, 3, requires_grad=True), torch.arange(3))
        tensor(1.2000, grad_fn=<AddBackward0>)
        >>> loss.collapsed
        True
    """

    # Old names, which warn.
    renamed_options: ClassVar = {"warmup": "warmup_calls", "patience": "patience_calls"}
    calls: Tensor
    stuck: Tensor

    @renamed_arguments(**renamed_options)
    def __init__(
        self,
        margin: float = 0.2,
        hardest: bool = True,
        mask_same_image: bool = True,
        warmup_calls: int = 0,
        patience_calls: int = 50,
    ) -> None:
        super().__init__()
        self.margin = margin
        self.hardest = hardest
        self.mask_same_image = mask_same_image
        self.warmup_calls = warmup_calls
        self.patience_calls = patience_calls
        # Buffers, so that a resumed training continues the count.
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("stuck", torch.zeros((), dtype=torch.long))

    @property
    def collapsed(self) -> bool:
        return bool(self.stuck >= self.patience_calls)

    def forward(self, scores: Tensor, image_of_text: Tensor) -> Tensor:
        # A card is waited for only where there is a warm-up.
        warm = self.training and self.warmup_calls > 0 and bool(self.calls < self.warmup_calls)
        hardest = self.hardest and not warm
        loss = triplet_loss(scores, image_of_text, self.margin, hardest, self.mask_same_image)
        if self.training:
            self.calls += 1
            level = 2 * image_of_text.numel() * self.margin
            near = (loss.detach() - level).abs() < 0.01 * level  # never without a margin
            self.stuck = torch.where(near, self.stuck + 1, 0) if hardest else self.stuck
        return loss

    def extra_repr(self) -> str:
        return f"margin={self.margin}, hardest={self.hardest}, warmup_calls={self.warmup_calls}"
