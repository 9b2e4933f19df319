import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from pyg_sgm.cli import main
from pyg_sgm.data import TextRecord
from pyg_sgm.datasets import SceneGraphDataset, SceneWorld
from pyg_sgm.evaluation import probe_relations
from pyg_sgm.retrieval import SceneGraphMatcher


class Stub:
    """A matcher that scores captions with a function of the image's name and the text."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def encode_images(self, dataset: SceneGraphDataset) -> list[str]:
        return dataset.image_ids

    def encode_texts(self, texts: list[TextRecord]) -> list[TextRecord]:
        return texts

    def score_pairs(self, images: list[str], texts: list[TextRecord], of: Tensor) -> Tensor:
        pairs = zip(texts, of.tolist(), strict=True)
        return torch.tensor([self.function(images[i], text) for text, i in pairs])


@pytest.fixture(scope="module")
def world() -> SceneWorld:
    return SceneWorld("test", num_images=40, captions_per_image=3, feature_dim=0)


def probe(function: Any, dataset: SceneGraphDataset) -> dict[str, tuple]:
    probes = probe_relations(cast(SceneGraphMatcher, Stub(function)), dataset)
    return {one.kind: (one.accuracy, one.control) for one in probes}


def test_a_bag_of_words_ties_on_swaps(world: SceneWorld) -> None:
    random = torch.Generator().manual_seed(1)
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
    for accuracy, control in seeing.values():
        assert accuracy == 1.0
        assert control is not None
        assert control < 0.6
    for accuracy, control in blind.values():
        assert accuracy == control > 0.9


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
    assert results["swapped_relation"]["cases"] > 5
