"""Contrastive loss on a score matrix."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def contrastive_loss(scores: Tensor, image_of_text: Tensor, temperature: float | Tensor) -> Tensor:
    r"""Contrastive loss (InfoNCE) in both directions, for images with several texts

    .. math::
        \ell_{kl} = -\log \frac{\exp(S_{kl} / \tau)}
        {\exp(S_{kl} / \tau) + \sum_{l' \in \mathcal{N}(k)} \exp(S_{kl'} / \tau)}

    for an image :math:`k`, a text :math:`l` of it and the texts :math:`\mathcal{N}(k)` of other
    images. It is averaged over the texts of an image, then over the images; likewise for texts,
    which have one image each; the loss is the mean of both directions.

    Args:
        scores (Tensor): Scores of the images against the texts of a batch.
        image_of_text (LongTensor): Image of each text. An image without a text is a negative only.
        temperature (float or Tensor): :math:`\tau > 0`.

    Shapes:
        - **input:** scores :math:`(I, T)`, image_of_text :math:`(T)`
        - **output:** a scalar

    Example:
        >>> import torch
        >>> contrastive_loss(torch.eye(2), torch.tensor([0, 1]), temperature=1.0)
        tensor(0.3133)
    """
    num_texts = scores.size(1)
    if num_texts == 0:
        return scores.sum()
    logits = scores / temperature
    texts = torch.arange(num_texts, device=scores.device)
    positive = logits[image_of_text, texts]  # [num_texts]
    own = torch.zeros_like(logits, dtype=torch.bool)
    own[image_of_text, texts] = True
    negatives = logits.masked_fill(own, -torch.inf).logsumexp(dim=1)  # [num_images]
    of_pair = F.softplus(negatives[image_of_text] - positive)  # [num_texts]
    count = own.sum(dim=1)  # texts of every image
    of_images = (of_pair / count[image_of_text]).sum() / (count > 0).sum()
    of_texts = F.cross_entropy(logits.t(), image_of_text)
    return (of_images + of_texts) / 2


class ContrastiveLoss(nn.Module):
    r""":func:`contrastive_loss` with a temperature that is learned with the model.

    The logarithm of :math:`1 / \tau` is the parameter; :math:`\tau` is kept from 0.01 to 1, as
    without a lower bound it goes on falling once a small training set is fitted.

    Args:
        temperature (float, optional): :math:`\tau` at the start. (default: :obj:`0.05`)
        learnable (bool, optional): Learn it, or keep it. (default: :obj:`True`)

    Raises:
        ValueError: If the temperature is outside its range.

    Example:
        >>> import torch
        >>> loss = ContrastiveLoss(temperature=0.5)
        >>> loss(torch.eye(2), torch.tensor([0, 1]))
        tensor(0.1269, grad_fn=<DivBackward0>)
    """

    MIN_TEMPERATURE = 0.01

    def __init__(self, temperature: float = 0.05, learnable: bool = True) -> None:
        super().__init__()
        if not self.MIN_TEMPERATURE <= temperature <= 1:
            raise ValueError(f"temperature must lie in [{self.MIN_TEMPERATURE}, 1]: {temperature}")
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learnable)

    @property
    def temperature(self) -> Tensor:
        """The temperature as it is now, a scalar."""
        return (-self.log_scale.clamp(0, -math.log(self.MIN_TEMPERATURE))).exp()

    def forward(self, scores: Tensor, image_of_text: Tensor) -> Tensor:
        if self.training:
            # Beyond its bounds it would have no gradient that leads back.
            self.log_scale.data.clamp_(0, -math.log(self.MIN_TEMPERATURE))
        return contrastive_loss(scores, image_of_text, self.temperature)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature.item():.4g}"
