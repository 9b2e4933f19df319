"""Every model on every device, against the same weights on the CPU in float64."""

import copy
from functools import cache
from typing import Any

import pytest
import torch

from pyg_sgm.data import PairedGraphs, Vocabularies
from pyg_sgm.evaluation import encode_images, encode_texts, evaluate, rank, score, with_query_bank
from pyg_sgm.losses import ContrastiveLoss, HOADLoss, TripletLoss
from pyg_sgm.metrics.retrieval import retrieval_metrics
from pyg_sgm.models import GraphSizes, Matcher, QueryBank, build_model
from pyg_sgm.ops import Packed
from tests.helpers.devices import assert_near, batch_to, step_of
from tests.helpers.indexes import SGM, SMALL
from tests.helpers.training import world
from tests.helpers.worlds import edge_cases, sizes_of

CPU = torch.device("cpu")
OPTIONS: dict[str, dict[str, Any]] = {
    **SMALL,
    "sgm oom-trel": {"dim": 8, "hidden": 8, "embed": 6, "variant": "oom-trel"},
    "hoad logits": {
        "dim": 8,
        "hidden": 8,
        "embed": 6,
        "num_perspectives": 4,
        "region_labels": True,
        "shared_label_projection": True,
        "logits": True,
        "first_order": 1.0,
    },
    "vsrn": {"dim": 8, "embed": 6, "num_layers": 2},
}
LATER: dict[str, dict[str, Any]] = {
    "dpc": {"dim": 8, "embed": 6},
    "dspe": {"dim": 8, "embed": 6},
    "gsmn": {"dim": 8, "embed": 6, "num_blocks": 4},
    "lgsgm": {"dim": 8, "hidden": 8, "embed": 6},
    "pvse": {"dim": 8, "embed": 6},
    "saem": {"dim": 8, "embed": 6},
    "sco": {"dim": 8, "embed": 6},
    "sgraf": {"dim": 8, "embed": 6, "similarity": 6},
    "vse_infinity": {"dim": 8, "embed": 6, "position": 4, "node_dropout": 0.0},
}
NAMES = pytest.mark.parametrize("name", [*OPTIONS, *LATER])


@cache
def data(kind: str) -> tuple[PairedGraphs, Vocabularies]:
    """A small world with region features, or graphs with every kind of emptiness, without."""
    if kind == "edges":
        return edge_cases()
    vocabularies = world().vocabularies()
    return world().encode(vocabularies), vocabularies


def model_of(name: str, kind: str = "world") -> Matcher:
    """In float64 on the CPU."""
    _, vocabularies = data(kind)
    sizes = sizes_of(vocabularies, 4 if kind == "world" else 0)
    return build_model(name.split()[0], sizes, (OPTIONS | LATER)[name]).double()


def on(model: Matcher, device: torch.device, dtype: torch.dtype = torch.float32) -> Matcher:
    return copy.deepcopy(model).to(device, dtype)


@pytest.mark.parametrize("kind", ["world", "edges"])
@NAMES
def test_a_training_step(name: str, kind: str, device: torch.device) -> None:
    model, batch = model_of(name, kind), data(kind)[0].batch()
    scores, loss, grads = step_of(model, batch_to(batch, CPU, torch.float64), ContrastiveLoss(0.5))
    moved = batch_to(batch, device, torch.float32)
    out = step_of(on(model, device), moved, ContrastiveLoss(0.5).to(device))
    assert_near(out[0], scores, 1e-5)
    assert_near(out[1], loss, 1e-5)
    assert out[2].keys() == grads.keys()
    for parameter, grad in out[2].items():
        assert grad.device.type == device.type
        assert_near(grad, grads[parameter], 1e-4)


@NAMES
def test_in_bfloat16(name: str, device: torch.device) -> None:
    """Mixed precision, and a model that is wholly in bfloat16."""
    model, batch = model_of(name), data("world")[0].batch()
    scores, _, _ = step_of(model, batch_to(batch, CPU, torch.float64), ContrastiveLoss(0.5))
    spread = float((scores - scores.mean()).abs().max())
    loss = ContrastiveLoss(0.5).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        moved = batch_to(batch, device, torch.float32)
        mixed, value, grads = step_of(on(model, device), moved, loss)
    assert value.dtype == torch.float32
    assert all(grad.isfinite().all() for grad in grads.values())
    moved = batch_to(batch, device, torch.bfloat16)
    whole, _, grads = step_of(on(model, device, torch.bfloat16), moved, loss)
    assert all(grad.isfinite().all() for grad in grads.values())
    for out in (mixed, whole):
        assert float((out.cpu().double() - scores).abs().max()) < 0.5 * spread


