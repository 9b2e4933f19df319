import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

WORLD = "scene-world:num_images=12,captions_per_image=2,feature_dim=0"
SMALL = ["--set", "dim=8", "--set", "hidden=8", "--set", "embed=6"]


def command(out: Path, *more: str) -> list[str]:
    tokens = ["train", "sgm", "--data", WORLD, "--out", str(out), *SMALL, *more]
    return [sys.executable, "-m", "pyg_sgm", *tokens]


def obey_interrupts() -> None:
    """In the child: a shell starts what runs in its background with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_that_is_stopped_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "run"
    with subprocess.Popen(
        command(out, "--epochs", "9999"),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=obey_interrupts,
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("epoch 2 of 9999: "):
            assert process.poll() is None
        process.send_signal(number)
        lines = process.stderr.read().splitlines()
    assert process.returncode == 128 + number
    assert lines[-1].startswith("pyg-sgm: training stopped in epoch ")
    assert " of 9999; " in lines[-1]
    assert lines[-1].endswith("go on with --resume, resume=True")
    assert not [line for line in lines if "Traceback" in line]
    done = len((out / "logs" / "metrics.csv").read_text().splitlines()) - 1
    more = ["--epochs", str(done + 10000), "--resume"]
    with subprocess.Popen(command(out, *more), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(f"epoch {done + 1} of {done + 10000}: ")
        process.kill()
    assert json.loads((out / "run.json").read_text())["recipe"]["epochs"] == done + 10000
