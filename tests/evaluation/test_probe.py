import json
from pathlib import Path
from statistics import stdev
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from pyg_sgm.cli import main
from pyg_sgm.cli.probe import training_pairs
from pyg_sgm.data import TextRecord, image_record
from pyg_sgm.datasets import SceneGraphDataset, SceneWorld, open_dataset
from pyg_sgm.evaluation import probe_relations
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.text import parse, reversible_pairs


class Stub:
    """A matcher that scores captions with a function of the image's name and the text."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def encode_images(self, dataset: SceneGraphDataset) -> list[str]:
        return dataset.image_ids

    def encode_texts(self, texts: list[TextRecord]) -> list[TextRecord]:
        return texts

    def score(self, images: list[str], texts: list[TextRecord]) -> Tensor:
        return torch.tensor([[self.function(image, text) for text in texts] for image in images])


@pytest.fixture(scope="module")
def world() -> SceneWorld:
    return SceneWorld("test", num_images=40, captions_per_image=3, feature_dim=0)


def probe(function: Any, dataset: SceneGraphDataset) -> dict[str, tuple]:
    probes = probe_relations(cast(SceneGraphMatcher, Stub(function)), dataset)
    return {one.kind: (one.accuracy, one.control) for one in probes}


def test_a_bag_of_words_ties_on_swaps(world: SceneWorld) -> None:
    random = torch.Generator().manual_seed(3)
    value: dict[str, float] = {}

    def bag(image: str, text: TextRecord) -> float:
        for word in text.words:
            value.setdefault(word, float(torch.randn((), generator=random)))
        return sum(value[word] for word in text.words)  # in their order: rounded in many ways

    shares = probe(bag, world)
    assert shares["swapped_relation"] == (0.5, 0.5)
    assert shares["replaced_predicate"] != (0.5, 0.5)


def test_who_knows_the_truth_and_who_knows_the_captions_alone(world: SceneWorld) -> None:
    true = {(text.id.split("#")[0], text.caption) for text in world.texts}
    captions = {caption for _, caption in true}
    seeing = probe(lambda image, text: float((image, text.caption) in true), world)
    blind = probe(lambda image, text: float(text.caption in captions), world)
    for kind, (accuracy, control) in seeing.items():
        if kind != "half_truth" and accuracy is not None:  # of parts of captions it knows nothing
            assert accuracy == 1.0
            assert control < 0.6
    for kind, (accuracy, control) in blind.items():
        if kind != "half_truth" and accuracy is not None:
            assert accuracy == pytest.approx(control)
            assert accuracy > 0.9


def test_the_control_is_the_mean_of_all_other_images() -> None:
    texts = [parse(f"a {one} chases a {other}").to_record(str(i)) for i, (one, other) in enumerate(
        [("dog", "cat"), ("cat", "dog"), ("man", "bird"), ("dog", "cat")])]  # fmt: skip
    dataset = SceneGraphDataset([image_record([], id=str(i)) for i in range(4)], texts, range(4))
    likes = {0: "dog", 1: "dog", 2: "bird", 3: "nobody"}  # whom an image has first

    def function(image: str, text: TextRecord) -> float:
        return float(text.words[1] == likes[int(image)])

    swapped = probe_relations(cast(SceneGraphMatcher, Stub(function)), dataset)[0]
    # Cases 0 and 3 (dog first) are liked by images 0 and 1, 1 (cat first) is disliked by them and 2
    # (man first) by image 2; the rest are ties.
    own = [1.0, 0.0, 0.0, 0.5]
    control = [(1 + 0.5 + 0.5) / 3, (0 + 0.5 + 0.5) / 3, 0.5, (1 + 1 + 0.5) / 3]
    own[2] = 0.0
    margins = [a - b for a, b in zip(own, control, strict=True)]
    assert swapped.accuracy == pytest.approx(sum(own) / 4)
    assert swapped.control == pytest.approx(sum(control) / 4)
    assert swapped.margin == pytest.approx(sum(margins) / 4)
    assert swapped.interval == pytest.approx(1.96 * stdev(margins) / 2)


def test_images_that_cannot_be_read_are_left_out(world: SceneWorld) -> None:
    true = {(text.id.split("#")[0], text.caption) for text in world.texts}
    broken = world.image_ids[0]

    def function(image: str, text: TextRecord) -> float:
        return -torch.inf if image == broken else float((image, text.caption) in true)

    for one in probe_relations(cast(SceneGraphMatcher, Stub(function)), world):
        assert all(text.id.split("#")[0] != broken for text, _ in one.cases)
        if one.kind != "half_truth" and one.cases:
            assert one.accuracy == 1.0


def test_without_a_case_or_another_image() -> None:
    one = SceneWorld("test", num_images=1, captions_per_image=1, feature_dim=0)
    shares = probe(lambda image, text: 0.0, one)
    assert shares["replaced_predicate"] == (None, None)
    assert all(control is None for _, control in shares.values())


def test_pairs_are_entries_of_all_scores(world: SceneWorld) -> None:
    from pyg_sgm.training import Recipe

    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6)
    matcher.fit(world, recipe=Recipe(epochs=1), progress=False)
    generator = torch.Generator().manual_seed(0)
    image_of_text = torch.randint(40, (world.num_texts,), generator=generator)
    pairs = matcher.score_pairs(world, world, image_of_text)
    scores = matcher.score(world, world)
    torch.testing.assert_close(pairs, scores[image_of_text, torch.arange(world.num_texts)])


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = "scene-world:num_images=12,captions_per_image=2,feature_dim=0"
    small = ["--set", "dim=8", "--set", "hidden=8", "--set", "embed=6", "--epochs", "1"]
    run, out = tmp_path / "run", tmp_path / "probe.json"
    main(["train", "sgm", "--data", data, "--out", str(run), *small])
    main(["probe", str(run), "--data", data, "--split", "dev", "--json", str(out)])
    shown = capsys.readouterr().out
    assert "swapped relation" in shown
    results = json.loads(out.read_text())
    assert results["chance"] == 0.5
    assert results["seed"] == 0
    assert 0 <= results["swapped_relation"]["accuracy"] <= 1
    swapped = results["swapped_relation"]
    assert swapped["margin"] == pytest.approx(swapped["accuracy"] - swapped["control"])
    assert shown.index("margin, %") < shown.index("own image, %") < shown.index("other images, %")
    assert results["swapped_relation"]["cases"] > 5


def test_reversible_pairs_are_those_of_the_training(tmp_path: Path) -> None:
    data = "scene-world:num_images=250,captions_per_image=2,feature_dim=0"
    run = tmp_path / "run"
    train = ["train", "vse", "--data", data, "--out", str(run), "--set", "dim=8", "--epochs", "1"]
    main([*train, "--dev-every", "2"])
    kept, held_out = open_dataset(data, "train").split_every(2)
    pairs = training_pairs(run)
    assert pairs
    assert pairs == reversible_pairs(kept.texts)
    assert pairs != reversible_pairs([*kept.texts, *held_out.texts])
    (run / "run.json").unlink()
    assert training_pairs(run) is None
