"""Small graphs with every kind of emptiness, for the tests of models."""

from pyg_sgm.data import PairedGraphs, Vocabularies, image_record, text_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.models import GraphSizes

BOX = [0.125, 0.25, 0.625, 0.875]  # exact in binary, so float32 geometry has no rounding


def edge_cases() -> tuple[PairedGraphs, Vocabularies]:
    """Images without relations, with one node, with nothing; texts without triplets or words."""
    images = [
        image_record(
            ["man", "horse", "hat"],
            [BOX, [0.25, 0.375, 0.875, 1.0], [0.125, 0.125, 0.25, 0.25]],
            [(0, "riding", 1), (0, "wearing", 2)],
            [(1, "brown"), (1, "big"), (2, "red")],
            id="full",
        ),
        image_record(["dog", "man"], [[0.0, 0.0, 1.0, 1.0], BOX], id="no relation"),
        image_record(["dog"], [BOX], id="one node"),
    ]
    images.append(image_record([], [], id="nothing"))
    texts = [
        text_record(
            "a man in a red hat rides a brown horse",
            attributes=[("hat", "red"), ("horse", "brown")],
            relations=[("man", "in", "hat"), ("man", "ride", "horse")],
            id="full",
        ),
        text_record("a man and a dog", objects=["man", "dog"], id="no triplet"),
        text_record("dog", objects=["dog"], id="one word"),
        text_record("", id="no words"),
        text_record("an old man sits on top of a horse", relations=[("man", "on top of", "horse")]),
    ]
    data = SceneGraphDataset(images, texts, [0, 1, 2, 3, 0])
    vocabularies = data.vocabularies()
    return data.encode(vocabularies), vocabularies


def sizes_of(vocabularies: Vocabularies, features: int = 0) -> GraphSizes:
    return GraphSizes.of(vocabularies, features)
