"""A model written outside the package, in one file, meets everything that ours meet."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.cli import main
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.models import MODELS, RECIPES, Matcher, find_model, find_recipe, load_model
from pyg_sgm.models.explanation import Explanation
from pyg_sgm.testing import assert_batch_invariant, assert_graph_order_invariant

SOURCE = '''
from dataclasses import dataclass

import torch
from torch import nn

from pyg_sgm.models import Encoding, Matcher, Recipe, register_model
from pyg_sgm.models.explanation import Explanation, best_matches, named_match
from pyg_sgm.ops import Packed, maxsim


@dataclass(frozen=True)
class Names(Encoding):
    nodes: Packed


@register_model("toy", recipes={"default": Recipe(epochs=4, lr=0.05), "short": Recipe(epochs=1)})
class Toy(Matcher[Names, Names]):
    """Every word looks for the object whose name is nearest."""

    def __init__(self, sizes, dim=8, scale=1.0):
        super().__init__(sizes)
        self.objects = nn.Embedding(sizes.objects, dim)
        self.words = nn.Embedding(sizes.words, dim)
        self.register_buffer("scale", torch.tensor(scale), persistent=False)

    def encode_image(self, batch):
        return Names(Packed(self.objects(batch["object"].label), batch["object"].ptr))

    def encode_text(self, batch):
        return Names(Packed(self.words(batch["word"].token), batch["word"].ptr))

    def score(self, image, text):
        return self.scale * maxsim(text.nodes, image.nodes).t()

    def attention_nodes(self, encoding):
        return encoding.nodes

    def explain(self, image, text, image_record, text_record):
        found = best_matches("object", text.nodes, image.nodes)
        matches = [named_match(match, image_record, text_record) for match in found]
        level = {"object": float(self.score(image, text))}
        return Explanation(image_record, text_record, level, matches)
'''
WORLD = "scene-world:num_images=12,captions_per_image=2,feature_dim=0"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an installed package with the model and its entry point."""
    folder = tmp_path / "site"
    info = folder / "toy_matcher-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "toy_matcher.py").write_text(SOURCE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-matcher\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pyg_sgm.models]\ntoy = toy_matcher:Toy\n")
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("toy_matcher", None)
    MODELS.pop("toy", None)
    RECIPES.pop("toy", None)


def world(split: str = "train") -> SceneWorld:
    return SceneWorld(split, num_images=12, captions_per_image=2, feature_dim=0)


def test_trained_evaluated_reranked_explained_saved_and_opened(
    package: Path, tmp_path: Path
) -> None:
    matcher = SceneGraphMatcher("toy", dim=6, scale=2.0)  # found by the entry point
    matcher.fit(world(), world("dev"), out=tmp_path / "run", progress=False)
    assert isinstance(matcher.model, Matcher)
    assert matcher.model.config == {"dim": 6, "scale": 2.0}
    assert len(matcher.history) == 4
    assert matcher.history[-1]["loss"] < matcher.history[0]["loss"]

    scores = matcher.score(world("dev"), world("dev"))
    metrics = matcher.evaluate(world("dev"))
    before, after = matcher.evaluate_reranked(world("dev"), k=10, gamma=50.0)
    assert before == metrics
    assert after != before

    image, text = world("dev").images[0], world("dev").texts[0]
    found = matcher.explain(image, text)
    assert isinstance(found, Explanation)
    assert [match.text_name for match in found.matches] == list(text.words)
    assert 2 * sum(match.contribution for match in found.matches) == pytest.approx(found.score)

    # A buffer that is not saved is made again.
    opened = SceneGraphMatcher.from_pretrained(tmp_path / "run")
    assert torch.equal(opened.score(world("dev"), world("dev")), scores)
    matcher.save_pretrained(tmp_path / "saved")
    again = load_model(tmp_path / "saved")
    assert again.name == "toy"
    graphs = world("dev").encode(again.vocabularies)
    with torch.no_grad():
        batch = graphs.batch()
        torch.testing.assert_close(again.model(batch.image, batch.text), scores)
        assert_batch_invariant(again.model, graphs.images, graphs.texts)
        assert_graph_order_invariant(again.model, graphs.images, graphs.texts)


def test_a_class_is_as_good_as_its_name(package: Path) -> None:
    from toy_matcher import Toy  # type: ignore[import-not-found]

    matcher = SceneGraphMatcher(Toy, dim=4)
    matcher.fit(world(), recipe="short", progress=False)
    assert type(matcher.model) is find_model("toy") is Toy
    assert find_recipe(Toy, "short").epochs == 1
    with pytest.raises(ValueError, match="toy: no recipe 'paper'; known: default, short"):
        find_recipe("toy", "paper")
    with pytest.raises(ValueError, match="has no option 'depth'; known: dim, scale"):
        SceneGraphMatcher("toy", depth=3)


def test_the_command_line(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    main(["train", "toy", "--data", WORLD, "--out", run, "--epochs", "2", "--set", "dim=4"])
    figures = tmp_path / "metrics.json"
    asked = ["--data", WORLD, "--split", "dev", "--rerank", "distraction", "--json", str(figures)]
    # A process that has not imported the model.
    done = subprocess.run(
        [sys.executable, "-m", "pyg_sgm", "evaluate", run, *asked],
        env={"PYTHONPATH": f"{package}:{Path(__file__).parents[1]}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rsum") == 2
    assert json.loads(figures.read_text())["rsum"] > 0
    capsys.readouterr()
    name, caption = world("dev").image_ids[0], world("dev").captions[0]
    pair = ["--image", name, "--text", caption]
    main(["explain", run, "--data", WORLD, "--split", "dev", *pair])
    assert caption.split()[0] in capsys.readouterr().out


def test_what_is_not_registered_says_so() -> None:
    class Nameless(Matcher):
        pass

    with pytest.raises(ValueError, match="expected a name or a class, got None"):
        SceneGraphMatcher(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"Nameless is not registered: write @register_model"):
        SceneGraphMatcher(Nameless)
    with pytest.raises(ValueError, match="no model 'toy'"):
        find_model("toy")
