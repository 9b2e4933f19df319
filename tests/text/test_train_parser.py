"""The training script of the learned parser: its alignment, and a run on a handful of captions."""

import csv
import gzip
import importlib.util
import sys
from pathlib import Path

import pytest

from pyg_sgm.data import read_scene_graph
from pyg_sgm.text._learned import LearnedParser

pytest.importorskip("simplemma")
SCRIPT = Path(__file__).parents[2] / "examples" / "train_parser.py"
ROWS = [
    ("two brown horses on green grass", "( horses , is , 2 ) , ( horses , is , brown ) , "
     "( horses , on , grass ) , ( grass , is , green )"),
    ("a man riding a surf board", "( man , ride , surfboard )"),
    ("the leg of a dog", "( dog , have , leg )"),
    ("zebras standing next to each other", "( zebras , stand next to , zebras )"),
]  # fmt: skip


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("train_parser", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_parser"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_alignment(script):
    examples = [script.Aligner().align(c, read_scene_graph(graph)) for c, graph in ROWS]
    assert examples[0].object_spans == {(2, 3), (5, 6)}
    assert examples[0].describes == {(0, 2), (1, 2), (4, 5)}
    assert examples[0].relations == {(2, 5): ("on", -1)}
    assert examples[1].object_spans == {(1, 2), (4, 6)}
    assert examples[1].relations == {(1, 5): ("V", 2)}
    assert examples[2].relations == {(4, 1): ("have", -1)}
    assert examples[3].relations == {(0, 0): ("V next to", 1)}


def test_joined_captions_keep_their_graphs(script):
    aligner = script.Aligner()
    first, second = (aligner.align(c, read_scene_graph(graph)) for c, graph in ROWS[:2])
    both = script.join(first, second)
    start = len(both.words) - len(second.words)
    assert both.words[: len(first.words)] == first.words
    assert both.words[start:] == second.words
    assert len(both.gaps) == len(both.words)
    assert both.relations == {
        **first.relations,
        (1 + start, 5 + start): ("V", 2 + start),
    }


def test_a_run_writes_a_parser(script, tmp_path, monkeypatch, capsys):
    with gzip.open(tmp_path / "train.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([("caption", "scene_graph"), *ROWS * 10])
    with open(tmp_path / "dev.csv", "w", newline="") as file:
        csv.writer(file).writerows([("caption", "scene_graph"), *ROWS])
    command = f"train --root {tmp_path} --out {tmp_path / 'out'} --epochs 1 --channels 8"
    monkeypatch.setattr(sys, "argv", [*command.split(), "--batch-size", "2"])
    script.main()
    assert "dev: objects" in capsys.readouterr().out
    parsed = LearnedParser.load(tmp_path / "out").parse_batch(["a man riding a surf board"])
    assert parsed[0].words == ("a", "man", "riding", "a", "surf", "board")
