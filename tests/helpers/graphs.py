"""Graphs for the tests of this folder."""

import numpy as np
import torch
from torch_geometric.data import HeteroData

from pyg_sgm.data import Vocabularies, Vocabulary, image_graph, text_graph

WORDS = Vocabulary(["a", "dog", "cat", "chases", "near", "black", "in", "front", "of", "bench"])
VOCABULARIES = Vocabularies(
    WORDS, Vocabulary(["dog", "cat", "bench"]), Vocabulary(["near", "on"]), Vocabulary(["black"])
)


def random_image(seed: int, objects: int, relations: int, attributes: int) -> HeteroData:
    g = np.random.default_rng(seed)
    low = g.uniform(0, 0.5, (objects, 2))
    return image_graph(
        g.choice(["dog", "cat", "zebra"], objects).tolist(),
        np.concatenate([low, low + g.uniform(0.1, 0.5, (objects, 2))], axis=1),
        VOCABULARIES,
        [(int(g.integers(objects)), "near", int(g.integers(objects))) for _ in range(relations)],
        [(int(g.integers(objects)), "black") for _ in range(attributes)],
        size=(1.0, 1.0),
        scores={"object": g.random(objects).tolist()},
        features={
            "object": g.standard_normal((objects, 5)),
            "relation": g.standard_normal((relations, 5)),
        },
        id=f"image {seed}",
    )


def images() -> list[HeteroData]:
    shapes = [(4, 3, 2), (0, 0, 0), (1, 0, 1), (6, 2, 0), (2, 5, 3)]
    return [random_image(i, *shape) for i, shape in enumerate(shapes)]


def texts() -> list[HeteroData]:
    relations = [("dog", "in front of", "cat"), ("cat", "near", "black bench")]
    return [
        text_graph("a dog in front of a cat near a bench", WORDS, relations=relations, id="0"),
        text_graph("", WORDS, id="ü"),
        text_graph("a dog", WORDS, id="2"),
        text_graph(
            "a dog a dog", WORDS, ["dog", "dog"], [(1, "black")], [(0, "chases", 1)], id="3"
        ),
        text_graph(["a"] * 500, WORDS, ["very large cat"], id="4"),
    ]


def same(a: HeteroData, b: HeteroData) -> bool:
    """Same types, fields and values."""
    if a.node_types != b.node_types or set(a.edge_types) != set(b.edge_types):
        return False
    for store in (*a.node_types, *a.edge_types):
        x, y = dict(a[store].items()), dict(b[store].items())
        if x.keys() != y.keys():
            return False
        for name, value in x.items():
            equal = (
                torch.equal(value, y[name]) and value.dtype == y[name].dtype
                if isinstance(value, torch.Tensor)
                else value == y[name]
            )
            if not equal:
                return False
    return True
