"""Loss on true texts and false ones that differ from them in one thing."""

import torch.nn.functional as F
from torch import Tensor


def edit_loss(true: Tensor, false: Tensor, image_of_edit: Tensor, margin: float = 2.0) -> Tensor:
    r"""How much more than of other images a true text, and not its false edit, is said of its own

    .. math::
        \ell_l = \log\left(1 + \exp(m - z_l)\right), \quad
        z_l = \frac{D_{k(l)l} - \mu_l}{\sigma_l}, \quad D_{kl} = S_{kl} - S'_{kl}

    where :math:`\mu_l` and :math:`\sigma_l` are mean and standard deviation of :math:`D_{kl}` over
    the other images of the batch, and no gradient goes through :math:`\sigma_l`; the loss is the
    mean over the edits. What words alone tell, that no image of the world would show the false
    text, is in :math:`D` of every image and cancels. In units of :math:`\sigma` the loss cannot be
    lowered by scores that spread more, only by scores that see more. Of fewer than
    three images it is zero: one other image has no deviation.

    Args:
        true (Tensor): Scores of all images of a batch with the true texts.
        false (Tensor): The same with the false texts.
        image_of_edit (LongTensor): Image of each true text.
        margin (float, optional): :math:`m`, in standard deviations. (default: :obj:`2.0`)

    Shapes:
        - **input:** true and false :math:`(I, E)`, image_of_edit :math:`(E)`
        - **output:** a scalar

    Example:
        >>> import torch
        >>> true = torch.tensor([[0.9], [0.5], [0.3]])
        >>> edit_loss(true, torch.full((3, 1), 0.4), torch.tensor([0]))
        tensor(0.0486)
    """
    difference = true - false  # [num_images, num_edits]
    others = difference.size(0) - 1
    if others < 2 or difference.size(1) == 0:
        return 0 * difference.sum()
    own = difference.gather(0, image_of_edit[None]).squeeze(0)  # [num_edits]
    mean = (difference.sum(dim=0) - own) / others
    away = (difference - mean).square()
    spread = (away.sum(dim=0) - (own - mean).square()) / others
    z = (own - mean) / spread.clamp(min=1e-8).sqrt().detach()
    return F.softplus(margin - z).mean()
