"""HOAD against a float64 reference of the paper's equations: one graph, one node at a time."""

import pytest
import torch
from torch import Tensor

from pyg_sgm.data import GraphCollection, PairedGraphs
from pyg_sgm.models import HOAD
from pyg_sgm.nn import NodeAttention
from pyg_sgm.ops import Packed
from pyg_sgm.testing import (
    assert_batch_invariant,
    assert_graph_order_invariant,
    assert_node_order_invariant,
    scores_of,
)
from tests.helpers.worlds import edge_cases, sizes_of

ABLATIONS = {
    "ora": {},
    "or": {"node_types": "or"},
    "o": {"node_types": "o"},
    "-crossatt": {"cross_attention": False},
    "-nodeatt": {"node_attention": False},
    "no first order": {"first_order": 0.0},
    "one W": {"shared_perspectives": True},
    "whole image": {"whole_image": True},
}
ADDITIONS = dict(shared_label_projection=True, logits=True, region_labels=True)


def build(**options: object) -> tuple[HOAD, PairedGraphs]:
    torch.manual_seed(0)
    pairs, vocabularies = edge_cases()
    options = dict(dim=6, hidden=5, embed=4, num_perspectives=3) | options
    return HOAD(sizes_of(vocabularies), **options).eval().double(), pairs  # type: ignore[arg-type]


Weights = dict[str, Tensor]


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return w[f"{name}.weight"] @ x + w[f"{name}.bias"]


def perceptron(w: Weights, name: str, *parts: Tensor) -> Tensor:
    return linear(w, f"{name}.2", linear(w, f"{name}.0", torch.cat(parts)).clamp(min=0))


def cosine(a: Tensor, b: Tensor) -> Tensor:
    norm = a.norm() * b.norm()
    return a @ b / norm if norm > 0 else a @ b


