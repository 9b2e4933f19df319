"""``--text-encoder`` of the commands that open a run."""

from pathlib import Path

import pytest

pytest.importorskip("cyclopts")

from pyg_sgm import text
from pyg_sgm.cli import main
from tests.helpers.language_model import tiny_encoder

WORLD = "scene-world:num_images=12,captions_per_image=2,feature_dim=0"


def test_another_encoder_is_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(text, "open_text_encoder", lambda name: tiny_encoder(name=name))
    monkeypatch.setattr(
        "pyg_sgm.retrieval.matcher.open_text_encoder", lambda name: tiny_encoder(name=name)
    )
    run, again = str(tmp_path / "run"), ["--text-encoder", "hf:elsewhere"]
    main(["train", "sgm", "--data", WORLD, "--out", run, "--set", "dim=8", "--set", "hidden=8",
          "--epochs", "1", *again])  # fmt: skip
    given = tmp_path / "given.csv"
    given.write_text("query,id\na dog,dev-000001\na dog,dev-000002\n")
    pytest.importorskip("lancedb")
    index = str(tmp_path / "world.idx")
    for command in (
        ["evaluate", run],
        ["probe", run],
        ["calibrate", run, "--data", WORLD.replace("12", "20"), "--split", "dev"],
        ["explain", run, "--data", WORLD, "--image", "test-000001", "--text", "a dog"],
        ["search", run, "--data", WORLD, "--text", "a dog"],
        ["rerank", run, str(given), "--data", WORLD, "--split", "dev", "--out", "-"],
        ["index", "build", index, "--run", run, "--data", WORLD, "--split", "dev"],
        ["index", "add", index, "--data", WORLD, "--split", "test"],
        ["search", index, "a dog"],
        ["rerank", index, str(given), "--out", "-"],
        ["index", "optimize", index],
        ["index", "rebuild", index, "--run", run, "--data", WORLD],
    ):
        capsys.readouterr()
        if command[:2] not in (["index", "add"], ["index", "optimize"]):  # which need none here
            with pytest.raises(SystemExit):
                main(command)
            assert "give it again (--text-encoder" in capsys.readouterr().err, command
        main([*command, *again])
