"""Where the host waits for a card: only at what it must know to go on, once each.

A number that decides the shape of a tensor or the length of a loop must be known on the host. A
batch in training, and a block in evaluation, may wait for those that are listed here, and for
nothing else: no check, no copy, no branch.
"""

import pytest
import torch

from pyg_sgm.losses import ContrastiveLoss
from pyg_sgm.models import build_model
from tests.devices.test_models import LATER, NAMES, OPTIONS, data, sizes_of
from tests.helpers.devices import batch_to, host_waits

# file:function, how often in one step, and why.
PLACES = {
    "recurrent.py:forward": 3,  # lengths of sentences, of paths, of sizes: the loop over steps
    "paths.py:triplet_paths": 1,  # words in all paths
    "high_order.py:forward": 4,  # objects that have attributes, of images and of texts
    "_blocks.py:__init__": 4,  # sizes of the graphs of both sides of a block: loop over sizes
    "_pair_blocks.py:pair_block_scores": 2,  # the largest graph of both sides
    "_pair_blocks.py:_blocks": 2,  # sizes of the graphs of both sides: loop over blocks
    "_packed.py:padded": 4,  # width of padding
    "_stacked.py:stacked_attention": 1,  # the same
    "vsrn.py:forward": 2,  # the same, in each layer
    "pooling.py:forward": 4,  # which sizes there are, of images and of texts, and their sum
    "maxsim.py:forward": 4,  # tiles of a kernel
    "maxsim.py:backward": 4,
    "cross_match.py:match": 4,
}
# On the CPU what was copied to the host is looked at like all else, and inputs are checked.
ON_THE_HOST = {"_blocks.py:__init__", "_blocks.py:check_sides", "_cross_match.py:_blocks"}


@NAMES
@pytest.mark.parametrize("training", [True, False])
def test_of_a_batch(name: str, training: bool, device: torch.device) -> None:
    """Without a card, by what the host looks at."""
    graphs, vocabularies = data("world")
    options = (OPTIONS | LATER)[name]
    model = build_model(name.split()[0], sizes_of(vocabularies, 4), options).to(device)
    batch = batch_to(graphs.batch(), device, torch.float32)
    loss = ContrastiveLoss().to(device)

    def step() -> None:
        with torch.set_grad_enabled(training):
            scores = model.score(model.encode_image(batch.image), model.encode_text(batch.text))
            value = loss(scores, batch.image_of_text)
        if training:
            value.backward()

    model.train(training)
    step()  # kernels are compiled, workspaces are made
    with host_waits(device) as found:
        step()
    odd = {place: count for place, count in found.items() if count > PLACES.get(place, 0)}
    if device.type == "cpu":
        odd = {place: count for place, count in odd.items() if place not in ON_THE_HOST}
    assert not odd, f"waits at {odd}, all: {dict(found)}"
