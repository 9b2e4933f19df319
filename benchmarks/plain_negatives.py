"""What do false captions teach that are plain negatives of their photo, with no other photos to
compare with as `pyg_sgm.losses.edit_loss` has them?

    python benchmarks/plain_negatives.py sgm --recipe photos --edit-weight 0.2 ...

The arguments are those of `pyg-sgm train`.
"""

import sys

import torch.nn.functional as F
from torch import Tensor

from pyg_sgm.cli import main
from pyg_sgm.data import PairBatch
from pyg_sgm.models import Encoding
from pyg_sgm.training.module import MatcherTraining


def plain_loss(training: MatcherTraining, image: Encoding, batch: PairBatch) -> Tensor | None:
    """Of each true caption and its false one, the cross-entropy that its photo chooses the true."""
    if batch.edited is None or batch.image_of_edit is None:
        return None
    text = training.model.encode_text(batch.edited)
    true, false = training.model.score(image, text).float().chunk(2, dim=1)
    more = (false - true).gather(0, batch.image_of_edit[None])
    return F.softplus(more / training.loss.temperature).mean()


if __name__ == "__main__":
    MatcherTraining._edit_loss = plain_loss
    main(["train", *sys.argv[1:]])
