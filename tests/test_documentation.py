"""What the documentation says is what the library does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_figures_are_those_of_the_benchmarks() -> None:
    script = ROOT / "docs" / "write_results.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
