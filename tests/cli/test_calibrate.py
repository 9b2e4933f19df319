"""``pyg-sgm calibrate``, and that training does the same."""

import json
from pathlib import Path

import pytest

from pyg_sgm.cli import main
from pyg_sgm.retrieval import Calibration, SceneGraphMatcher

TRAIN = "train sgm --data scene-world:num_images=44,captions_per_image=2 --epochs 1 --dev-every 2"
SMALL = "--set dim=16 --set hidden=16 --set embed=8"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate") / "run"
    main([*TRAIN.split(), *SMALL.split(), "--out", str(folder)])
    return folder


def test_training_measures_what_it_holds_out(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = Calibration.load(run / "calibration.json")
    assert trained.num_images == 22
    assert SceneGraphMatcher.from_pretrained(run).calibration == trained
    (run / "calibration.json").unlink()
    capsys.readouterr()
    main(["calibrate", str(run), "--json", "-"])
    told = json.loads(capsys.readouterr().out)
    assert Calibration(**told) == Calibration.load(run / "calibration.json")
    assert told["slope"] == pytest.approx(trained.slope, rel=1e-6)


def test_tables(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["calibrate", str(run), "--data", "scene-world:num_images=30", "--split", "dev"])
    told = capsys.readouterr().out
    assert "30 images" in told
    assert "Calibration error 0." in told
    assert "Missing are words below" in told
    with pytest.raises(SystemExit):
        main(["calibrate", str(run), "--data", "scene-world:num_images=8", "--split", "dev"])
    assert "needs 20 images or more that are not trained on, got 8" in capsys.readouterr().err


def test_a_training_with_few_images_says_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", "scene-world:num_images=12", "--dev-split", "dev")
    main(["train", "vse", *data, "--epochs", "1", "--out", str(tmp_path / "run")])
    assert "No calibration, which needs 20 images" in capsys.readouterr().out
    assert not (tmp_path / "run" / "calibration.json").exists()


def test_explanations_tell_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calibration = Calibration.load(run / "calibration.json")
    data = ("--data", "scene-world:num_images=8", "--split", "dev")
    explain = ("explain", str(run), "--image", "dev-000003", "--text", "a dog chasing a cat", *data)
    capsys.readouterr()
    main([*explain, "--json", "-"])
    (told,) = json.loads(capsys.readouterr().out)
    assert told["probability"] == pytest.approx(calibration.probability(told["score"]))
    assert set(told["missing"]) <= {"dog", "cat", "dog chase cat"}
    main([*explain])
    shown = capsys.readouterr().out
    assert f"chance {told['probability']:.1%}" in shown
    assert ("missing" in shown) == bool(told["missing"])
