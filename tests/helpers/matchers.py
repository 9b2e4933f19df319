"""Small matchers in float64, what regions and words are to them, and what all of them hold."""

from typing import Any

import torch
from torch import Tensor, nn

from pyg_sgm.data import PairedGraphs
from pyg_sgm.models import Matcher
from pyg_sgm.testing import (
    assert_batch_invariant,
    assert_graph_order_invariant,
    assert_node_order_invariant,
    scores_of,
)
from tests.helpers.worlds import edge_cases, sizes_of


def small(model: type[Matcher], **options: Any) -> tuple[Any, PairedGraphs]:
    """In float64 and evaluation, and graphs with every kind of emptiness."""
    torch.manual_seed(0)
    pairs, vocabularies = edge_cases()
    return model(sizes_of(vocabularies), **(dict(dim=6, embed=4) | options)).eval().double(), pairs


def assert_matcher(model: Any, pairs: PairedGraphs, tol: float = 1e-10) -> None:
    """Invariances, finite gradients that are those of finite differences, and a config."""
    assert_graph_order_invariant(model, pairs.images, pairs.texts, tol)
    assert_batch_invariant(model, pairs.images, pairs.texts, tol)
    assert_node_order_invariant(model, pairs.images, pairs.texts, tol)
    image, text = pairs.images.batch(), pairs.texts.batch()
    model(image, text).square().sum().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads
    assert all(grad.isfinite().all() for grad in grads)
    model.zero_grad()
    names = [name for name, p in model.named_parameters() if p.requires_grad]

    def scores(*values: Tensor) -> Tensor:
        weights = dict(zip(names, values, strict=True))
        out: Tensor = torch.func.functional_call(model, weights, (image, text))
        return out

    values = [p.detach().clone().requires_grad_() for p in model.parameters() if p.requires_grad]
    assert torch.autograd.gradcheck(scores, values, fast_mode=True)
    again = type(model)(model.sizes, **model.config)
    assert set(again.state_dict()) == set(model.state_dict())


def assert_scores(model: Any, pairs: PairedGraphs, reference: Any, tol: float = 1e-10) -> None:
    """That ``reference(model, image graph, text graph)`` is the score of each pair."""
    scores = scores_of(model, pairs.images, pairs.texts)
    with torch.no_grad():
        for i in range(len(pairs.images)):
            for j in range(len(pairs.texts)):
                expected = float(reference(model, pairs.images[i], pairs.texts[j]))
                assert abs(float(scores[i, j]) - expected) < tol, (i, j, expected)


def linear(model: Any, name: str, x: Tensor) -> Tensor:
    w = model.state_dict()
    out = x @ w[f"{name}.weight"].t()
    return out + w[f"{name}.bias"] if f"{name}.bias" in w else out


def regions_of(model: Any, graph: Any) -> Tensor:
    """Regions of one image without features: a linear layer on box and label."""
    w = model.state_dict()
    x1, y1, x2, y2 = graph["object"].box.double().unbind(1)
    box = torch.stack([x1, y1, x2, y2, x2 - x1, y2 - y1, (x2 - x1) * (y2 - y1)], dim=1)
    names = w["object_embedding.weight"][graph["object"].label]
    return linear(model, "region_input.lin", torch.cat([box, names], dim=1))


def embedded(model: Any, graph: Any) -> Tensor:
    """Embeddings of the words of one text."""
    table: Tensor = model.state_dict()["word_embedding.weight"]
    return table[graph["word"].token]


def words_of(
    model: Any, graph: Any, kind: type[nn.GRU] | type[nn.LSTM] = nn.GRU
) -> tuple[Tensor, Tensor]:
    """Words of one text in context and its last state, of a bidirectional RNN of PyTorch's."""
    states = bi_rnn(model, "word_encoder", embedded(model, graph), kind)
    half = states.size(1) // 2
    if not len(states):
        return states[:, :half], states.new_zeros(half)
    return (states[:, :half] + states[:, half:]) / 2, (states[-1, :half] + states[0, half:]) / 2


def bi_rnn(model: Any, name: str, x: Tensor, kind: type[nn.GRU] | type[nn.LSTM] = nn.GRU) -> Tensor:
    """States of both directions side by side, ``[num_steps, 2 * dim]``."""
    prefix = f"{name}.rnn."
    w = {k.removeprefix(prefix): v for k, v in model.state_dict().items() if k.startswith(prefix)}
    size = w["weight_hh_l0"].size(1)
    if not len(x):
        return x.new_zeros(0, 2 * size)
    rnn = kind(x.size(1), size, bidirectional=True).double()
    rnn.load_state_dict(w)
    with torch.no_grad():
        out: Tensor = rnn(x)[0]
    return out


def cosine(a: Tensor, b: Tensor) -> Tensor:
    norm = a.norm() * b.norm()
    return a @ b / norm if norm > 0 else a @ b
