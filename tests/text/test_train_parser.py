"""Training of the learned parser: its alignment, and a run on a handful of captions."""

from random import Random

import pytest
import torch

from pyg_sgm.data import read_scene_graph
from pyg_sgm.text.learned import LearnedParser, score_parser, train_parser
from pyg_sgm.text.learned.alignment import Aligner, join

pytest.importorskip("simplemma")
ROWS = [
    ("two brown horses on green grass", "( horses , is , 2 ) , ( horses , is , brown ) , "
     "( horses , on , grass ) , ( grass , is , green )"),
    ("a man riding a surf board", "( man , ride , surfboard )"),
    ("the leg of a dog", "( dog , have , leg )"),
    ("zebras standing next to each other", "( zebras , stand next to , zebras )"),
]  # fmt: skip


def test_alignment():
    examples = [Aligner().align(c, read_scene_graph(graph)) for c, graph in ROWS]
    assert examples[0].object_spans == {(2, 3), (5, 6)}
    assert examples[0].describes == {(0, 2), (1, 2), (4, 5)}
    assert examples[0].relations == {(2, 5): ("on", -1)}
    assert examples[1].object_spans == {(1, 2), (4, 6)}
    assert examples[1].relations == {(1, 5): ("V", 2)}
    assert examples[2].relations == {(4, 1): ("have", -1)}
    assert examples[3].relations == {(0, 0): ("V next to", 1)}


def test_joined_captions_keep_their_graphs():
    aligner = Aligner()
    first, second = (aligner.align(c, read_scene_graph(graph)) for c, graph in ROWS[:2])
    both = join(first, second, Random(0))
    start = len(both.words) - len(second.words)
    assert both.words[: len(first.words)] == first.words
    assert both.words[start:] == second.words
    assert len(both.gaps) == len(both.words)
    assert both.relations == {
        **first.relations,
        (1 + start, 5 + start): ("V", 2 + start),
    }


def test_training(tmp_path):
    rows = [(caption, read_scene_graph(graph)) for caption, graph in ROWS]
    seen = []
    state = torch.random.get_rng_state()
    parser = train_parser(
        rows * 10,
        {"horses": torch.ones(100)},
        epochs=2,
        batch_size=2,
        channels=8,
        on_epoch=lambda parser, epoch, loss: seen.append((epoch, loss)),
    )
    assert [epoch for epoch, _ in seen] == [1, 2]
    assert seen[1][1] < seen[0][1]
    assert torch.equal(torch.random.get_rng_state(), state)  # the caller's random numbers
    parser.save(tmp_path)
    loaded = LearnedParser.load(tmp_path)
    assert loaded.lexicon.object_names == {"surf board": "surfboard"}
    parsed = loaded.parse_batch(["a man riding a surf board"])[0]
    assert parsed.words == ("a", "man", "riding", "a", "surf", "board")
    assert 0 <= score_parser(loaded, rows).all.f1 <= 1


def test_nothing_to_train_on():
    with pytest.raises(ValueError, match="no caption has a word"):
        train_parser([("!", {"objects": [], "attributes": [], "relations": []})])
