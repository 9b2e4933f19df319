"""Training of the relation head: its annotations and measures, and a run on a few images."""

import gzip
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

from pyg_sgm.data import image_record
from pyg_sgm.vision.relations import PairScores, RelationHead, annotations
from pyg_sgm.vision.relations.annotations import merged, read_annotations
from pyg_sgm.vision.relations.measures import pair_recall, predicate_recall
from pyg_sgm.vision.relations.train import mirror_classes

SCRIPT = Path(__file__).parents[3] / "examples" / "train_relations.py"


@pytest.fixture
def vg150(tmp_path):
    man, twin, horse = [10, 0, 30, 40], [10, 0, 30, 42], [0, 20, 80, 60]
    objects = [{"cls": c, "bbox": b} for c, b in ((1, man), (1, twin), (0, horse))]
    relations = [(0, 2, [0]), (1, 2, [1, 2]), (0, 1, [0])]
    graph = {
        "objs": objects,
        "rels": [{"sub": s, "obj": o, "pred": p} for s, o, p in relations],
    }
    (tmp_path / "objects.json").write_text('["horse", "man"]')
    (tmp_path / "predicates.json").write_text('["on a", "be on", "rid"]')
    with gzip.open(tmp_path / "train.json.gz", "wt") as file:
        json.dump([[f"{at:02}.jpg", graph] for at in range(30)], file)
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("".join(f"{w} {i} 1 0\n" for i, w in enumerate(["horse", "man", "dog"])))
    return tmp_path


def test_vg150_merges_predicates_and_boxes(vg150):
    names = "on a", "be in", "wear a", "on front of", "beside", "on"
    plain = ["on", "in", "wear", "in front of", "next to", "on"]
    assert [merged(name) for name in names] == plain
    record = read_annotations("vg150", vg150)[0]
    assert record.objects == ["man", "horse"]
    assert record.relations == [(0, "on", 1), (0, "ride", 1)]
    assert record.boxes[0].tolist() == pytest.approx([10 / 80, 0, 30 / 80, 40 / 60])


def test_vrd_keeps_relations_as_annotated(tmp_path):
    (tmp_path / "objects.txt").write_text("person\nhorse\n")
    (tmp_path / "predicates.txt").write_text("on\nleft of\n")
    person, horse = (
        {"category": 0, "bbox": [0, 40, 10, 30]},
        {"category": 1, "bbox": [20, 60, 0, 80]},
    )
    relations = [
        {"subject": s, "predicate": p, "object": o}
        for s, p, o in ((person, 0, horse), (person, 0, horse), (horse, 1, horse))
    ]
    for name, content in (
        ("annotations_train", {"a.jpg": relations}),
        ("train_image_metadata", {"a.jpg": {"width": 80, "height": 30}}),
    ):
        with gzip.open(tmp_path / f"{name}.json.gz", "wt") as file:
            json.dump(content, file)
    (record,) = read_annotations("vrd", tmp_path)
    assert record.objects == ["person", "horse", "horse"]
    assert record.relations == [(0, "on", 1), (0, "on", 1), (1, "left of", 2)]
    assert record.boxes[0].tolist() == pytest.approx([10 / 80, 0, 30 / 80, 40 / 60])


def test_measures():
    records = [
        image_record(["a", "b"], relations=[(0, "on", 1), (0, "in", 1)]),
        image_record(["a", "b"], relations=[(1, "on", 0), (1, "odd", 0)]),
    ]
    scores = torch.tensor([[3.0, 1, 2], [3, 1, 2], [0, 2, 1], [0, 2, 1]])
    found = predicate_recall(scores, records, ["on", "in", "of"])
    assert found == {"top-1": 0.25, "top-5": 0.75}  # "odd" is unknown, so missed
    pairs = PairScores(
        image=torch.tensor([0, 0, 1, 1]),
        subject=torch.tensor([0, 1, 0, 1]),
        object=torch.tensor([1, 0, 1, 0]),
        predicate=torch.zeros(4, 3),
        related=torch.tensor([0.9, 0.1, 0.8, 0.7]),
    )
    assert pair_recall(pairs, pairs.related, records, k=1) == {
        "average precision": round((1 + 2 / 3) / 2, 4),
        "recall@1": 0.5,
        "share of related pairs": 0.5,
    }


def test_left_is_right_in_the_mirror():
    names = ["on", "on the left of", "on the right of", "left behind"]
    assert mirror_classes(names).tolist() == [0, 2, 1, 3]


def test_a_run_writes_a_head(vg150, monkeypatch, capsys):
    file = vg150 / "head.safetensors"
    command = f"train --data vg150:{vg150} --vectors {vg150 / 'vectors.txt'} --out {file}"
    monkeypatch.setattr(annotations, "RAREST", 1)
    monkeypatch.setattr(sys, "argv", [*command.split(), "--epochs", "2", "--batch-size", "8"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "average precision" in capsys.readouterr().out
    head = RelationHead.load(file)
    assert head.predicates == ["on", "ride"]
    assert head.labels == ["horse", "man", "dog", "hot dog"]  # what has a word vector
