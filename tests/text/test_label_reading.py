"""Labels of image graphs, read in sentences."""

import numpy as np
import torch

from pyg_sgm.data import Vocabularies, Vocabulary, image_record, pack_images
from pyg_sgm.text import label_features
from tests.helpers.language_model import tiny_encoder

IMAGES = [
    image_record(
        ["man", "horse", "<unk>", "man", "ski dog"],
        relations=[(0, "riding", 1), (3, "<unk>", 1), (2, "near", 4), (2, "<unk>", 2)],
    ),
    image_record(["cats"]),
    image_record(),
]
SENTENCES = [
    ["a", "man", ",", "a", "horse", ",", "a", "ski", "dog"],
    ["a", "man", "riding", "a", "horse"],
    ["a", "man", "a", "horse"],
    ["near", "a", "ski", "dog"],
    ["cats"],
]


def test_labels_are_read_in_the_sentences_that_tell_their_graph(tmp_path) -> None:
    encoder = tiny_encoder()
    listed, riding, beside, near, cats = (encoder([s]).double().numpy() for s in SENTENCES)

    def mean(words: np.ndarray) -> np.ndarray:
        total = words.sum(axis=0)
        return total / np.sqrt((total**2).sum()) * 8**0.5 / 4

    nothing = np.zeros(8)
    man = mean(listed[1:2])
    expected = {
        "object": [man, mean(listed[4:5]), nothing, man, mean(listed[7:9]), mean(cats)],
        "relation": [mean(riding), mean(beside), mean(near), nothing],
    }
    for folder in (None, tmp_path / "words.vec", tmp_path / "words.vec"):
        found = label_features(IMAGES, encoder, folder)
        assert list(found) == ["object", "relation"]
        for node, rows in expected.items():
            ragged = found[node]
            assert ragged.rows.shape == (len(rows), 8)
            every = ragged.rows[torch.arange(len(rows))]
            assert every.dtype == torch.float
            torch.testing.assert_close(
                every, torch.tensor(np.array(rows)).float(), rtol=2e-3, atol=2e-3
            )
        assert found["object"].spans.count.tolist() == [5, 1, 0]
        assert found["relation"].spans.count.tolist() == [4, 0, 0]


def test_graphs_keep_what_was_read() -> None:
    names = Vocabulary(["man", "horse", "cats"])
    vocabularies = Vocabularies(names, names, Vocabulary(["riding"]), Vocabulary([]))
    read = label_features(IMAGES, tiny_encoder())
    graphs = pack_images(IMAGES, vocabularies, label_features=read)
    one = graphs.batch([1, 0])
    assert one["object"].label_x.shape == (6, 8)
    assert one["relation"].label_x.shape == (4, 8)
    assert torch.equal(one["object"].label_x[1], graphs[0]["object"].label_x[0])
    assert not torch.equal(one["object"].label_x[0], one["object"].label_x[1])


def test_images_without_relations_or_objects() -> None:
    none = Vocabulary([])
    vocabularies = Vocabularies(none, none, none, none)
    for images in (IMAGES[1:], IMAGES[2:]):
        read = label_features(images, tiny_encoder())
        batch = pack_images(images, vocabularies, label_features=read).batch([0])
        assert batch["object"].label_x.shape == (len(images[0].objects), 8)
        assert batch["relation"].label_x.shape == (0, 8)
