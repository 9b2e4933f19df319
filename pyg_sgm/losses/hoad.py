"""Loss of HOAD on a score matrix."""

from typing import Literal

import torch
from torch import Tensor, nn

Negatives = Literal["random", "hardest", "all"]
EPS = 1e-6  # keeps the logarithms finite


def hoad_loss(
    scores: Tensor,
    image_of_text: Tensor,
    margin: float = 1.0,
    triplet_weight: float = 1.0,
    entropy_weight: float = 0.5,
    negatives: Negatives = "random",
    num_negatives: int = 10,
) -> Tensor:
    r"""Margin loss and binary cross entropy of HOAD (eq. 11)

    .. math::
        \lambda_1 \sum_i [s'_i - s + \delta]_+
        - \lambda_2 \Big( \log s + \sum_i \log (1 - s'_i) \Big)

    of every positive pair with score :math:`s` and negative pairs with scores :math:`s'_i`, taken
    in both directions (other texts of the image, other images of the text) and averaged over the
    pairs. Scores are probabilities; what the first-order branch adds outside :math:`[0, 1]` is cut
    off in the logarithms. Another text of the same image is never a negative.

    Args:
        scores (Tensor): Scores of the images against the texts of a batch.
        image_of_text (LongTensor): Image of each text.
        margin (float, optional): :math:`\delta`. (default: :obj:`1.0`)
        triplet_weight (float, optional): :math:`\lambda_1`. (default: :obj:`1.0`)
        entropy_weight (float, optional): :math:`\lambda_2`. (default: :obj:`0.5`)
        negatives (str, optional): ``"random"``, drawn without repetition; ``"hardest"``, the
            best-scored one of the batch; ``"all"``. (default: :obj:`"random"`)
        num_negatives (int, optional): Random negatives of a pair in each direction. (default:
            :obj:`10`)

    Shapes:
        - **input:** scores :math:`(I, T)`, image_of_text :math:`(T)`
        - **output:** a scalar

    Raises:
        ValueError: If ``negatives`` is unknown.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[0.9, 0.2], [0.1, 0.8]])
        >>> hoad_loss(scores, torch.tensor([0, 1]), entropy_weight=0.0)
        tensor(0.6000)
    """
    if negatives not in ("random", "hardest", "all"):
        raise ValueError(f"negatives {negatives!r}; known: random, hardest, all")
    num_images, num_texts = scores.shape
    if num_texts == 0:
        return scores.sum()
    positive = scores[image_of_text, torch.arange(num_texts, device=scores.device)]  # [num_texts]
    images = torch.arange(num_images, device=scores.device)
    # Candidates of every positive pair: other texts of its image, other images of its text.
    of_text = (scores.t(), image_of_text[:, None] == images)
    of_image = (scores[image_of_text], image_of_text[:, None] == image_of_text)
    count = num_negatives if negatives == "random" else 1
    loss = -entropy_weight * 2 * _log(positive).mean()
    for candidates, own in (of_text, of_image):
        if negatives == "all":
            chosen, valid = candidates, ~own
        else:
            # The `count` largest of the keys, one row a positive pair.
            keys = candidates.detach() if negatives == "hardest" else torch.rand_like(candidates)
            keys = keys.masked_fill(own, -torch.inf)
            index = keys.topk(min(count, keys.size(1)), dim=1).indices
            chosen, valid = candidates.gather(1, index), ~own.gather(1, index)
        triplet = (chosen - positive[:, None] + margin).relu()
        entropy = -_log(1 - chosen)
        cost = triplet_weight * triplet + entropy_weight * entropy
        loss = loss + cost.masked_fill(~valid, 0).sum() / num_texts
    return loss


class HOADLoss(nn.Module):
    """:func:`hoad_loss` as a module.

    Args:
        margin, triplet_weight, entropy_weight, negatives, num_negatives: See :func:`hoad_loss`.

    Example:
        >>> import torch
        >>> HOADLoss(negatives="hardest")
        HOADLoss(margin=1.0, negatives='hardest')
    """

    def __init__(
        self,
        margin: float = 1.0,
        triplet_weight: float = 1.0,
        entropy_weight: float = 0.5,
        negatives: Negatives = "random",
        num_negatives: int = 10,
    ) -> None:
        super().__init__()
        self.margin = margin
        self.triplet_weight = triplet_weight
        self.entropy_weight = entropy_weight
        self.negatives: Negatives = negatives
        self.num_negatives = num_negatives

    def forward(self, scores: Tensor, image_of_text: Tensor) -> Tensor:
        return hoad_loss(
            scores,
            image_of_text,
            self.margin,
            self.triplet_weight,
            self.entropy_weight,
            self.negatives,
            self.num_negatives,
        )

    def extra_repr(self) -> str:
        return f"margin={self.margin}, negatives={self.negatives!r}"


def _log(probability: Tensor) -> Tensor:
    return probability.clamp(EPS, 1 - EPS).log()