def lstm(w: Weights, steps: list[Tensor], suffix: str) -> list[Tensor]:
    name, dim = "sentence_encoder.rnn", w["sentence_encoder.rnn.weight_hh_l0"].size(1)
    weight, recurrent, bias_in, bias = (
        w[f"{name}.{part}_l0{suffix}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h = c = torch.zeros(dim, dtype=torch.float64)
    states = []
    for x in steps:
        i, f, g, o = (weight @ x + bias_in + recurrent @ h + bias).split(dim)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        states.append(h)
    return states


def convolve(w: Weights, side: str, kinds: str, graph, inputs) -> list[Tensor]:  # eq. 1 to 3
    o, r, a = inputs
    subject = graph["object", "subject_of", "relation"].edge_index[0].tolist()
    target = graph["relation", "has_object", "object"].edge_index[1].tolist()
    ends = list(zip(subject, target, strict=True))
    owner = graph["attribute", "describes", "object"].edge_index[1].tolist()
    nodes = []
    for i, own in enumerate(o):
        terms = []
        if "r" in kinds:
            for k, (s, t) in enumerate(ends):
                if s == i:
                    terms.append(perceptron(w, f"{side}.object.mlp_subject", o[s], o[t], r[k]))
                if t == i:
                    terms.append(perceptron(w, f"{side}.object.mlp_object", o[s], o[t], r[k]))
        nodes.append(sum(terms) / len(terms) if terms else own)
    if "r" in kinds:
        for k, (s, t) in enumerate(ends):
            nodes.append(perceptron(w, f"{side}.relation.mlp", o[s], o[t], r[k]))
    if "a" in kinds:
        for i in sorted(set(owner)):
            own = [
                perceptron(w, f"{side}.attribute.mlp", o[i], a[k])
                for k, j in enumerate(owner)
                if j == i
            ]
            nodes.append(sum(own) / len(own))
    return nodes


def node_weights(w: Weights, name: str, on: bool, context: Tensor, nodes: list[Tensor]) -> Tensor:
    if not on or not nodes:  # eq. 8
        return torch.full((len(nodes),), 1 / max(len(nodes), 1), dtype=torch.float64)
    hidden = [linear(w, f"{name}.mlp.0", torch.cat([context, x])).tanh() for x in nodes]
    phi = torch.cat([linear(w, f"{name}.mlp.2", h) for h in hidden])
    return phi.exp() / phi.exp().sum()


def image_of(model: HOAD, graph) -> tuple[list[Tensor], Tensor, list[Tensor]]:
    w, options = model.state_dict(), model.config
    names = w["object_embedding.weight"][graph["object"].label]
    regions = []
    for box, name in zip(graph["object"].box.double(), names, strict=True):
        x1, y1, x2, y2 = box
        look = torch.stack([x1, y1, x2, y2, x2 - x1, y2 - y1, (x2 - x1) * (y2 - y1)])
        regions.append(linear(w, "region_input.lin", torch.cat([look, name])))
    predicates = w["predicate_embedding.weight"][graph["relation"].label]
    attributes = w["attribute_embedding.weight"][graph["attribute"].label]
    inputs = (
        regions,
        [linear(w, "relation_input", p) for p in predicates],
        [linear(w, "attribute_input", a) for a in attributes],
    )
    nodes = convolve(w, "image_graphs", options["node_types"], graph, inputs)
    boxes = graph["object"].box.tolist()
    spans = [x for x, box in zip(regions, boxes, strict=True) if box == [0, 0, 1, 1]]
    counted = spans if spans and options["whole_image"] else regions
    total = sum(counted) / len(counted) if counted else torch.zeros(6, dtype=torch.float64)
    beta = node_weights(w, "image_attention", options["node_attention"], total, nodes)
    terms = [linear(w, "region_term", x) for x in regions] if options["first_order"] else []
    return nodes, beta, terms


def text_of(model: HOAD, graph) -> tuple[list[Tensor], Tensor, list[Tensor]]:
    w, options = model.state_dict(), model.config
    steps = list(w["word_embedding.weight"][graph["word"].token])
    forward = lstm(w, steps, "")
    backward = lstm(w, steps[::-1], "_reverse")[::-1]
    states = [(a + b) / 2 for a, b in zip(forward, backward, strict=True)]
    sentence = torch.zeros(5, dtype=torch.float64)
    if steps:
        sentence = (forward[-1] + backward[0]) / 2
    inputs = []
    for kind in ("object", "relation", "attribute"):
        length = graph[kind].length.tolist()
        phrases = graph[kind].token.split(length) if length else ()
        inputs.append([w["node_embedding.weight"][p].mean(0) for p in phrases])
    nodes = convolve(w, "text_graphs", options["node_types"], graph, inputs)
    beta = node_weights(w, "text_attention", options["node_attention"], sentence, nodes)
    terms = [linear(w, "word_term", h) for h in states] if options["first_order"] else []
    return nodes, beta, terms


def matching_vector(nodes, beta, other, weight: Tensor, attention: bool) -> Tensor:  # eq. 4 to 9
    total = torch.zeros(len(weight), dtype=torch.float64)
    for x, share in zip(nodes, beta, strict=True):
        alpha = [cosine(x, y).clamp(min=0) if attention else torch.tensor(1.0) for y in other]
        if not other or sum(alpha) == 0:
            continue
        seen = sum(a * y for a, y in zip(alpha, other, strict=True)) / sum(alpha)
        total += share * torch.stack([cosine(row * x, row * seen) for row in weight])
    return total


def reference(model: HOAD, image, text) -> float:
    w, options = model.state_dict(), model.config
    (x, beta_x, regions), (y, beta_y, words) = image_of(model, image), text_of(model, text)
    attention = options["cross_attention"]
    m_image = matching_vector(x, beta_x, y, w["match.weight_image"], attention)
    shared = options["shared_perspectives"]
    of_text = w["match.weight_image" if shared else "match.weight_text"]
    m_text = matching_vector(y, beta_y, x, of_text, attention)
    score = perceptron(w, "mlp", m_text, m_image).sigmoid().item()
    if regions and words:
        sharp = options["inverse_temperature"]
        pooled = [
            torch.stack([cosine(h, v) * sharp for v in regions]).logsumexp(0) / sharp for h in words
        ]
        score += options["first_order"] * float(sum(pooled)) / len(pooled)
    return score


@pytest.mark.parametrize("options", ABLATIONS.values(), ids=ABLATIONS)
def test_hoad_follows_the_paper(options: dict) -> None:
    model, pairs = build(**options)
    scores = scores_of(model, pairs.images, pairs.texts)
    for i in range(len(pairs.images)):
        for j in range(len(pairs.texts)):
            expected = reference(model, pairs.images[i], pairs.texts[j])
            assert scores[i, j].item() == pytest.approx(expected, abs=1e-10), (i, j)


@pytest.mark.parametrize("additions", [{}, ADDITIONS], ids=["paper", "additions"])
@pytest.mark.parametrize("options", ABLATIONS.values(), ids=ABLATIONS)
def test_properties_of_every_ablation(options: dict, additions: dict) -> None:
    model, pairs = build(**options, **additions)
    assert_graph_order_invariant(model, pairs.images, pairs.texts, tol=1e-10)
    assert_batch_invariant(model, pairs.images, pairs.texts, tol=1e-10)
    assert_node_order_invariant(model, pairs.images, pairs.texts, tol=1e-10)

    image = model.encode_image(pairs.images.batch())
    text = model.encode_text(pairs.texts.batch())
    scores = model.score(image, text)
    assert scores.isfinite().all()
    scores.square().sum().backward()
    grads = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert grads
    assert all(grad.isfinite().all() for grad in grads)


def test_all_pairs_equal_pair_by_pair() -> None:
    model, pairs = build()
    model = model.float()
    image = model.encode_image(pairs.images.batch())
    text = model.encode_text(pairs.texts.batch())
    scores = model.score(image, text)
    i, j = torch.cartesian_prod(torch.arange(4), torch.arange(5)).unbind(1)
    sides = image.nodes, text.nodes, i, j, image.weights.x, text.weights.x
    m_image, m_text = model.match.pairs(*sides)
    high = model.mlp(torch.cat([m_text, m_image], -1)).sigmoid().view(4, 5)
    first = torch.zeros(4, 5)
    assert image.terms is not None
    assert text.terms is not None
    for a in range(4):
        for b in range(5):
            regions = image.terms.select(torch.tensor([a])).x
            words = text.terms.select(torch.tensor([b])).x
            if len(regions) and len(words):
                first[a, b] = ((6 * words @ regions.t()).logsumexp(1) / 6).mean()
    torch.testing.assert_close(scores, high + 0.1 * first, atol=1e-5, rtol=0)


def test_a_caption_that_shares_nothing() -> None:
    """Opposite nodes: every attention is cut to zero."""
    model, pairs = build(node_types="o", first_order=0.0)
    image = model.encode_image(pairs.images.batch())
    up = torch.ones_like(image.nodes.x).requires_grad_()
    opposite = Packed(-up, image.nodes.ptr)
    text = type(image)(opposite, image.weights)
    scores = model.score(type(image)(Packed(up, image.nodes.ptr), image.weights), text)
    nothing = model.mlp(torch.zeros(6, dtype=torch.float64)).sigmoid()
    torch.testing.assert_close(scores, nothing.expand_as(scores))
    scores.sum().backward()
    assert up.grad is not None
    assert up.grad.isfinite().all()


def test_attributes_matter_only_where_there_are_attribute_nodes() -> None:
    def changed(node_types: str) -> bool:
        model, pairs = build(node_types=node_types)
        graph = pairs.images[0]
        graph["attribute"].label = graph["attribute"].label.roll(1) + 1
        graph["attribute"].label %= model.sizes.attributes
        other = GraphCollection.from_graphs([graph])
        before = scores_of(model, pairs.images, pairs.texts)[:1]
        return not torch.allclose(before, scores_of(model, other, pairs.texts))

    assert changed("ora")
    assert not changed("or")


def test_region_features() -> None:
    pairs, vocabularies = edge_cases()
    graph = pairs.images[0]
    graph["object"].x = torch.rand(3, 7)
    images = GraphCollection.from_graphs([graph])
    texts = pairs.texts.batch()
    for with_labels in (False, True):
        model = HOAD(sizes_of(vocabularies, 7), 6, 5, 4, 3, region_labels=with_labels).eval()
        score = model.score(model.encode_image(images.batch()), model.encode_text(texts))
        graph["object"].label = torch.zeros(3, dtype=torch.long)
        unnamed = GraphCollection.from_graphs([graph])
        other = model.score(model.encode_image(unnamed.batch()), model.encode_text(texts))
        assert torch.allclose(score, other) != with_labels
    with pytest.raises(ValueError, match=r"object\.x: 0 features, the model has 7"):
        model.encode_image(pairs.images.batch())


def test_config_rebuilds_the_model() -> None:
    model, _ = build(node_types="or", first_order=0.0)
    again = HOAD(model.sizes, **model.config)
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }
    with pytest.raises(ValueError, match="known: o, or, ora"):
        build(node_types="oa")


def test_node_attention_gradcheck() -> None:
    torch.manual_seed(0)
    attention = NodeAttention(3, 2).double()
    ptr = torch.tensor([0, 2, 2, 5])
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    context = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, c: attention(Packed(x, ptr), c), (x, context))
