"""Properties that every matcher should have, for the tests of this library and of yours."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_sgm.data import GraphCollection
from pyg_sgm.models import Matcher

__all__ = [
    "assert_batch_invariant",
    "assert_graph_order_invariant",
    "assert_node_order_invariant",
    "permute_nodes",
    "scores_of",
]


def permute_nodes(graph: HeteroData, node: str, order: Tensor) -> HeteroData:
    """The same scene graph with the nodes of one type in another order.

    Args:
        graph (HeteroData): One graph, not a batch.
        node (str): ``"object"``, ``"relation"`` or ``"attribute"``.
        order (LongTensor): Node ``i`` of the result is node ``order[i]`` of the graph.

    Example:
        >>> import torch
        >>> from pyg_sgm.data import Vocabulary, text_graph
        >>> graph = text_graph("a b", Vocabulary(["a", "b"]), objects=["a", "b"])
        >>> permute_nodes(graph, "object", torch.tensor([1, 0]))["object"].label
        tensor([2, 1])
    """
    out = graph.clone()
    store = out[node]
    for name, value in graph[node].items():
        if name == "token":  # ragged: the words of every node
            words = value.split(graph[node].length.tolist())
            store.token = torch.cat([value[:0], *(words[i] for i in order.tolist())])
        elif isinstance(value, Tensor):
            store[name] = value[order]
    place = order.argsort()  # [num_nodes], where each old node went
    for edge in graph.edge_types:
        index = graph[edge].edge_index.clone()
        for side, end in enumerate((edge[0], edge[2])):
            if end == node:
                index[side] = place[index[side]]
        if "relation" in (edge[0], edge[2]) and edge[1] != "spans":
            # Edge i belongs to relation i.
            index = index[:, index[0 if edge[0] == "relation" else 1].argsort()]
        out[edge].edge_index = index
    return out


@torch.no_grad()
def scores_of(model: Matcher, images: GraphCollection, texts: GraphCollection) -> Tensor:
    """Scores of all images against all texts, ``[num_images, num_texts]``.

    Args:
        model (Matcher): The model, in evaluation mode.
        images (GraphCollection): Image graphs.
        texts (GraphCollection): Text graphs.
    """
    return model.score(model.encode_image(images.batch()), model.encode_text(texts.batch()))


def assert_graph_order_invariant(
    model: Matcher, images: GraphCollection, texts: GraphCollection, tol: float = 1e-5
) -> None:
    """Asserts that another order of images and texts gives the same scores in that order.

    Args:
        model (Matcher): In evaluation mode.
        images (GraphCollection): Some images.
        texts (GraphCollection): Some texts.
        tol (float, optional): Absolute tolerance. (default: :obj:`1e-5`)

    Raises:
        AssertionError: If a score differs by more than :obj:`tol`; so for all checks here.
    """
    whole = scores_of(model, images, texts)
    rows, columns = torch.randperm(len(images)), torch.randperm(len(texts))
    image = model.encode_image(images.batch(rows))
    text = model.encode_text(texts.batch(columns))
    torch.testing.assert_close(model.score(image, text), whole[rows][:, columns], atol=tol, rtol=0)


def assert_batch_invariant(
    model: Matcher, images: GraphCollection, texts: GraphCollection, tol: float = 1e-5
) -> None:
    """Asserts that a pair scored alone scores as it does among others.

    Args:
        model (Matcher): The model, in evaluation mode.
        images (GraphCollection): Image graphs.
        texts (GraphCollection): Text graphs.
        tol (float, optional): Largest difference of two scores. (default: :obj:`1e-5`)

    Raises:
        AssertionError: If it does not hold.
    """
    whole = scores_of(model, images, texts)
    for i in range(len(images)):
        image = model.encode_image(images.batch([i]))
        for j in range(len(texts)):
            alone = model.score(image, model.encode_text(texts.batch([j])))
            torch.testing.assert_close(alone, whole[i : i + 1, j : j + 1], atol=tol, rtol=0)


def assert_node_order_invariant(
    model: Matcher, images: GraphCollection, texts: GraphCollection, tol: float = 1e-5
) -> None:
    """Asserts that another order of the nodes within each graph (not of the words of a text)
    gives the same scores.

    Args:
        model (Matcher): The model, in evaluation mode.
        images (GraphCollection): Image graphs.
        texts (GraphCollection): Text graphs.
        tol (float, optional): Largest difference of two scores. (default: :obj:`1e-5`)

    Raises:
        AssertionError: If it does not hold.
    """
    whole = scores_of(model, images, texts)
    sides = []
    for collection in (images, texts):
        graphs = []
        for i in range(len(collection)):
            graph = collection[i]
            for node in ("object", "relation", "attribute"):
                graph = permute_nodes(graph, node, torch.randperm(graph[node].num_nodes))
            graphs.append(graph)
        sides.append(GraphCollection.from_graphs(graphs))
    torch.testing.assert_close(scores_of(model, *sides), whole, atol=tol, rtol=0)
