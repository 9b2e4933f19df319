import pytest
import torch

from pyg_sgm.data import GraphCollection, PairedGraphs, Vocabulary, text_graph


def test_batch_holds_each_image_once() -> None:
    words = Vocabulary(["a", "dog"])
    graphs = GraphCollection.from_graphs([text_graph("a dog", words, id=str(i)) for i in range(4)])
    pairs = PairedGraphs(graphs, graphs, torch.tensor([2, 0, 2, 1]))
    batch = pairs.batch([2, 0, 3])
    assert batch.image.id == ["1", "2"]
    assert batch.image_index.tolist() == [1, 2]
    assert batch.image_of_text.tolist() == [1, 1, 0]
    assert batch.text.id == ["2", "0", "3"]
    assert len(pairs) == 4


def test_image_of_text_must_fit() -> None:
    words = Vocabulary([])
    graphs = GraphCollection.from_graphs([text_graph("a", words), text_graph("b", words)])
    with pytest.raises(ValueError, match=r"expected \[2\]"):
        PairedGraphs(graphs, graphs, torch.tensor([0]))
    with pytest.raises(ValueError, match="text 1 has no image 2"):
        PairedGraphs(graphs, graphs, torch.tensor([0, 2]))
