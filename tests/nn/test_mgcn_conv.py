import torch
from torch_geometric.data import HeteroData

from pyg_sgm.nn import MultiModalFusion
from pyg_sgm.nn.conv import MGCNConv
from pyg_sgm.nn.geometry import box_geometry, union_box


def test_fusion_is_eq_1():
    fuse = MultiModalFusion(3, 2, 4).double()
    v, e = torch.randn(5, 3).double(), torch.randn(5, 2).double()
    w = fuse.lin.weight
    for i in range(5):
        expected = torch.tanh(w[:, :3] @ v[i] + w[:, 3:] @ e[i])
        torch.testing.assert_close(fuse(v, e)[i], expected)


def test_conv_is_eq_3():
    torch.manual_seed(0)
    conv = MGCNConv(3, 2).double()
    assert str(conv) == "MGCNConv(3, 2)"
    x, r = torch.randn(4, 3).double(), torch.randn(5, 3).double()
    subject, object = torch.tensor([0, 3, 0, 1, 2]), torch.tensor([1, 3, 1, 0, 2])
    relation = torch.arange(5)
    out_x, out_r = conv(x, r, torch.stack([subject, relation]), torch.stack([relation, object]))
    w, b = conv.lin_relation.weight, conv.lin_relation.bias
    for k in range(5):
        triple = w[:, :3] @ x[subject[k]] + w[:, 3:6] @ r[k] + w[:, 6:] @ x[object[k]]
        torch.testing.assert_close(out_r[k], torch.tanh(triple + b))
    for i in range(4):
        expected = torch.tanh(conv.lin_object.weight @ x[i] + conv.lin_object.bias)
        torch.testing.assert_close(out_x[i], expected)


def test_conv_takes_a_hetero_graph_and_no_relation():
    graph = HeteroData()
    graph["object"].x, graph["relation"].x = torch.randn(3, 4), torch.randn(0, 4)
    empty = torch.empty(2, 0, dtype=torch.long)
    out_x, out_r = MGCNConv(4, 2)(graph["object"].x, graph["relation"].x, empty, empty)
    assert out_x.shape == (3, 2)
    assert out_r.shape == (0, 2)


def test_geometry():
    a, b = torch.tensor([[0.1, 0.2, 0.5, 0.4]]), torch.tensor([[0.3, 0.1, 0.4, 0.9]])
    torch.testing.assert_close(union_box(a, b), torch.tensor([[0.1, 0.1, 0.5, 0.9]]))
    expected = torch.tensor([[0.1, 0.2, 0.5, 0.4, 0.4, 0.2, 0.08]])
    torch.testing.assert_close(box_geometry(a), expected)
