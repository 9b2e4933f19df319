"""A few of the kills of ``kills.py``, which tries all."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)
pytest.importorskip("PIL")
pytest.importorskip("lightning")

from tests.kills import TASKS

SOME = {"training": 13, "overwrite": 23, "resume": 17, "photos": 29, "extraction": 7, "saving": 5}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_killed_before_a_change_of_the_disk(name: str) -> None:
    # Not forked from here: threads of other tests do not live on in a child, which waits for them.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.kills", name,
         "--every", str(SOME.get(name, 1)), "--first", "2"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1200,
    )  # fmt: skip
    found = re.search(rf"\| {name} \| (\d+) \| 0 \|", done.stdout)
    assert done.returncode == 0, done.stderr
    assert found is not None
    assert int(found[1]) > 1
