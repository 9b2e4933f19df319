from pathlib import Path

import pytest

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.cli import main
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.io import read_json
from pyg_sgm.metrics.retrieval import retrieval_metrics
from pyg_sgm.retrieval import evaluate_sum


@pytest.fixture(scope="module")
def matchers() -> list[SceneGraphMatcher]:
    world = SceneWorld("train", num_images=10, captions_per_image=2)
    runs = [SceneGraphMatcher(name, dim=8, embed=8) for name in ("vse", "scan")]
    return [run.fit(world, epochs=1, progress=False) for run in runs]


def test_sum_of_scores(matchers: list[SceneGraphMatcher]) -> None:
    world = SceneWorld("dev", num_images=9, captions_per_image=2)
    total = matchers[0].score(world, world) + matchers[1].score(world, world)
    assert evaluate_sum(matchers, world) == retrieval_metrics(total, world.image_of_text)
    assert evaluate_sum(matchers[:1], world) == matchers[0].evaluate(world)
    assert evaluate_sum(matchers, world, folds=3)["rsum"] != evaluate_sum(matchers, world)["rsum"]


def test_no_matcher_and_other_extractors(matchers: list[SceneGraphMatcher]) -> None:
    world = SceneWorld("dev", num_images=9, captions_per_image=2)
    with pytest.raises(ValueError, match="there is no matcher"):
        evaluate_sum([], world)
    other = SceneGraphMatcher("vse")
    other.made_by = {"fingerprint": "another"}
    with pytest.raises(ValueError, match="made by different extractors"):
        evaluate_sum([matchers[0], other], world)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = "scene-world:num_images=20,captions_per_image=2"
    train = ["train", "vse", "--data", data, "--epochs", "1"]
    runs = [str(tmp_path / name) for name in ("one", "two", "three")]
    for seed, (run, every) in enumerate(zip(runs, ("5", "5", "4"), strict=True)):
        flags = ["--dev-every", every, "--seed", str(seed), "--set", "dim=8"]
        main([*train, *flags, "--out", run])
    out = tmp_path / "sum.json"
    capsys.readouterr()
    main(["evaluate", *runs[:2], "--json", str(out)])
    assert "sum of 2 runs" in capsys.readouterr().out
    held = SceneWorld("train", num_images=20, captions_per_image=2).split_every(5)[1]
    opened = [SceneGraphMatcher.from_pretrained(run) for run in runs[:2]]
    assert read_json(out)["rsum"] == pytest.approx(evaluate_sum(opened, held)["rsum"])
    main(["evaluate", runs[0], runs[2], "--split", "train", "--dev-every", "5"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "3 of the images trained on by" in shown  # the third run held out others
    with pytest.raises(SystemExit):
        main(["evaluate", *runs])
    assert "three: its training held out other images" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate", *runs[:2], "--rerank", "distraction"])
    assert "--rerank takes one run" in capsys.readouterr().err
