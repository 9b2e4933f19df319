"""Graph convolutions of HOAD against the formulas, node by node."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyg_sgm.nn.conv import AttributeConv, ObjectConv, RelationConv

DIM, OUT = 4, 4
# Object 3 is in no relation, object 0 is subject twice.
SUBJECT, OBJECT = [0, 0, 2, 1], [1, 2, 0, 1]
SUBJECT_OF = torch.tensor([SUBJECT, [0, 1, 2, 3]])
HAS_OBJECT = torch.tensor([[0, 1, 2, 3], OBJECT])
DESCRIBES = torch.tensor([[0, 1, 2], [1, 3, 1]])  # objects 0 and 2 have no attribute


def nodes(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, DIM, generator=generator, dtype=torch.float64)


def perceptron(mlp: torch.nn.Sequential) -> Callable[..., Tensor]:
    (w1, b1), (w2, b2) = ((mlp[i].weight, mlp[i].bias) for i in (0, 2))
    return lambda *parts: w2 @ (w1 @ torch.cat(parts) + b1).clamp(min=0) + b2


def test_relation_conv_equals_equation_1() -> None:
    conv = RelationConv(DIM, OUT).double()
    o, r = nodes(4, 0), nodes(4, 1)
    g = perceptron(conv.mlp)
    expected = [g(o[s], o[t], r[i]) for i, (s, t) in enumerate(zip(SUBJECT, OBJECT, strict=True))]
    torch.testing.assert_close(conv((o, r), SUBJECT_OF, HAS_OBJECT), torch.stack(expected))
    assert str(conv) == "RelationConv(4, 4)"


def test_attribute_conv_equals_equation_2() -> None:
    conv = AttributeConv(DIM, OUT).double()
    a, o = nodes(3, 2), nodes(4, 0)
    g = perceptron(conv.mlp)
    out = conv((a, o), DESCRIBES)
    torch.testing.assert_close(out[1], (g(o[1], a[0]) + g(o[1], a[2])) / 2)
    torch.testing.assert_close(out[3], g(o[3], a[1]))
    assert out[[0, 2]].abs().sum() == 0
    assert str(conv) == "AttributeConv(4, 4)"


def test_object_conv_equals_equation_3() -> None:
    conv = ObjectConv(DIM, OUT).double()
    o, r = nodes(4, 0), nodes(4, 1)
    g_s, g_o = perceptron(conv.mlp_subject), perceptron(conv.mlp_object)
    ends = list(zip(SUBJECT, OBJECT, strict=True))
    expected = []
    for i in range(4):
        terms = [g_s(o[s], o[t], r[k]) for k, (s, t) in enumerate(ends) if s == i]
        terms += [g_o(o[s], o[t], r[k]) for k, (s, t) in enumerate(ends) if t == i]
        expected.append(sum(terms) / len(terms) if terms else o[i])
    torch.testing.assert_close(conv((o, r), SUBJECT_OF, HAS_OBJECT), torch.stack(expected))
    assert str(conv) == "ObjectConv(4, 4)"


def test_other_widths() -> None:
    o, r = torch.rand(4, 3), torch.rand(4, 5)
    assert RelationConv((3, 5), 7)((o, r), SUBJECT_OF, HAS_OBJECT).shape == (4, 7)
    conv = ObjectConv((3, 5), 7)
    out = conv((o, r), SUBJECT_OF, HAS_OBJECT)
    torch.testing.assert_close(out[3], conv.lin_alone(o[3]))
    assert AttributeConv((5, 3), 7)((torch.rand(3, 5), o), DESCRIBES).shape == (4, 7)


def test_gradcheck() -> None:
    o, r, a = (nodes(n, seed).requires_grad_() for seed, n in enumerate((4, 4, 3)))
    relation, object = RelationConv(DIM, OUT).double(), ObjectConv(DIM, OUT).double()
    attribute = AttributeConv(DIM, OUT).double()
    edges = SUBJECT_OF, HAS_OBJECT
    assert torch.autograd.gradcheck(lambda o, r: relation((o, r), *edges), (o, r))
    assert torch.autograd.gradcheck(lambda o, r: object((o, r), *edges), (o, r))
    assert torch.autograd.gradcheck(lambda a, o: attribute((a, o), DESCRIBES), (a, o))


def test_order_of_nodes_and_edges_does_not_matter() -> None:
    conv = ObjectConv(DIM, OUT).double()
    o, r = nodes(4, 0), nodes(4, 1)
    out = conv((o, r), SUBJECT_OF, HAS_OBJECT)
    new = torch.tensor([2, 0, 3, 1])  # new number of each object
    edges = torch.tensor([3, 1, 0, 2])  # relations keep their numbers, their edges do not
    subject_of, has_object = SUBJECT_OF[:, edges].clone(), HAS_OBJECT[:, edges.flip(0)].clone()
    subject_of[0], has_object[1] = new[subject_of[0]], new[has_object[1]]
    shuffled = torch.empty_like(o)
    shuffled[new] = o
    torch.testing.assert_close(conv((shuffled, r), subject_of, has_object)[new], out)


@pytest.mark.parametrize("num_objects", [0, 1])
def test_nothing_to_gather(num_objects: int) -> None:
    o, none = nodes(num_objects, 0), nodes(0, 0)
    edges = torch.empty(2, 0, dtype=torch.long), torch.empty(2, 0, dtype=torch.long)
    assert RelationConv(DIM, OUT).double()((o, none), *edges).shape == (0, OUT)
    torch.testing.assert_close(ObjectConv(DIM, OUT).double()((o, none), *edges), o)
    assert AttributeConv(DIM, OUT).double()((none, o), edges[0]).abs().sum() == 0


def test_reset_parameters() -> None:
    for conv in (RelationConv(DIM, 6), ObjectConv(DIM, 6), AttributeConv(DIM, 6)):
        before = [p.clone() for p in conv.parameters()]
        conv.reset_parameters()
        changed = zip(before, conv.parameters(), strict=True)
        assert all(not torch.equal(a, b) for a, b in changed)
