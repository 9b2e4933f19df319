"""The benchmark for cards, which must not fail on a borrowed one: all parts, at tiny sizes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_every_part_of_the_benchmark_for_cards(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--small", "--device", "cpu"]
    subprocess.run([*command, "--out", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (path,) = tmp_path.glob("gpu_*.json")
    report = json.loads(path.read_text())
    assert report["recall"]["largest_difference"] == 0.0
    for part in ("ceilings", "sgm", "hoad", "training", "recurrence", "encoding", "search"):
        assert report[part], part
        assert all(value >= 0 for value in report[part].values()), part
    shares = [v for k, v in report["training"].items() if k.startswith("sgm_") and v < 1]
    assert shares
    assert path.with_suffix(".png").stat().st_size > 0