@NAMES
def test_scores_are_the_same_bit_for_bit(name: str, device: torch.device) -> None:
    model, batch = on(model_of(name), device).eval(), data("world")[0].batch()
    moved = batch_to(batch, device, torch.float32)
    with torch.no_grad():
        first, second = (model(moved.image, moved.text) for _ in range(2))
    assert torch.equal(first, second)


@NAMES
def test_a_training_step_is_the_same_bit_for_bit(
    name: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PyTorch is asked for deterministic algorithms; on CUDA, sums of gradients by index are
    added in no certain order otherwise."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    model, batch = on(model_of(name), device), data("world")[0].batch()
    moved = batch_to(batch, device, torch.float32)
    torch.use_deterministic_algorithms(True)
    try:
        runs = [step_of(copy.deepcopy(model), moved, ContrastiveLoss(0.5).to(device)) for _ in "ab"]
    finally:
        torch.use_deterministic_algorithms(False)
    (_, loss, grads), (_, again, others) = runs
    assert torch.equal(loss, again)
    for parameter, grad in grads.items():
        assert torch.equal(grad, others[parameter]), parameter


@NAMES
def test_collections(name: str, device: torch.device) -> None:
    """Encoding in blocks, scores, ranks and recalls."""
    graphs, _ = data("world")
    reference = model_of(name).eval()
    model = on(reference, device).eval()
    expected = score(
        reference, encode_images(reference, graphs.images), encode_texts(reference, graphs.texts)
    )
    images, texts = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
    for encoding in (images, texts):
        for value in encoding.values().values():
            x = value.x if isinstance(value, Packed) else value
            assert x is None or x.device.type == device.type
    assert_near(score(model, images, texts), expected, 1e-5)
    # Near ties may fall either way; here the ranks are those of the same scores.
    own = score(model, images, texts)
    ranking = rank(model, images, texts, graphs.image_of_text, k=3)
    metrics = retrieval_metrics(own, graphs.image_of_text)
    assert ranking.top_images.device.type == device.type
    assert ranking.top_texts.shape == (len(graphs.images), 3)
    assert evaluate(model, graphs)["rsum"] == pytest.approx(metrics["rsum"], abs=0.05)
    assert evaluate(reference, graphs)["rsum"] == pytest.approx(metrics["rsum"], abs=0.05)


@pytest.mark.parametrize("name", ["sgm", "sgm photos", "vse", "hoad"])
def test_query_bank(name: str, device: torch.device) -> None:
    graphs, _ = data("world")
    reference = model_of(name).float().eval()
    model = on(reference, device).eval()
    expected, bank = (with_query_bank(m, graphs, 8).eval() for m in (reference, model))
    moved = copy.deepcopy(expected).to(device)  # a bank goes where its model goes
    kept = bank.bank().items()
    again = QueryBank.of_bank(
        model,
        {k: v.to(device, torch.float32 if v.is_floating_point() else v.dtype) for k, v in kept},
    )
    whole = [
        score(m, encode_images(m, graphs.images), encode_texts(m, graphs.texts))
        for m in (expected, bank, moved, again)
    ]
    for other in whole[1:]:  # the bank is kept in half precision
        assert_near(other, whole[0].double(), 2e-3)


@pytest.mark.parametrize("loss", [ContrastiveLoss(), HOADLoss(negatives="all"), TripletLoss()])
def test_losses(loss: torch.nn.Module, device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(6, 11, generator=generator).double()
    image_of_text = torch.arange(11) % 6

    def value(device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
        own = copy.deepcopy(loss).to(device, dtype)
        leaf = scores.to(device, dtype).requires_grad_()
        out = own(leaf, image_of_text.to(device))
        return [out, *torch.autograd.grad(out, leaf)]

    for a, b in zip(value(device, torch.float32), value(CPU, torch.float64), strict=True):
        assert_near(a, b, 1e-5)


def test_random_negatives(device: torch.device) -> None:
    scores = torch.rand(6, 11, device=device, requires_grad=True)
    loss = HOADLoss(negatives="random", num_negatives=3)(
        scores, torch.arange(11, device=device) % 6
    )
    loss.backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_building_a_model_draws_from_no_generator(device: torch.device) -> None:
    sizes = GraphSizes(words=9, objects=5, predicates=2, attributes=2)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        torch.rand(2, device=device)
        expected = torch.rand(2, device=device)
        torch.manual_seed(3)
        torch.rand(2, device=device)
        build_model("sgm", sizes, SGM)
        assert torch.equal(torch.rand(2, device=device), expected)
