import torch

from pyg_sgm.data import PairBatch
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.training.batches import blank


def small() -> PairBatch:
    world = SceneWorld("dev", num_images=40)
    return world.encode(world.vocabularies()).batch(torch.arange(40))


def test_nothing_is_blanked_without_shares() -> None:
    batch = small()
    same = blank(batch, 0.0, 0.0)
    for before, after in ((batch.image, same.image), (batch.text, same.text)):
        for a, b in zip(before.node_stores, after.node_stores, strict=True):
            assert all(a[key] is b[key] for key in a.keys())  # noqa: SIM118


def test_shares() -> None:
    torch.manual_seed(0)
    batch = small()
    before = batch.image["object"].x.clone(), batch.text["word"].token.clone()
    after = blank(batch, 0.25, 0.5)
    assert torch.equal(before[0], batch.image["object"].x)
    assert torch.equal(before[1], batch.text["word"].token)
    x, token = after.image["object"].x, after.text["word"].token
    kept = x != 0
    assert abs(float(kept[before[0] != 0].float().mean()) - 0.75) < 0.02
    assert torch.allclose(x[kept], before[0][kept] / 0.75)
    gone = token == 0
    assert abs(float(gone[before[1] != 0].float().mean()) - 0.5) < 0.1
    assert torch.equal(token[~gone], before[1][~gone])
    for kind in ("object", "relation"):
        a, b = batch.text[kind].token, after.text[kind].token
        assert ((b == 0) | (a == b)).all()
        assert (a != b).any()


def test_labels_and_boxes_stay() -> None:
    batch = small()
    after = blank(batch, 0.5, 0.5)
    for kind in ("object", "relation", "attribute"):
        assert torch.equal(batch.image[kind].label, after.image[kind].label)
    assert torch.equal(batch.image["object"].box, after.image["object"].box)
    assert torch.equal(batch.image_of_text, after.image_of_text)
