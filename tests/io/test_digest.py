import hashlib

import torch

from pyg_sgm.io import digest


def test_the_bytes_of_texts_and_tensors_in_order() -> None:
    weight = torch.randn(3, 4)
    half, count, single = weight.bfloat16(), torch.arange(3), torch.tensor(2.0)
    rows = weight.t()[1:]  # not contiguous
    sha = hashlib.sha256("Größe".encode())
    for raw in (
        weight.numpy().tobytes(),
        half.view(torch.int16).numpy().tobytes(),
        rows.numpy().tobytes(),
        count.numpy().tobytes(),
        single.numpy().tobytes(),
    ):
        sha.update(raw)
    assert digest(["Größe", weight, half, rows, count, single]) == sha.hexdigest()[:16]


def test_order_counts_and_gradients_do_not() -> None:
    a, b = torch.rand(2), torch.rand(2, requires_grad=True)
    assert digest([a, b]) != digest([b, a])
    assert digest([b]) == digest([b.detach()])
    assert digest([torch.empty(0)]) == digest([])
