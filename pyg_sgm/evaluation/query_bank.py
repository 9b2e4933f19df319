"""A query bank from training pairs."""

import torch

from pyg_sgm.data import PairedGraphs
from pyg_sgm.evaluation.encode import encode_images, encode_texts
from pyg_sgm.models import Matcher, QueryBank, encoding_types

TEXTS_PER_IMAGE = 2


def with_query_bank(model: Matcher, graphs: PairedGraphs, num_images: int) -> QueryBank:
    """A trained model with a bank of the pairs it was trained on, see
    :class:`~pyg_sgm.models.QueryBank`.

    The images are spread evenly over those with texts, each with its first two texts. The bank is
    kept in half precision, so that it is the same after it was saved.

    Args:
        model (Matcher): A trained model.
        graphs (PairedGraphs): Its training pairs.
        num_images (int): Images of the bank; all with texts, if there are fewer.

    Raises:
        ValueError: If ``num_images`` is less than 1, or the model does not say what its encodings
            are.
    """
    if num_images < 1:
        raise ValueError(f"num_images must be at least 1, got {num_images}")
    encoding_types(model)
    described = graphs.image_of_text.unique()
    count = min(num_images, len(described))
    chosen = described[torch.arange(count) * len(described) // count]
    by_image = graphs.image_of_text.argsort(stable=True)
    sizes = torch.bincount(graphs.image_of_text, minlength=len(graphs.images))
    nth = torch.arange(len(by_image)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    few = by_image[nth < TEXTS_PER_IMAGE]
    texts = few[torch.isin(graphs.image_of_text[few], chosen)]
    dtype = next(model.parameters()).dtype
    images = encode_images(model, graphs.images.select(chosen)).to(torch.half).to(dtype)
    return QueryBank(
        model, images, encode_texts(model, graphs.texts.select(texts)).to(torch.half).to(dtype)
    )
